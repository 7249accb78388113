//! Lines that are single system calls.

use streams_model::abi;
use streams_model::{Call, Outcome, Place};

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
