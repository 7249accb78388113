//! Lines that take what has come: read, getmsg, poll and their like.

use streams_model::{Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::{Datalinks, frames, text};

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
        if digits && !text::digits_match(seen, &bytes) {
            return Err(format!("bytes: observed {seen}, the model gives {}", text::hex(&bytes)));
        }
        Ok(())
    }

    fn scatter_line(&mut self, line: &Line) -> Checked {
        let rooms = line.lengths();
        let (outcome, bytes) = self.caller.readv(line.fd(0), &rooms);
        line.compare(&outcome)?;
        let shown = bytes.get(14..16).unwrap_or(&[]);
        equal("payload", line.note.as_str(), text::hex(shown).as_str())
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
            if digits && !text::digits_match(seen, &part) {
                let words = text::decoded(&part);
                return Err(format!("{key}: observed {seen}, the model gives {words} {}", text::hex(&part)));
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
