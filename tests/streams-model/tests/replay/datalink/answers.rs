//! Lines that take what has come: read, getmsg, poll and their like. Then those of a second thread that sleeps in a call, and
//! those that count.

use streams_model::{Arena, Call, Errno, LinkClass, Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::frames::SIM1;
use super::{Datalinks, frames};

/// Room of a getmsg that tells none.
const ROOM: i32 = 131_072;

impl Datalinks {
    pub(super) fn answer_line(&mut self, line: &Line) -> Checked {
        match line.call.as_str() {
            "read" => self.read_line(line),
            "readv" => self.scatter_line(line),
            "getmsg" => self.getmsg_line(line),
            "poll" => self.poll_line(line),
            "I_PEEK" => self.peek_line(line),
            _ => {
                let (outcome, bytes) = self.caller.ioctl_bytes(line.fd(0), abi::I_NREAD, &[0; 4]);
                line.compare(&outcome)?;
                let length = i32::from_le_bytes(bytes.try_into().map_err(|_| "an int")?);
                let noted = line.note.strip_prefix("bytes=").and_then(|number| number.parse().ok());
                equal("bytes", noted, Some(length))
            }
        }
    }

    fn read_line(&mut self, line: &Line) -> Checked {
        let room = line.argument_at(1).split(' ').next().and_then(|room| room.parse().ok());
        let room = room.ok_or_else(|| format!("{UNKNOWN} a read of {}", line.args))?;
        let (outcome, bytes) = self.caller.read(line.fd(0), line.bounded(room));
        line.compare(&outcome)?;
        if let Some(number) = line.note.strip_prefix("number ") {
            return equal("number", number.parse().ok(), bytes.get(14).copied());
        }
        let seen = line.note.trim_start_matches("data=").trim_end_matches('.');
        let digits = seen.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, 'K' | 'U'));
        if digits && !frames::digits_match(seen, &bytes) {
            return Err(format!("bytes: observed {seen}, the model gives {}", frames::hex(&bytes)));
        }
        Ok(())
    }

    fn scatter_line(&mut self, line: &Line) -> Checked {
        let rooms = line.lengths();
        let (outcome, bytes) = self.caller.readv(line.fd(0), &rooms);
        line.compare(&outcome)?;
        let shown = bytes.get(14..16).unwrap_or(&[]);
        equal("payload", line.note.as_str(), frames::hex(shown).as_str())
    }

    /// A getmsg with room for all, unless the line tells otherwise; the words of the note repeat its digits.
    fn getmsg_line(&mut self, line: &Line) -> Checked {
        let told = |key: &str| line.keyed_number(key).map(|room| room as i32);
        let control =
            if line.args.contains("no ctl") { None } else { Some(told("ctl.maxlen").unwrap_or(16384)) };
        let flags = if line.args.contains("RS_HIPRI") { abi::RS_HIPRI } else { 0 };
        let data = told("data.maxlen").unwrap_or(ROOM);
        let (got, flags) = self.caller.getmsg_with(line.fd(0), control, Some(data), flags);
        let done = matches!(got.outcome, Outcome::Done(_));
        line.compare(&got.outcome)?;
        if !done {
            return Ok(());
        }
        let noted = |key: &str| line.noted(key).and_then(|text| text.split(' ').next()?.parse::<i64>().ok());
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(-1, |part| part.len() as i64);
        equal("flags", noted("flags"), Some(i64::from(flags)))?;
        equal("data.len", noted("data.len"), Some(length(&got.data)))?;
        if control.is_some() {
            equal("ctl.len", noted("ctl.len"), Some(length(&got.control)))?;
        }
        for (key, part) in [(" ctl=", got.control), (" data=", got.data)] {
            let behind = line.note.rsplit_once(key).map_or("", |(_, rest)| rest);
            // Without a part the last such word is one of the decoded primitive.
            let seen = if part.is_some() { behind.split(' ').next().unwrap_or_default() } else { "" };
            let digits = seen.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, 'K' | 'U'));
            let part = part.unwrap_or_default();
            if digits && !frames::digits_match(seen, &part) {
                let words = frames::decoded(&part);
                return Err(format!(
                    "{key}: observed {seen}, the model gives {words} {}",
                    frames::hex(&part)
                ));
            }
        }
        Ok(())
    }

    /// The value is the events that are there.
    fn poll_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let events = line.argument_at(1).split('|').try_fold(0_i16, |all, name| {
            let found = abi::POLL_NUMBERS.iter().find(|(known, _)| *known == name);
            found.map(|(_, bit)| all | *bit as i16).ok_or_else(|| format!("{UNKNOWN} {name}"))
        })?;
        let waits = line.word_after("timeout").is_some_and(|time| time != "0");
        let mut passed = 0;
        if waits {
            passed = self.advance_in_ticks(|replay| replay.caller.kernel.poll_events(fd, events) != 0);
        }
        let seen = self.caller.kernel.poll_events(fd, events);
        line.compare(&Outcome::Done(i64::from(seen)))?;
        let after = line.note.split("after ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        match after {
            Some(after) => equal("milliseconds", after, passed),
            None => Ok(()),
        }
    }

    fn peek_line(&mut self, line: &Line) -> Checked {
        let room = line.keyed_number("databuf.maxlen").unwrap_or(0) as i32;
        let (outcome, data) = self.caller.peek(line.fd(0), room);
        line.compare(&outcome)?;
        let data = data.unwrap_or_default();
        let seen = line.note.split(' ').nth(1).unwrap_or_default();
        equal(
            "databuf.len",
            line.noted("databuf.len").and_then(|text| text.split(' ').next()),
            Some(&*data.len().to_string()),
        )?;
        equal("bytes", frames::bytes_of(seen), data)
    }
}

/// Frames a thread writes, and room it reads with.
const LENGTH: usize = 1514;
const THREAD_ROOM: usize = 2000;
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
            return Ok(self.caller.read(fd, THREAD_ROOM).0);
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
