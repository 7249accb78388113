//! Requests the tap driver has not served yet, and operations that wait for them.
//!
//! This is where the one hang of the plumbing lives: closing a control stream flushes the requests of its protocol
//! streams, and whoever waits for their answers waits for ever.

use std::collections::BTreeMap;

use crate::abi::Errno;
use crate::call::{Hang, Outcome, Stop, Sys, Ticket};
use crate::kernel::Kernel;
use crate::kernel::interface::{InterfaceId, Wedge};
use crate::kernel::settings::Service;
use crate::kernel::stream::{DlState, Module, StreamId};

/// What an operation does once the driver has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Finish closing a lower stream whose last reference is gone.
    CloseLower { stream: StreamId },
    /// Finish bringing a unit up.
    Up { interface: InterfaceId, unit: u32, flags: u64 },
}

/// A thread inside the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sleeper {
    /// A push that waits for an answer that never comes.
    Push { stream: StreamId, module: Module },
    /// An operation that waits for the driver; `waits_on` is the stream whose request is unserved.
    Driver { waits_on: StreamId, step: Step, closing: Option<StreamId>, lost: bool },
    /// It has ended so.
    Ended(Outcome),
}

/// The sleeping threads, and the requests of those that did not wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Sleepers {
    threads: BTreeMap<Ticket, Sleeper>,
    last: u32,
    /// Streams with an unbind request in the driver's queue.
    unserved: Vec<StreamId>,
}

impl Sleepers {
    pub(super) fn add(&mut self, sleeper: Sleeper) -> Ticket {
        self.last += 1;
        self.threads.insert(Ticket(self.last), sleeper);
        Ticket(self.last)
    }

    /// Notes that the operation is a close, which goes on with this stream's other links.
    pub(super) fn set_closing(&mut self, ticket: Ticket, upper: StreamId) {
        if let Some(Sleeper::Driver { closing, .. }) = self.threads.get_mut(&ticket) {
            *closing = Some(upper);
        }
    }
}

/// The wait behind an answer that was flushed.
pub(super) fn lost_answer(interruptible: bool, ticket: Option<Ticket>) -> Stop {
    let reason =
        "the control stream was closed while a request of the interface was unserved; its answer never comes";
    Stop::Hang(Hang { interruptible, reason, ticket })
}

impl Kernel {
    /// How a sleeping operation ended; nothing while it sleeps and may still be woken.
    pub fn end_of(&self, ticket: Ticket) -> Option<Outcome> {
        match self.sleepers.threads.get(&ticket)? {
            Sleeper::Ended(outcome) => Some(outcome.clone()),
            Sleeper::Push { .. } => None,
            Sleeper::Driver { lost: false, .. } => None,
            Sleeper::Driver { step, .. } => {
                let interruptible = matches!(step, Step::Up { .. });
                Some(Err(lost_answer(interruptible, Some(ticket))).into())
            }
        }
    }

    /// Sends a signal to a sleeping operation: an interruptible one ends with `EINTR`.
    pub fn signal(&mut self, ticket: Ticket) -> Option<Outcome> {
        match self.sleepers.threads.get(&ticket)? {
            Sleeper::Push { stream, module } => {
                let (stream, module) = (*stream, *module);
                self.interrupt_push(stream, module);
            }
            Sleeper::Driver { step: Step::Up { .. }, .. } => {}
            Sleeper::Driver { .. } | Sleeper::Ended(_) => return self.end_of(ticket),
        }
        let outcome = Outcome::Failed(Errno::EINTR);
        self.sleepers.threads.insert(ticket, Sleeper::Ended(outcome.clone()));
        Some(outcome)
    }

    /// An interrupted arp is taken off again; an interrupted ip stays and cannot be closed.
    fn interrupt_push(&mut self, stream: StreamId, module: Module) {
        let Ok(stream) = self.stream_mut(stream) else { return };
        if stream.modules.first() != Some(&module) {
            return;
        }
        stream.modules.remove(0);
        if module == Module::Ip {
            stream.modules.insert(0, Module::StuckIp);
        }
    }

    /// The driver serves everything queued in it, and whoever waited goes on.
    pub fn serve(&mut self) {
        self.serve_datalinks();
        for stream in std::mem::take(&mut self.sleepers.unserved) {
            self.unbind_now(stream);
        }
        let waiting = |sleeper: &Sleeper| matches!(sleeper, Sleeper::Driver { lost: false, .. });
        let woken =
            self.sleepers.threads.iter().filter(|(_, sleeper)| waiting(sleeper)).map(|(ticket, _)| *ticket);
        let woken: Vec<_> = woken.collect();
        // While the driver serves, it serves what a woken operation asks next as well.
        let service = std::mem::replace(&mut self.settings.service, Service::Late);
        for ticket in woken {
            self.wake(ticket);
        }
        self.settings.service = service;
    }

