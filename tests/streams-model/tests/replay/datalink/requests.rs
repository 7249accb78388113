//! Lines that send: frames, primitives, ioctls.

use std::time::Duration;

use streams_model::{Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::Datalinks;
use super::compound::words;
use super::frames::{self, SIM1};

/// The number of the frame in the observer's units of data, and of the first of two frames in one write.
const UNIT_NUMBER: u8 = 0x21;
const PAIR_NUMBER: u8 = 0x31;
const IP: u16 = 0x800;
/// Writes after which a stream that never refuses is given up.
const MANY: usize = 200_000;

impl Datalinks {
    pub(super) fn write_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        if line.call == "writev" {
            return self.gather_line(line, fd);
        }
        let told = line.argument_at(1).split(' ').next().and_then(|length| length.parse().ok());
        let again = self.last_length.filter(|_| line.args.contains("again"));
        let length = told.or(again).ok_or_else(|| format!("{UNKNOWN} a write of {}", line.args))?;
        self.last_length = Some(line.bounded(length));
        let told = frames::written(line, length);
        if let Some(destination) = told.as_ref().and_then(|frame| frame.get(..6)) {
            self.last_destination.copy_from_slice(destination);
        }
        if let Some(number) = told.as_ref().and_then(|frame| frame.get(14)) {
            self.last_number = *number;
        }
        let frame = match told {
            Some(frame) => frame,
            None => frames::numbered(length, &frames::header(SIM1, self.address_of(fd)?, IP), 0),
        };
        if line.args.contains("until refused") {
            return self.fill_line(line, fd, &frame);
        }
        if let Some(count) = line.note.strip_suffix(" frames on the wire before it") {
            let seen = self.wire_count();
            equal("frames on the wire", count.parse().ok(), Some(seen))?;
        }
        line.compare(&self.caller.write(fd, &frame))
    }

    /// Writes until flow control refuses one.
    fn fill_line(&mut self, line: &Line, fd: i32, frame: &[u8]) -> Checked {
        let mut written = 0;
        let refused = loop {
            match self.caller.write(fd, frame) {
                Outcome::Done(_) if written < MANY => written += 1,
                outcome => break outcome,
            }
        };
        line.compare(&refused)?;
        let noted = |suffix: &str| {
            let words: Vec<&str> = line.note.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let at =
                words.windows(suffix.split(' ').count() + 1).find(|words| words[1..].join(" ") == suffix)?;
            at[0].parse::<usize>().ok()
        };
        if let Some(count) = noted("writes succeeded").or_else(|| noted("writes")) {
            equal("writes", count, written)?;
        }
        match noted("frames on the wire so far") {
            Some(count) => equal("frames on the wire", count, self.wire_count()),
            None => Ok(()),
        }
    }

    fn gather_line(&mut self, line: &Line, fd: i32) -> Checked {
        let source = self.address_of(fd)?;
        let head = frames::header(SIM1, source, IP);
        if line.args.contains("two whole frames") {
            let length = *line.numbers().last().ok_or("no length")? as usize;
            let pair = [0, 1].map(|index| frames::numbered(length, &head, PAIR_NUMBER + index));
            return line.compare(&self.caller.writev(fd, &[&pair[0], &pair[1]]));
        }
        self.gathered += 1;
        let lengths = line.lengths();
        let frame = frames::numbered(lengths.iter().sum(), &head, self.gathered);
        let mut rest = frame.as_slice();
        let mut pieces = Vec::new();
        for length in lengths {
            let (piece, behind) = rest.split_at(length);
            pieces.push(piece);
            rest = behind;
        }
        line.compare(&self.caller.writev(fd, &pieces))
    }

    pub(super) fn putmsg_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        if line.args.contains("ctl=") {
            return self.primitive_line(line);
        }
        let length = line.keyed_number("data.len").map(|length| length as usize);
        if line.args.contains("DL_UNITDATA_REQ") {
            return self.unit_line(line, fd, length);
        }
        let head = frames::header(SIM1, self.address_of(fd)?, IP);
        self.put += u8::from(length.is_some());
        let data = length.map(|length| frames::numbered(length, &head, self.put));
        let control = line.keyed_number("ctl.len").map(|length| vec![0; length as usize]);
        let flags = if line.args.contains("RS_HIPRI") { abi::RS_HIPRI } else { 0 };
        line.compare(&self.caller.putmsg_with(fd, control.as_deref(), data.as_deref(), flags))
    }

    /// A unit of data to the wire's far end, 46 bytes where no length is told.
    fn unit_line(&mut self, line: &Line, fd: i32, length: Option<usize>) -> Checked {
        const DEFAULT_LENGTH: usize = 46;
        const REQUEST: u32 = 20;
        let address_length = if line.args.contains("address of 6") { 6 } else { 8 };
        let address = [&SIM1[..], &IP.to_le_bytes()].concat();
        let head = words(&[abi::DL_UNITDATA_REQ, address_length, REQUEST, 0, 0]);
        let control = [&head[..], &address].concat();
        let payload = frames::numbered(14 + length.unwrap_or(DEFAULT_LENGTH), &[0; 14], UNIT_NUMBER);
        let data = (!line.args.contains("without data")).then(|| &payload[14..]);
        line.compare(&self.caller.putmsg(fd, Some(&control), data))
    }

    /// A primitive by its bytes; where the note says so, its answer is taken at once.
    pub(super) fn primitive_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let control = frames::bytes_of(line.args.split("ctl=").nth(1).unwrap_or_default());
        equal("control bytes told", line.keyed_number("ctl.len"), Some(control.len() as i64))?;
        let flags = line.keyed_number("flags").unwrap_or(0) as i32;
        let outcome = self.caller.putmsg_with(fd, Some(&control), None, flags);
        line.compare(&outcome)?;
        let Some(taken) = line.note.strip_prefix("answer taken: ") else { return Ok(()) };
        let answer = self.caller.getmsg(fd, 16384, 256).control.unwrap_or_default();
        let refused = answer.get(..4) == Some(&abi::DL_ERROR_ACK.to_le_bytes());
        if refused == taken.starts_with("accepted") {
            return Err(format!("observed {taken}, the model answers {}", frames::decoded(&answer)));
        }
        Ok(())
    }

    pub(super) fn ioctl_line(&mut self, line: &Line) -> Checked {
        let fd = line.fd(0);
        let value = || line.argument_at(1).parse::<i64>().unwrap_or(0);
        let outcome = match line.call.as_str() {
            "I_STR" => return self.str_line(line, fd),
            "I_PUSH" => self.caller.push(fd, line.argument_at(1)),
            "I_POP" => self.caller.ioctl(fd, abi::I_POP, 0),
            "I_CANPUT" => self.caller.ioctl(fd, abi::I_CANPUT, value()),
            "I_LOOK" => {
                let (outcome, name) = self.caller.ioctl_bytes(fd, abi::I_LOOK, &[0; 9]);
                line.compare(&outcome)?;
                let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
                return equal("name", line.note.as_str(), name.as_str());
            }
            "I_LIST" => {
                let (outcome, names) = self.caller.list(fd);
                line.compare(&outcome)?;
                return equal("names", line.note.clone(), names.join(" "));
            }
            call if call.starts_with("I_SRDOPT") => self.caller.ioctl(fd, abi::I_SRDOPT, value()),
            call if call.starts_with("I_FLUSH") => self.caller.ioctl(fd, abi::I_FLUSH, value()),
            call if call.starts_with("ioctl ") => {
                let name = call.split(' ').nth(1).unwrap_or_default();
                self.caller.ioctl(fd, request_of(name)?, value())
            }
            call => return Err(format!("{UNKNOWN} {call}")),
        };
        line.compare(&outcome)
    }

    fn str_line(&mut self, line: &Line, fd: i32) -> Checked {
        let text = line.args.split_once(", ").map_or("", |(_, rest)| rest);
        let mut parts = text.split(' ').filter(|part| !part.starts_with("ic_len="));
        let name = parts.next().unwrap_or_default();
        let name = if name == "unknown" { parts.next().unwrap_or_default() } else { name };
        let request = request_of(name)?;
        let length = line.keyed_number("ic_len").ok_or_else(|| format!("{UNKNOWN} {}", line.args))? as usize;
        let value = parts.next().map(|part| part.trim_end_matches(','));
        let mut data = match value {
            Some(value) => parameter(request, value, parts.next())?,
            // The observer's buffer held the words of the line, where it had no value for it.
            None => line.args.clone().into_bytes(),
        };
        data.resize(length, 0);
        let is_bufmods = matches!(request, abi::SBIOCSTIME..=abi::SBIOCGFLAGS);
        if is_bufmods && line.ret == Some(0) && !self.caller.list(fd).1.contains(&"bufmod".to_owned()) {
            // The observer pushed it without a line of its own.
            self.caller.push(fd, "bufmod");
        }
        let (outcome, answered, data) = self.caller.str_ioctl(fd, request, length as i32, &data);
        line.compare(&outcome)?;
        let noted = line.note.strip_prefix("ic_len=").and_then(|rest| rest.split(' ').next()?.parse().ok());
        equal("ic_len", noted, Some(answered))?;
        match line.note.split("data=").nth(1) {
            Some(seen) if !frames::digits_match(seen, &data) => {
                Err(format!("data: observed {seen}, the model gives {}", frames::hex(&data)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn advance_in_ticks(&mut self, mut until: impl FnMut(&mut Self) -> bool) -> u64 {
        const TICK: u64 = 10;
        let mut passed = 0;
        while !until(self) && passed < 600_000 {
            self.caller.kernel.advance(Duration::from_millis(TICK));
            passed += TICK;
        }
        passed
    }
}

fn request_of(name: &str) -> Result<u32, String> {
    let known = abi::STREAM_REQUESTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value as u32);
    let number = || u32::from_str_radix(name.strip_prefix("0x")?, 16).ok();
    known.or_else(number).ok_or_else(|| format!("{UNKNOWN} the request {name}"))
}

/// The bytes of a parameter: flags by name, numbers, a time.
fn parameter(request: u32, value: &str, unit: Option<&str>) -> Result<Vec<u8>, String> {
    if value.starts_with("SB_") {
        let flag = |name: &str| {
            let found = abi::DATALINK_FLAGS.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value as u32).ok_or_else(|| format!("{UNKNOWN} {name}"))
        };
        let flags = value.split('|').try_fold(0, |all, name| Ok::<_, String>(all | flag(name)?))?;
        return Ok(flags.to_le_bytes().to_vec());
    }
    let number: u64 = value.parse().map_err(|_| format!("{UNKNOWN} the value {value}"))?;
    if request != abi::SBIOCSTIME {
        return Ok((number as u32).to_le_bytes().to_vec());
    }
    // What the observer called milliseconds it passed as microseconds: each frame then was a chunk of its own, as with
    // a time of less than a tick.
    let micros = if unit.is_some_and(|unit| unit.starts_with("ms")) { number } else { 0 };
    let seconds = if unit.is_some_and(|unit| unit.starts_with('s')) { number } else { 0 };
    Ok([seconds.to_le_bytes(), micros.to_le_bytes()].concat())
}
