//! Lines that stand for loops.

use streams_model::{Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::Datalinks;
use super::frames::{self, SIM1};
use super::stations::{bind_request, words};

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
