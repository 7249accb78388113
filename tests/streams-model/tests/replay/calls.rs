//! Lines that are single system calls, those that read, write and exchange messages included.

use std::net::Ipv4Addr;

use streams_model::{Call, Outcome, Place, abi};

use super::line::Line;
use super::{Checked, Replay, equal};

impl Replay {
    pub(super) fn call_line(&mut self, line: &Line) -> Checked {
        let operation = line.call.split(" (").next().unwrap_or_default();
        if let Some((request, value)) = value_request(line, operation) {
            let outcome = self.caller.ioctl(line.fd(0), request, value);
            return self.compare(line, outcome);
        }
        match operation {
            "open" => self.open_line(line),
            "close" => {
                let outcome = self.close(line.fd(0));
                self.compare(line, outcome)
            }
            "dup" => {
                let call = Call::Dup { fd: line.fd(0), close_on_exec: false, place: Place::Lowest(0) };
                let outcome = self.caller.call(call);
                self.compare(line, outcome)
            }
            "fcntl F_SETFL" => {
                let argument = i64::from(abi::O_RDWR | abi::O_NONBLOCK);
                let outcome =
                    self.caller.call(Call::Fcntl { fd: line.fd(0), command: abi::F_SETFL, argument });
                self.compare(line, outcome)
            }
            "I_PUSH" => {
                let module = line.args.rsplit(", ").next().unwrap_or_default().to_owned();
                let outcome = self.caller.push(line.fd(0), &module);
                self.compare(line, outcome)
            }
            "I_LIST" => {
                let (outcome, names) = self.caller.list(line.fd(0));
                line.compare(&outcome)?;
                equal("I_LIST", line.note.clone(), names.join(" "))
            }
            "I_STR TUNNEWPPA" => self.new_ppa_line(line),
            "I_STR TUNGETPPA" => {
                let (outcome, ..) = self.caller.str_ioctl(line.fd(0), abi::TUNGETPPA, 0, &[]);
                self.compare(line, outcome)
            }
            "ioctl TUNNEWPPA" => {
                let outcome =
                    self.caller.ioctl(self.last_opened, abi::TUNNEWPPA, line.last_or_first_number());
                self.compare(line, outcome)
            }
            "read" | "write" | "getmsg" | "putmsg" | "putmsg O_T_BIND_REQ" | "putmsg T_UNITDATA_REQ" => {
                self.data_line(line, operation)
            }
            _ if line.step.contains("thread") || line.is_of_a_thread() => self.thread_line(line),
            _ => self.interface_line(line, operation),
        }
    }

    /// Compares the outcome, and keeps what a later line may ask about.
    pub(super) fn compare(&mut self, line: &Line, outcome: Outcome) -> Checked {
        if let Outcome::Hang(hang) = &outcome {
            self.ticket = hang.ticket;
        }
        line.compare(&outcome)
    }

    fn open_line(&mut self, line: &Line) -> Checked {
        let (path, flags) = line.args.split_once(' ').unwrap_or((&line.args, ""));
        let nonblocking = if flags.contains("O_NONBLOCK") { abi::O_NONBLOCK } else { 0 };
        let outcome = self.caller.open(path, abi::O_RDWR | nonblocking);
        self.last_opened = outcome.result().unwrap_or(-1) as i32;
        self.compare(line, outcome)
    }

    fn new_ppa_line(&mut self, line: &Line) -> Checked {
        let (fd, wanted) = (line.fd(0), line.last_number() as i32);
        let (outcome, length, data) = self.caller.str_ioctl(fd, abi::TUNNEWPPA, 4, &wanted.to_le_bytes());
        if let Outcome::Done(ppa) = outcome {
            self.controls.insert(ppa as u32, fd);
            self.last_control = fd;
        }
        let int = i32::from_le_bytes(data.try_into().map_err(|_| "the int is four bytes")?);
        line.compare(&outcome)?;
        equal("ic_len", line.noted_number("ic_len"), Some(i64::from(length)))?;
        equal("int", line.noted_number("int"), Some(i64::from(int)))
    }
}

/// The requests of the stream head whose argument is a value.
fn value_request(line: &Line, operation: &str) -> Option<(u32, i64)> {
    Some(match operation {
        "I_POP" => (abi::I_POP, 0),
        "I_LINK" => (abi::I_LINK, i64::from(line.fd(1))),
        "I_PLINK" => (abi::I_PLINK, i64::from(line.fd(1))),
        "I_UNLINK" => (abi::I_UNLINK, line.last_number()),
        "I_PUNLINK" => (abi::I_PUNLINK, line.last_number()),
        "I_SRDOPT RMSGD" | "I_SRDOPT RNORM" => (abi::I_SRDOPT, line.last_number()),
        _ => return None,
    })
}

impl Line {
    /// The number in "-1 as the value".
    fn last_or_first_number(&self) -> i64 {
        self.args.split(' ').find_map(|word| word.parse().ok()).unwrap_or(0)
    }
}

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
