//! Lines of a second thread that sleeps in a call, and those that count.

use streams_model::{Arena, Call, Errno, LinkClass, Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::Datalinks;
use super::frames::{self, SIM1};

/// Frames a thread writes, and room it reads with.
const LENGTH: usize = 1514;
const ROOM: usize = 2000;
/// Milliseconds between two looks of the observer at a thread.
const LOOK: u64 = 100;
/// Writes after which a stream that never stops is given up.
const MANY: usize = 5000;

impl Datalinks {
    /// A call of a thread: it waits, it returns once something has changed, or a signal ends it.
    pub(super) fn thread_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let reads = line.call == "(thread: read)";
        self.set_blocking(fd, true);
        let checked = if line.args.contains("= waits") {
            equal("waits", line.ret, Some(i64::from(self.attempt(fd, reads)? == Outcome::WouldBlock)))
        } else if line.args.contains("signal") {
            self.interrupted(line, fd, reads)
        } else {
            self.returned(line, fd, reads)
        };
        self.set_blocking(fd, false);
        checked
    }

    /// The call as the thread makes it.
    fn attempt(&mut self, fd: i32, reads: bool) -> Result<Outcome, String> {
        if reads {
            return Ok(self.caller.read(fd, ROOM).0);
        }
        let frame = frames::numbered(LENGTH, &frames::header(SIM1, self.address_of(fd)?, 0x800), 0);
        Ok(self.caller.write(fd, &frame))
    }

    fn returned(&mut self, line: &Line, fd: i32, reads: bool) -> Checked {
        let mut outcome = Outcome::WouldBlock;
        let passed = self.advance_in_ticks(|replay| {
            outcome = replay.attempt(fd, reads).unwrap_or(Outcome::Failed(Errno::EBADF));
            outcome != Outcome::WouldBlock
        });
        line.compare(&outcome)?;
        let after =
            line.note.split("about ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        match after {
            // The observer looked now and then: the call had returned since the look before.
            Some(after) if !(after.saturating_sub(LOOK)..=after).contains(&passed) => {
                Err(format!("observed a return after {after} ms, the model's after {passed}"))
            }
            _ => Ok(()),
        }
    }

    /// The thread makes the call until it waits; then a signal comes.
    fn interrupted(&mut self, line: &Line, fd: i32, reads: bool) -> Checked {
        for _ in 0..MANY {
            if self.attempt(fd, reads)? == Outcome::WouldBlock {
                return line.compare(&Outcome::Failed(Errno::EINTR));
            }
        }
        Err("the call never waits".to_owned())
    }

    fn set_blocking(&mut self, fd: i32, blocking: bool) {
        let argument = i64::from(if blocking { abi::O_RDWR } else { abi::O_RDWR | abi::O_NONBLOCK });
        let call = Call::Fcntl { fd, command: abi::F_SETFL, argument };
        self.caller.kernel.call(&mut Arena::new(), call);
    }

    /// How often the streams of a NIC's links asked it to let every frame in.
    pub(super) fn state_line(&mut self, line: &Line) -> Checked {
        if let Some(lower) = line.args.split("lower link ").nth(1).and_then(|rest| rest.split(' ').next()) {
            self.lower = lower.to_owned();
        }
        let states = self.caller.kernel.datalink_states();
        if self.lower.is_empty() {
            let asked = line.args.contains("promisc") || line.args.contains("references");
            let nic = states.iter().find(|state| state.class == LinkClass::Nic).filter(|_| asked);
            self.lower = nic.ok_or_else(|| format!("{UNKNOWN} the state {}", line.args))?.name.clone();
        }
        let on_it = |state: &&streams_model::DatalinkState| {
            state.name == self.lower || state.over.as_ref() == Some(&self.lower)
        };
        let references: usize = states.iter().filter(on_it).map(|state| state.promiscuity).sum();
        equal("references", line.ret, Some(references as i64))
    }

    pub(super) fn wire_line(&mut self, line: &Line) -> Checked {
        let seen = self.wire_count();
        equal("frames on the wire", line.ret, Some(seen as i64))
    }
}
