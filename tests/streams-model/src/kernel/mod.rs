//! The kernel's state, and the one way in: [`Kernel::call`].

pub(crate) mod files;
pub(crate) mod interface;
pub(crate) mod stream;

mod arp;
pub(crate) mod datalink;
mod decode;
mod deliver;
mod dlpi;
mod head;
mod host;
mod ifreq;
mod ifset;
mod ioctl;
mod ip;
mod links;
mod message;
mod naming;
mod ndp;
mod packet;
mod settings;
mod sleep;
mod snapshot;
mod streamio;
mod tap;
mod timers;

use std::collections::BTreeMap;

pub use host::Traffic;
pub use settings::{DEFAULT_MAC, Privileges, Service, Tuntap};
pub use snapshot::{InterfaceState, LinkState, Snapshot};

use crate::abi::Errno;
use crate::call::{Call, Outcome, Sys};
use crate::call::{Record, Suspicion};
use crate::fault::{Deeds, Fault, Moment, Plan, Trouble, When};
use crate::image::Lifreq;
use crate::kernel::datalink::Datalinks;
use crate::kernel::decode::Watch;
use crate::kernel::files::Files;
use crate::kernel::interface::{Interface, InterfaceId};
use crate::kernel::links::Links;
use crate::kernel::settings::Settings;
use crate::kernel::sleep::Sleepers;
use crate::kernel::stream::{Stream, StreamId};
use crate::kernel::tap::Ppas;
use crate::kernel::timers::Timers;
use crate::memory::{Memory, ReadOnly};

/// One machine running illumos with one process of interest: descriptors, streams, links, PPAs and interfaces.
///
/// Pure state; it makes no call to the host and knows no other numbers than illumos'. What would panic a real machine,
/// or take the host's network away, panics with the reason.
#[derive(Debug, Default)]
pub struct Kernel {
    settings: Settings,
    files: Files,
    streams: BTreeMap<StreamId, Stream>,
    last_stream: StreamId,
    links: Links,
    ppas: Ppas,
    interfaces: BTreeMap<InterfaceId, Interface>,
    last_interface: InterfaceId,
    timers: Timers,
    sleepers: Sleepers,
    console: Vec<String>,
    downward: Vec<&'static str>,
    traffic: Traffic,
    ip_identification: u16,
    host_network_destroyed: bool,
    calls: usize,
    trace: Vec<Record>,
    plan: Plan,
    deeds: Deeds,
    dead: bool,
    watch: Watch,
    datalinks: Datalinks,
}

impl Kernel {
    /// A freshly booted machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out a system call: decodes it, lets the fault plan have its way, records it.
    ///
    /// # Panics
    /// With the reason, when the call would panic a real machine or take the host's network away.
    pub fn call(&mut self, memory: &mut dyn Memory, call: Call) -> Outcome {
        let mut record = self.decode(memory, &call);
        let disturbed = self.plan.would_strike(&record) || self.deeds.any_due(&record);
        if self.would_block(&call) {
            self.serve_before_waiting();
        }
        if self.would_block(&call) && !disturbed {
            return Outcome::WouldBlock;
        }
        for deed in self.deeds.take_due(&record) {
            deed(self);
        }
        if self.dead {
            return Outcome::Failed(Errno::EBADF);
        }
        self.calls += 1;
        record.number = self.calls;
        self.trace.push(record.clone());
        self.watch_call(memory, &call);
        let fault = self.plan.strike(&record);
        let outcome = match fault {
            None => self.execute(memory, call).into(),
            Some((trouble, moment)) => self.execute_faulty(memory, call, trouble, moment),
        };
        if let Some(entry) = self.trace.last_mut() {
            entry.outcome = outcome.clone();
            entry.injected = fault.is_some();
        }
        self.serve_if_prompt();
        outcome
    }

    /// Plans something that somebody else does to the machine just before a call: an interface unplumbed, a PPA taken,
    /// the process killed.
    pub fn before(&mut self, when: When, deed: impl FnOnce(&mut Self) + Send + 'static) {
        self.deeds.add(when, Box::new(deed));
    }

    /// Kills the process: every descriptor is closed, in ascending order, and no call does anything any more.
    pub fn kill(&mut self) {
        self.exit();
        self.dead = true;
    }

    /// Adds a fault to the plan.
    pub fn plan_fault(&mut self, fault: Fault) {
        self.plan.add(fault);
    }

    /// Forgets every planned fault.
    pub fn clear_faults(&mut self) {
        self.plan.clear();
    }

