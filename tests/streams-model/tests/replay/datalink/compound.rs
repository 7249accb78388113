//! Lines that do several calls at once: stations, everything readable, and loops.

use streams_model::{Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::frames::SIM1;
use super::{Datalinks, frames};

/// The levels by their names in the record.
const LEVELS: &[(&str, u32)] = &[
    ("PHYS", abi::DL_PROMISC_PHYS),
    ("SAP", abi::DL_PROMISC_SAP),
    ("MULTI", abi::DL_PROMISC_MULTI),
    ("RX_ONLY", abi::DL_PROMISC_RX_ONLY),
];

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn bind_request(sap: u32) -> Vec<u8> {
    words(&[abi::DL_BIND_REQ, sap, 0, abi::DL_CLDLS, 0])
}

impl Datalinks {
    /// "PATH: step, step, ..."; its steps in their order.
    pub(super) fn station_line(&mut self, line: &Line) -> Checked {
        let (path, steps) =
            line.args.split_once(": ").ok_or_else(|| format!("{UNKNOWN} a station {}", line.args))?;
        let outcome = self.caller.open(path, abi::O_RDWR | abi::O_NONBLOCK);
        self.note_opened(path, &outcome);
        line.compare(&outcome)?;
        let fd = outcome.result().map_or(-1, |fd| fd as i32);
        steps.split(", ").try_for_each(|step| self.station_step(fd, step))
    }

    fn station_step(&mut self, fd: i32, step: &str) -> Checked {
        if let Some(levels) = step.strip_prefix("promisc ") {
            return self.station_levels(fd, levels);
        }
        match step.split(' ').collect::<Vec<_>>()[..] {
            ["open"] => Ok(()),
            ["DLIOCRAW"] => {
                let (outcome, ..) = self.caller.str_ioctl(fd, abi::DLIOCRAW, 0, &[]);
                equal("DLIOCRAW", Outcome::Done(0), outcome)
            }
            ["bind", sap] => {
                let sap = u32::from_str_radix(sap.trim_start_matches("0x"), 16);
                self.accepted(fd, &bind_request(sap.map_err(|_| format!("{UNKNOWN} {step}"))?))
            }
            ["RMSGD"] => {
                equal("RMSGD", Outcome::Done(0), self.caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD)))
            }
            _ => Err(format!("{UNKNOWN} a station's {step}")),
        }
    }

    /// "{A B } in the order B A C".
    fn station_levels(&mut self, fd: i32, levels: &str) -> Checked {
        let (set, order) = levels.split_once('}').ok_or_else(|| format!("{UNKNOWN} levels {levels}"))?;
        let set: Vec<&str> = set.trim_start_matches('{').split(' ').filter(|name| !name.is_empty()).collect();
        let order: Vec<&str> = order.trim_start_matches(" in the order ").split(' ').collect();
        let order = if order.len() > 1 { order } else { set.clone() };
        for name in order.into_iter().filter(|name| set.contains(name)) {
            let level =
                LEVELS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("{UNKNOWN} {name}"))?;
            self.accepted(fd, &words(&[abi::DL_PROMISCON_REQ, level.1]))?;
        }
        Ok(())
    }

    /// A request that is accepted, its answer taken.
    pub(super) fn accepted(&mut self, fd: i32, request: &[u8]) -> Checked {
        equal("putmsg", Outcome::Done(0), self.caller.putmsg(fd, Some(request), None))?;
        let answer = self.caller.getmsg(fd, 256, 256).control.unwrap_or_default();
        let refused = answer.get(..4) == Some(&abi::DL_ERROR_ACK.to_le_bytes());
        if refused || answer.is_empty() {
            Err(format!("the model refuses: {}", frames::decoded(&answer)))
        } else {
            Ok(())
        }
    }

    pub(super) fn bufmod_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let number = |word: &str| {
            let text = line.word_after(word).unwrap_or("0");
            let parsed = match text.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => text.parse(),
            };
            parsed.map_err(|_| format!("{UNKNOWN} {word} {text}"))
        };
        equal("I_PUSH", Outcome::Done(0), self.caller.push(fd, "bufmod"))?;
        let steps = [(abi::SBIOCSFLAGS, number("flags")?), (abi::SBIOCSCHUNK, number("chunk")?)];
        for (request, value) in steps {
            let (outcome, ..) = self.caller.str_ioctl(fd, request, 4, &value.to_le_bytes());
            equal("bufmod", Outcome::Done(0), outcome)?;
        }
        line.compare(&self.caller.str_ioctl(fd, abi::SBIOCSTIME, 16, &[0; 16]).0)
    }

    /// All messages, in the record's words; by read and with a verdict on the checksums where ret counts frames.
    pub(super) fn everything_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        if line.args.contains("ret = frames") {
            let frames = self.caller.drain(fd);
            equal("frames", line.ret, Some(frames.len() as i64))?;
            let seen: Vec<_> = frames.iter().map(|frame| frames::packet_in_words(frame)).collect();
            let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(" ") };
            return equal("frames", line.note.trim(), seen.as_str());
        }
        let mut seen = Vec::new();
        loop {
            let got = self.caller.getmsg(fd, 16384, 131_072);
            if !matches!(got.outcome, Outcome::Done(_)) {
                break;
            }
            if let Some(control) = &got.control {
                seen.push(format!("[ctl {}]", frames::decoded(control)));
            }
            if let Some(data) = &got.data {
                seen.push(frames::in_words(data));
            }
        }
        let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(" ") };
        equal("ret", line.ret, Some(0))?;
        equal("messages", line.note.trim(), seen.as_str())
    }

    pub(super) fn link_of(&self, fd: i32) -> Result<String, String> {
        self.links.get(&fd).cloned().ok_or_else(|| format!("descriptor {fd} is on no link"))
    }

    /// The address of the link a descriptor is on.
    pub(super) fn address_of(&self, fd: i32) -> Result<[u8; 6], String> {
        let link = self.link_of(fd)?;
        let states = self.caller.kernel.datalink_states();
        states
            .iter()
            .find(|state| state.name == link)
            .map(|state| state.address)
            .ok_or_else(|| format!("no {link}"))
    }
}

