//! Lines of two threads: one inside the kernel while the other closes the control stream.

use std::time::Duration;

use streams_model::abi::{self, I_LINK, I_UNLINK, IFF_IPV4, IFF_UP};
use streams_model::{Call, Lifreq, Outcome, Service};

use super::line::Line;
use super::{Checked, Replay, UNKNOWN, equal};
use crate::caller::lifreq;

impl Line {
    pub(super) fn is_of_a_thread(&self) -> bool {
        self.args.starts_with("thread")
    }
}

/// How an operation fares when the control stream is closed while its request is unserved: it never returns, it has
/// returned and the later close of the mux never does, or all is well. The record goes on with closes some scheduling
/// steps later; the model knows only this one.
pub(super) fn race(operation: &str) -> Result<char, String> {
    let mut replay = Replay::new("race");
    let plumbed = replay.caller.plumb("tap0", 0, I_LINK);
    replay.caller.set_address(plumbed.mux, "tap0", [10, 77, 0, 1]);
    let (call, starts_down) = match operation {
        "SIOCSLIFFLAGS up" => ("SIOCSLIFFLAGS with IFF_UP", true),
        "SIOCSLIFFLAGS down" => ("SIOCSLIFFLAGS without IFF_UP", false),
        "SIOCSLIFNAME on I" | "SIOCSLIFNAME on A" | "I_PUSH ip on I" => (operation, true),
        _ => (operation.split(" (").next().unwrap_or_default(), operation.contains("down")),
    };
    if !starts_down {
        replay.caller.set_up(plumbed.mux, "tap0", true);
        replay.caller.kernel.advance(Duration::from_secs(20));
    }
    if operation.contains("arp already unlinked") {
        replay.caller.ioctl(plumbed.mux, I_UNLINK, i64::from(plumbed.muxids[1]));
    }
    replay.caller.kernel.set_service(Service::Held);
    let started = replay.start(call)?;
    replay.close(plumbed.control);
    replay.caller.kernel.advance(Duration::from_secs(300));
    let ended = match started {
        Outcome::Asleep(ticket) => replay.caller.kernel.end_of(ticket).ok_or("still asleep")?,
        ended => ended,
    };
    let later = replay.close(plumbed.mux);
    Ok(if ended.hung() {
        'H'
    } else if later.hung() {
        'h'
    } else {
        '.'
    })
}

impl Replay {
    pub(super) fn thread_line(&mut self, line: &Line) -> Checked {
        match line.step.as_str() {
            "thread 1 starts" => {
                self.caller.kernel.set_service(Service::Held);
                let outcome = self.start(&line.call)?;
                self.ticket = if let Outcome::Asleep(ticket) = outcome { Some(ticket) } else { None };
                let seen =
                    if self.ticket.is_some() { "sleeping inside the kernel" } else { "already finished" };
                self.threads.insert("thread 1".to_owned(), outcome);
                equal("thread 1", line.note.as_str(), seen)
            }
            "thread 2" => {
                let outcome = self.close(self.last_control);
                self.threads.insert("thread 2".to_owned(), outcome.clone());
                line.compare(&outcome)
            }
            "signal" if line.args.starts_with("thread 1") => {
                let ticket = self.ticket.ok_or("thread 1 does not sleep")?;
                let outcome = self.caller.kernel.signal(ticket).ok_or("nobody to signal")?;
                line.compare(&outcome)
            }
            _ => {
                let thread = if line.args.starts_with("thread 1") { "thread 1" } else { "thread 2" };
                let outcome = self.end_of(thread)?;
                line.compare(&outcome)
            }
        }
    }

    fn end_of(&mut self, thread: &str) -> Result<Outcome, String> {
        self.caller.kernel.set_service(Service::Prompt);
        match self.threads.get(thread) {
            Some(Outcome::Asleep(ticket)) => {
                self.caller.kernel.end_of(*ticket).ok_or("still asleep".to_owned())
            }
            Some(outcome) => Ok(outcome.clone()),
            None => Err(format!("{thread} was never started")),
        }
    }

    fn start(&mut self, operation: &str) -> Result<Outcome, String> {
        let mux = 3;
        Ok(match operation {
            "close(M)" | "close(M), interface already down" => self.caller.call(Call::Close { fd: mux }),
            "I_UNLINK ip_muxid" => self.caller.ioctl(mux, I_UNLINK, 1),
            "I_UNLINK arp_muxid" => self.caller.ioctl(mux, I_UNLINK, 2),
            "SIOCSLIFNAME on I" => {
                let ip = self.caller.must_open("/dev/tap");
                self.caller.push(ip, "ip");
                self.caller.lif(ip, abi::SIOCSLIFNAME, &lifreq("vm0", 0, IFF_IPV4)).0
            }
            "SIOCSLIFNAME on A" => {
                let arp = self.caller.must_open("/dev/tap");
                self.caller.push(arp, "arp");
                let request = lifreq("tap0", 0, IFF_IPV4);
                self.caller.str_ioctl(arp, abi::SIOCSLIFNAME, Lifreq::LEN as i32, &request.0).0
            }
            "I_PUSH ip on I" => {
                let ip = self.caller.must_open("/dev/tap");
                self.caller.push(ip, "ip")
            }
            "SIOCSLIFFLAGS without IFF_UP" => self.set_flags(mux, 0),
            "SIOCSLIFFLAGS with IFF_UP" => self.set_flags(mux, IFF_UP),
            other => return Err(format!("{UNKNOWN} {other}")),
        })
    }

    fn set_flags(&mut self, mux: i32, flags: u64) -> Outcome {
        self.caller.lif(mux, abi::SIOCSLIFFLAGS, &lifreq("tap0", 0, flags)).0
    }
}
