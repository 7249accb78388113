//! Lines that read, write, and exchange messages.

use std::net::Ipv4Addr;

use streams_model::Outcome;
use streams_model::abi;

use super::line::Line;
use super::{Checked, Replay, equal};

/// `O_T_BIND_REQ` and `T_UNITDATA_REQ` of `sys/tihdr.h`.
const BIND: u32 = 6;
const UNITDATA: u32 = 8;

impl Replay {
    pub(super) fn data_line(&mut self, line: &Line, operation: &str) -> Checked {
        match operation {
            "read" => self.read_line(line),
            "write" => {
                let frame = frame_of(line);
                equal("length of the frame", line.last_length(), frame.len())?;
                let outcome = self.caller.write(line.fd(0), &frame);
                self.compare(line, outcome)
            }
            "getmsg" => self.getmsg_line(line),
            "putmsg" => {
                let outcome = self.caller.putmsg(line.fd(0), Some(&primitive(line)), None);
                self.compare(line, outcome)
            }
            "putmsg O_T_BIND_REQ" => {
                let control = transport(&[BIND, 16, 16, 0], [0; 4], line.last_number() as u16);
                let outcome = self.caller.putmsg(line.fd(0), Some(&control), None);
                self.compare(line, outcome)
            }
            _ => self.datagram_line(line),
        }
    }

    fn read_line(&mut self, line: &Line) -> Checked {
        let (outcome, bytes) = self.caller.read(line.fd(0), line.bounded(line.last_number() as usize));
        let done = matches!(outcome, Outcome::Done(_));
        self.compare(line, outcome)?;
        let (noted, cut) = line.noted_bytes();
        if !done || noted.is_empty() {
            return Ok(());
        }
        let shown = if cut { &bytes[..noted.len().min(bytes.len())] } else { &bytes };
        equal("bytes", noted.as_slice(), shown)
    }

    fn getmsg_line(&mut self, line: &Line) -> Checked {
        let got = self.caller.getmsg(line.fd(0), 256, 65536);
        let done = matches!(got.outcome, Outcome::Done(_));
        self.compare(line, got.outcome)?;
        if !done {
            return Ok(());
        }
        let control = got.control.unwrap_or_default();
        let data_length = got.data.map_or(-1, |data| data.len() as i64);
        let word = |index: usize| {
            let bytes = control.get(index * 4..index * 4 + 4).unwrap_or(&[0; 4]);
            u32::from_le_bytes(bytes.try_into().unwrap_or_default())
        };
        let text = if line.note.starts_with("primitive") {
            let data = if data_length < 0 { String::new() } else { format!(", data {data_length} bytes") };
            let names =
                if word(0) == 17 { "(11 T_BIND_ACK)" } else { "(20 T_UNITDATA_IND, 21 T_UDERROR_IND)" };
            format!("primitive {} {names}{data}", word(0))
        } else {
            let words = format!("{:#x} {:x} {:x} {:x}", word(0), word(1), word(2), word(3));
            format!("ctl len {} prim {words}, data len {data_length}", control.len())
        };
        equal("message", line.note.clone(), text)
    }

    fn datagram_line(&mut self, line: &Line) -> Checked {
        let mut words = line.args.split(' ');
        let length: usize = words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let target = words.next_back().and_then(|word| word.split_once(':'));
        let (address, port) = target.ok_or("no target")?;
        let address: Ipv4Addr = address.parse().map_err(|_| "no address")?;
        let data: Vec<u8> = (0..line.bounded(length)).map(|index| index as u8).collect();
        let control = transport(&[UNITDATA, 16, 20, 0, 0], address.octets(), port.parse().unwrap_or(0));
        let outcome = self.caller.putmsg(line.fd(0), Some(&control), Some(&data));
        self.compare(line, outcome)
    }
}

impl Line {
    /// The number in "fd4, 42 bytes".
    fn last_length(&self) -> usize {
        self.bounded(self.last_number() as usize)
    }
}

/// The frame a line writes. The record cuts long ones: what follows goes on counting, or is zero.
fn frame_of(line: &Line) -> Vec<u8> {
    let (mut frame, cut) = line.noted_bytes();
    let length = line.last_length();
    if let (true, [.., before, last]) = (cut, frame.as_slice()) {
        let step = last.wrapping_sub(*before);
        let mut next = *last;
        while frame.len() < length {
            next = next.wrapping_add(step);
            frame.push(next);
        }
    }
    frame
}

/// The primitive a line names.
fn primitive(line: &Line) -> Vec<u8> {
    let words: &[u32] = match line.args.split(", ").nth(1).unwrap_or_default() {
        "DL_ATTACH_REQ ppa 0" => &[abi::DL_ATTACH_REQ, 0],
        "DL_BIND_REQ sap 0x800" => &[abi::DL_BIND_REQ, 0x800, 0, abi::DL_CLDLS, 0],
        "DL_PHYS_ADDR_REQ" => &[abi::DL_PHYS_ADDR_REQ, 2],
        other => panic!("line {}: no primitive {other}", line.number),
    };
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn transport(head: &[u32], address: [u8; 4], port: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend(address);
    bytes.extend([0; 8]);
    bytes
}