/// Numbers a burst's note shows at most.
const SHOWN: usize = 19;

impl Datalinks {
    /// So many frames of a length to a reader that does not read, and then how many it can.
    pub(super) fn burst_line(&mut self, line: &Line) -> Checked {
        let (count, length) =
            burst_of(&line.args).ok_or_else(|| format!("{UNKNOWN} a burst of {}", line.args))?;
        line.bounded(count.saturating_mul(length) as usize / 1024);
        let reader = if line.args.starts_with("fd") { line.fd(0) } else { self.reader_or_new()? };
        let destination = self.address_of(reader)?;
        let nic = self.lower_of(reader)?;
        let head = frames::header(destination, SIM1, 0x800);
        for number in 0..count {
            let frame = frames::numbered(length as usize, &head, number as u8);
            self.caller.kernel.wire_brings(&nic, &frame).map_err(|errno| format!("{nic}: {errno}"))?;
        }
        let frames = self.caller.drain(reader);
        equal("readable", line.ret, Some(frames.len() as i64))?;
        if line.note.is_empty() {
            return Ok(());
        }
        let numbers =
            frames.iter().take(SHOWN).map(|frame| format!("{:02x}", frame.get(14).copied().unwrap_or(0)));
        equal("numbers", line.note.trim().to_owned(), numbers.collect::<Vec<_>>().join(" "))
    }

    /// A bound reader on the first vnic, where the record shows none.
    fn reader_or_new(&mut self) -> Result<i32, String> {
        if let Some(reader) = self.reader {
            return Ok(reader);
        }
        let fd = self.open_hidden("vnic0")?;
        self.accepted(fd, &bind_request(0x800))?;
        Ok(fd)
    }

    /// A stream in raw mode that reads a frame at a time.
    fn open_hidden(&mut self, link: &str) -> Result<i32, String> {
        let path = format!("/dev/net/{link}");
        let outcome = self.caller.open(&path, abi::O_RDWR | abi::O_NONBLOCK);
        self.note_opened(&path, &outcome);
        let fd = outcome.result().map_err(|errno| format!("{path}: {errno}"))? as i32;
        equal("DLIOCRAW", Outcome::Done(0), self.caller.str_ioctl(fd, abi::DLIOCRAW, 0, &[]).0)?;
        equal("RMSGD", Outcome::Done(0), self.caller.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD)))?;
        Ok(fd)
    }

    fn lower_of(&self, fd: i32) -> Result<String, String> {
        let link = self.link_of(fd)?;
        let states = self.caller.kernel.datalink_states();
        let state = states.iter().find(|state| state.name == link).ok_or_else(|| format!("no {link}"))?;
        Ok(state.over.clone().unwrap_or(link))
    }

    /// The whole life of a stream, again and again; nothing may be different in a later one.
    pub(super) fn cycles_line(&mut self, line: &Line) -> Checked {
        let rounds: usize = line
            .call
            .trim_start_matches('(')
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        // The station on the wire that sends the frames stays open.
        self.open_hidden("sim1")?;
        let before = self.caller.kernel.snapshot();
        let mut failed = 0;
        let mut first = None;
        for _ in 0..rounds {
            let fd = self.open_hidden("vnic0")?;
            self.accepted(fd, &bind_request(0))?;
            for level in [abi::DL_PROMISC_RX_ONLY, abi::DL_PROMISC_SAP, abi::DL_PROMISC_MULTI] {
                self.accepted(fd, &words(&[abi::DL_PROMISCON_REQ, level]))?;
            }
            let head = frames::header(self.address_of(fd)?, SIM1, 0x800);
            for number in 0..2 {
                let frame = frames::numbered(60, &head, number);
                self.caller.kernel.wire_brings("sim0", &frame).map_err(|errno| errno.to_string())?;
            }
            let (read, _) = self.caller.read(fd, 2000);
            self.caller.close(fd);
            self.links.remove(&fd);
            let same = *first.get_or_insert(fd) == fd && read == Outcome::Done(60);
            failed += i64::from(!same || self.caller.kernel.snapshot() != before);
        }
        self.reader = None;
        equal("failed checks", line.ret, Some(failed))
    }
}

/// "200 frames of 60", "3 more of 60": how many, and how long.
fn burst_of(text: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = text.split([' ', ',', ';', ':']).collect();
    words.windows(4).find_map(|words| match *words {
        [count, "frames" | "more", "of", length] => Some((count.parse().ok()?, length.parse().ok()?)),
        _ => None,
    })
}
