//! Lines that stand for many rounds, or for the attach sequence broken off after a step.
//!
//! Lines of two threads stand for a race: one is inside the kernel while the other closes the control stream.

use std::time::Duration;

use streams_model::abi::{I_LINK, I_UNLINK, IFF_IPV4, IFF_UP};
use streams_model::{Call, Lifreq, Outcome, Service, abi};

use super::line::Line;
use super::{Checked, Replay, UNKNOWN, equal};
use crate::caller::{Caller, Plumbed, fd_of, lifreq};

/// Steps of the attach sequence.
const STEPS: usize = 17;

/// The descriptors and ids a broken-off attach holds.
#[derive(Default)]
struct Partial {
    mux: Option<i32>,
    control: Option<i32>,
    ip: Option<i32>,
    arp: Option<i32>,
    muxids: Vec<i32>,
}

impl Replay {
    pub(super) fn round_line(&mut self, line: &Line) -> Checked {
        match line.call.as_str() {
            "(rollback: unlink, close A, I, M, C)" => self.broken_off(line, Partial::roll_back),
            "(exit: all fds closed, ascending)" => self.broken_off(line, |_, caller| {
                caller.kernel.exit();
            }),
            "(all fds closed, descending)" => self.broken_off(line, |partial, caller| {
                partial.close(caller, &[partial.arp, partial.ip, partial.control, partial.mux]);
            }),
            "(C closed first, then M, I, A)" => self.broken_off(line, |partial, caller| {
                partial.close(caller, &[partial.control, partial.mux, partial.ip, partial.arp]);
            }),
            "(late service: documented rollback)" => self.broken_off(line, Partial::roll_back),
            "(late service: C closed first, then A, I, M)" => self.broken_off(line, |partial, caller| {
                partial.close(caller, &[partial.control, partial.arp, partial.ip, partial.mux]);
            }),
            "(loop)" if line.case == "C.reattach-100" => self.many_rounds(line, 100, round_in_full),
            "(loop)" => self.many_rounds(line, 100, round_by_closing),
            "(20 rounds attach, up, traffic, detach)" => self.many_rounds(line, 20, round_in_full),
            "(300 rounds, a different schedule each)" => self.many_schedules(line, round_in_full),
            "(300 rounds)" if line.note.contains("hang") => {
                self.many_schedules(line, round_closing_control_first)
            }
            "(300 rounds)" => self.many_schedules(line, round_by_closing),
            "(stuck)" => {
                self.caller.kernel.set_service(Service::Late);
                let plumbed = up(&mut self.caller);
                self.caller.set_up(plumbed.mux, "tap0", false);
                equal("close of C", Outcome::Done(0), self.caller.close(plumbed.control))?;
                line.compare(&self.caller.close(plumbed.mux))
            }
            other => Err(format!("{UNKNOWN} {other}")),
        }
    }

    /// Attaches up to the step the line names, undoes it, and looks whether anything is left.
    fn broken_off(&mut self, line: &Line, undo: impl Fn(&Partial, &mut Caller)) -> Checked {
        let last: usize = line.step.split([' ', ',']).find_map(|word| word.parse().ok()).ok_or("no step")?;
        let mut partial = Partial::default();
        (1..=last.min(STEPS)).for_each(|step| partial.step(&mut self.caller, step));
        undo(&partial, &mut self.caller);
        let probe = self.caller.must_open("/dev/tap");
        let free = self.caller.new_ppa(probe, 0) == Outcome::Done(0);
        self.caller.close(probe);
        let clean = self.caller.kernel.open_streams() == 0 && self.state() == "no interfaces" && free;
        equal("clean", line.ret, Some(i64::from(clean)))
    }

    fn many_rounds(&mut self, line: &Line, rounds: usize, round: fn(&mut Caller) -> Plumbed) -> Checked {
        let all: Vec<_> = (0..rounds).map(|_| round(&mut self.caller)).collect();
        let wrong = all.iter().filter(|plumbed| (plumbed.mux, plumbed.control) != (3, 4)).count();
        equal("failed checks", line.ret, Some(wrong as i64))?;
        let (first, last) = (all[0].muxids[0], all[rounds - 1].muxids[1]);
        equal("ids", (1, 2 * rounds as i32), (first, last))
    }

