//! Lines that do several calls at once: stations, and everything readable.

use streams_model::{Outcome, abi};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN, equal};
use super::{Datalinks, text};

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
            Err(format!("the model refuses: {}", text::decoded(&answer)))
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
            let seen: Vec<_> = frames.iter().map(|frame| text::packet(frame)).collect();
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
                seen.push(format!("[ctl {}]", text::decoded(control)));
            }
            if let Some(data) = &got.data {
                seen.push(text::frame(data));
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