    /// How many calls a fault has struck.
    pub fn faults_struck(&self) -> usize {
        self.plan.struck
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Every call made, in order.
    pub fn trace(&self) -> &[Record] {
        &self.trace
    }

    /// Forgets the recorded calls; numbers go on.
    pub fn clear_trace(&mut self) {
        self.trace.clear();
    }

    /// What looked wrong so far.
    pub fn suspicions(&self) -> &[Suspicion] {
        &self.watch.suspicions
    }

    /// What the kernel printed on the console.
    pub fn console(&self) -> &[String] {
        &self.console
    }

    /// Takes what the kernel printed on the console.
    pub fn take_console(&mut self) -> Vec<String> {
        std::mem::take(&mut self.console)
    }

    /// Takes the names of the messages IP and ARP have sent down to the tap driver.
    pub fn take_downward(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.downward)
    }

    /// Whether an unlink of everything has removed links of somebody else.
    pub fn host_network_destroyed(&self) -> bool {
        self.host_network_destroyed
    }

    fn execute_faulty(
        &mut self,
        memory: &mut dyn Memory,
        call: Call,
        trouble: Trouble,
        moment: Moment,
    ) -> Outcome {
        let makes_descriptor = matches!(call, Call::Open { .. } | Call::Socket { .. } | Call::Dup { .. });
        let takes_effect =
            matches!(call, Call::Close { .. }) || (moment == Moment::After && !makes_descriptor);
        match trouble {
            Trouble::Errno(errno) => {
                if takes_effect {
                    // The effect stays hidden: a failing call copies nothing out.
                    drop(self.execute(&mut ReadOnly(memory), call));
                }
                Outcome::Failed(errno)
            }
            Trouble::Answer(answer) => {
                if takes_effect {
                    drop(self.execute(memory, call));
                }
                Outcome::Done(answer)
            }
            Trouble::SwapMuxIds => self.execute_and_alter(memory, call, |lifreq| {
                let (ip, arp) = lifreq.muxids();
                lifreq.set_muxids(arp, ip);
            }),
            Trouble::StoreNumber(number) => self.execute_and_alter(memory, call, |lifreq| {
                lifreq.set_number(number);
            }),
            Trouble::Events(events) => self.answer_poll(memory, call, events).into(),
            Trouble::Refuse { .. } | Trouble::NoAnswer | Trouble::Reply(_) => {
                self.answer_wrongly(memory, call, trouble).into()
            }
        }
    }

    fn execute_and_alter(
        &mut self,
        memory: &mut dyn Memory,
        call: Call,
        alter: impl Fn(&mut Lifreq),
    ) -> Outcome {
        let outcome = self.execute(memory, call).into();
        let Call::Ioctl { request, argument, .. } = call else { return outcome };
        let mut image = [0; Lifreq::LEN];
        let address = self.lifreq_address(memory, request, argument);
        if matches!(outcome, Outcome::Done(_)) && memory.copy_in(address, &mut image).is_ok() {
            let mut lifreq = Lifreq(image);
            alter(&mut lifreq);
            return memory.copy_out(address, &lifreq.0).map_or_else(Outcome::Failed, |()| outcome);
        }
        outcome
    }

    fn execute(&mut self, memory: &mut dyn Memory, call: Call) -> Sys {
        match call {
            Call::Open { path, flags, place } => self.open(memory, path, flags, place),
            Call::Socket { family, close_on_exec, place } => self.socket(family, close_on_exec, place),
            Call::Close { fd } => self.close(fd),
            Call::Dup { fd, close_on_exec, place } => self.duplicate(fd, close_on_exec, place),
            Call::Fcntl { fd, command, argument } => self.fcntl(fd, command, argument),
            Call::Ioctl { fd, request, argument } => self.ioctl(memory, fd, request, argument),
            Call::Read { fd, buffer, length } => self.read(memory, fd, &[(buffer, length as usize)]),
            Call::Readv { fd, vector, count } => {
                let slices = Self::slices(memory, vector, count)?;
                self.read(memory, fd, &slices)
            }
            Call::Write { fd, buffer, length } => self.write(memory, fd, &[(buffer, length as usize)]),
            Call::Writev { fd, vector, count } => {
                let slices = Self::slices(memory, vector, count)?;
                self.write(memory, fd, &slices)
            }
            Call::Getmsg { fd, control, data, flags } => self.getmsg(memory, fd, control, data, flags),
            Call::Putmsg { fd, control, data, flags } => self.putmsg(memory, fd, control, data, flags),
            Call::Poll { fds, count } => self.poll(memory, fds, count),
        }
    }

    /// What a real machine would not survive.
    fn crash(&self, reason: &str) -> ! {
        panic!("call {}: this panics a real machine: {reason}", self.calls);
    }

    fn log(&mut self, line: String) {
        self.console.push(line);
    }

    fn stream(&self, id: StreamId) -> Result<&Stream, Errno> {
        self.streams.get(&id).ok_or(Errno::EBADF)
    }

    fn stream_mut(&mut self, id: StreamId) -> Result<&mut Stream, Errno> {
        self.streams.get_mut(&id).ok_or(Errno::EBADF)
    }
}