    /// The observer's schedules were random orders of the real kernel's threads; the model has two orders of service.
    fn many_schedules(&mut self, line: &Line, round: fn(&mut Caller) -> Plumbed) -> Checked {
        let schedules = [Service::Late, Service::Prompt].into_iter().cycle().take(300);
        let failed = schedules.filter(|service| {
            self.caller.kernel.set_service(*service);
            round(&mut self.caller);
            self.caller.kernel.open_streams() != 0 || !self.caller.kernel.interface_states().is_empty()
        });
        equal("rounds with a failed check", line.ret, Some(failed.count() as i64))
    }
}

impl Partial {
    fn step(&mut self, caller: &mut Caller, step: usize) {
        let fd = |descriptor: Option<i32>| i64::from(descriptor.unwrap_or(-1));
        let done = Outcome::Done(0);
        match step {
            1 => self.mux = Some(caller.must_open("/dev/udp")),
            2 => assert_eq!(caller.push(fd(self.mux) as i32, "arp"), done),
            3 => self.control = Some(caller.must_open("/dev/tap")),
            4 => assert_eq!(caller.new_ppa(fd(self.control) as i32, 0), done),
            5 => caller.message_mode(fd(self.control) as i32),
            6 => self.ip = Some(caller.must_open("/dev/tap")),
            7 => assert_eq!(caller.push(fd(self.ip) as i32, "ip"), done),
            8 => assert_eq!(
                caller.lif(fd(self.ip) as i32, abi::SIOCSLIFNAME, &lifreq("tap0", 0, IFF_IPV4)).0,
                done
            ),
            9 => self.arp = Some(caller.must_open("/dev/tap")),
            10 => assert_eq!(caller.push(fd(self.arp) as i32, "arp"), done),
            11 => {
                let name = lifreq("tap0", 0, IFF_IPV4);
                let arp = fd(self.arp) as i32;
                assert_eq!(caller.str_ioctl(arp, abi::SIOCSLIFNAME, Lifreq::LEN as i32, &name.0).0, done);
            }
            12 => self.muxids.push(fd_of(&caller.ioctl(fd(self.mux) as i32, I_LINK, fd(self.ip)))),
            13 => self.muxids.push(fd_of(&caller.ioctl(fd(self.mux) as i32, I_LINK, fd(self.arp)))),
            14 => {
                let lower = [self.ip.take(), self.arp.take()];
                self.close(caller, &lower);
            }
            15 => caller.set_address(fd(self.mux) as i32, "tap0", [10, 77, 0, 1]),
            16 => assert_eq!(caller.set_up(fd(self.mux) as i32, "tap0", true), done),
            _ => caller.kernel.advance(Duration::from_secs(20)),
        }
    }

    fn roll_back(&self, caller: &mut Caller) {
        for id in self.muxids.iter().rev() {
            assert_eq!(caller.ioctl(self.mux.unwrap_or(-1), I_UNLINK, i64::from(*id)), Outcome::Done(0));
        }
        self.close(caller, &[self.arp, self.ip, self.mux, self.control]);
    }

    fn close(&self, caller: &mut Caller, fds: &[Option<i32>]) {
        for fd in fds.iter().flatten() {
            assert_eq!(caller.close(*fd), Outcome::Done(0));
        }
    }
}

fn up(caller: &mut Caller) -> Plumbed {
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    caller.set_address(plumbed.mux, "tap0", [10, 77, 0, 1]);
    assert_eq!(caller.set_up(plumbed.mux, "tap0", true), Outcome::Done(0));
    caller.kernel.advance(Duration::from_secs(20));
    plumbed
}

fn round_in_full(caller: &mut Caller) -> Plumbed {
    let plumbed = up(caller);
    assert_eq!(caller.drain(plumbed.control).len(), 8);
    for id in plumbed.muxids.iter().rev() {
        assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, i64::from(*id)), Outcome::Done(0));
    }
    caller.close(plumbed.mux);
    caller.close(plumbed.control);
    plumbed
}

fn round_by_closing(caller: &mut Caller) -> Plumbed {
    let plumbed = up(caller);
    caller.close(plumbed.mux);
    caller.close(plumbed.control);
    plumbed
}

fn round_closing_control_first(caller: &mut Caller) -> Plumbed {
    let plumbed = up(caller);
    caller.close(plumbed.control);
    caller.close(plumbed.mux);
    plumbed
}

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