    pub(super) fn serve_if_prompt(&mut self) {
        if self.settings.service == Service::Prompt {
            self.serve();
        }
    }

    fn wake(&mut self, ticket: Ticket) {
        // Taken out first: what it does now may make the driver serve again.
        let Some(Sleeper::Driver { step, closing, .. }) = self.sleepers.threads.remove(&ticket) else {
            return;
        };
        let ended = match step {
            Step::CloseLower { stream } => self.close_stream(stream).map(|()| 0),
            Step::Up { interface, unit, flags } => self.complete_up(interface, unit, flags),
        };
        let ended = match (ended, closing) {
            (Ok(_), Some(upper)) => self.close_stream(upper).map(|()| 0),
            (ended, _) => ended,
        };
        self.sleepers.threads.insert(ticket, Sleeper::Ended(ended.into()));
    }

    /// Queues an unbind request in the driver; nobody waits for it.
    pub(super) fn queue_unbind(&mut self, stream: StreamId) {
        self.sleepers.unserved.push(stream);
    }

    pub(super) fn unbind_now(&mut self, stream: StreamId) {
        if let Ok(stream) = self.stream_mut(stream)
            && stream.dl.state == DlState::Idle
        {
            stream.dl.state = DlState::Unbound;
            stream.dl.sap = 0;
        }
    }

    /// Waits for the driver on behalf of an operation that takes this lower stream away.
    pub(super) fn wait_to_take_away(&mut self, lower: StreamId) -> Result<(), Stop> {
        if self.wedge_of(lower).is_some() {
            return Err(lost_answer(false, None));
        }
        self.wait_for_driver();
        Ok(())
    }

    /// The calling thread waits until the driver has served what is queued.
    pub(super) fn wait_for_driver(&mut self) {
        if self.settings.service != Service::Held {
            self.serve();
        } else {
            for stream in std::mem::take(&mut self.sleepers.unserved) {
                self.unbind_now(stream);
            }
        }
    }

    fn wedge_of(&self, stream: StreamId) -> Option<Wedge> {
        let interface = self.stream(stream).ok()?.interface?;
        self.interfaces.get(&interface)?.wedge
    }

    /// Falls asleep when service is held and the operation needs an answer from the driver for this stream.
    pub(super) fn sleep_if_held(&mut self, waits_on: StreamId, step: Step) -> Sys<()> {
        let needs_answer = match step {
            Step::Up { .. } => self.stream(waits_on)?.dl.ppa.is_some(),
            Step::CloseLower { .. } => self.stream(waits_on)?.dl.state == DlState::Idle,
        };
        if self.settings.service != Service::Held || !needs_answer {
            return Ok(());
        }
        if let (Step::CloseLower { .. }, Some(interface)) = (&step, self.stream(waits_on)?.interface) {
            self.timers.forget(interface);
        }
        Err(Stop::Asleep(self.sleepers.add(Sleeper::Driver { waits_on, step, closing: None, lost: false })))
    }

    /// The driver's close of a control stream throws away the requests of these streams.
    pub(super) fn flush_requests(&mut self, orphans: &[StreamId]) {
        let unserved = std::mem::take(&mut self.sleepers.unserved);
        let (flushed, kept) = unserved.into_iter().partition(|stream| orphans.contains(stream));
        self.sleepers.unserved = kept;
        for stream in flushed {
            self.wedge(stream, Wedge::Down);
        }
        let mut lost_waits = Vec::new();
        for sleeper in self.sleepers.threads.values_mut() {
            if let Sleeper::Driver { waits_on, step, lost, .. } = sleeper
                && orphans.contains(waits_on)
            {
                *lost = true;
                lost_waits.push((*waits_on, step.clone()));
            }
        }
        for (stream, step) in lost_waits {
            let is_ip = self.stream(stream).is_ok_and(|stream| stream.has(Module::Ip));
            let wedge = match step {
                Step::Up { .. } => Wedge::Up,
                Step::CloseLower { .. } if is_ip => Wedge::IpClose,
                Step::CloseLower { .. } => Wedge::ArpClose,
            };
            self.wedge(stream, wedge);
        }
    }

    fn wedge(&mut self, stream: StreamId, wedge: Wedge) {
        let interface = self.stream(stream).ok().and_then(|stream| stream.interface);
        if let Some(interface) = interface.and_then(|interface| self.interfaces.get_mut(&interface)) {
            interface.wedge = Some(wedge);
        }
    }
}
