//! Turns a system call into the line the trace shows. Nothing in it depends on addresses.
//!
//! Then it looks at every call for violations of the invariants a tester cares about, which the kernel itself bears.

use std::collections::BTreeMap;

use crate::abi::{self, request_name};
use crate::call::{Call, Hang, Outcome, Place};
use crate::call::{Record, Suspicion};
use crate::image::{Bytes, Lifreq, POLLFD_EVENTS, POLLFD_LEN, Strioctl};
use crate::kernel::Kernel;
use crate::kernel::files::PATH_LIMIT;
use crate::kernel::interface::Family;
use crate::kernel::stream::{Driver, StreamId};
use crate::memory::{Memory, copy_in_string, copy_in_vec};

/// Operation, what it is about, descriptor, arguments.
struct Line(String, Option<String>, Option<i32>, String);

impl Line {
    fn plain(operation: &str, fd: i32, arguments: String) -> Self {
        Self(operation.to_owned(), None, Some(fd), arguments)
    }
}

impl Kernel {
    pub(super) fn decode(&self, memory: &dyn Memory, call: &Call) -> Record {
        let Line(operation, subject, fd, arguments) = match *call {
            Call::Dup { fd, close_on_exec, place } if self.taken(place).is_some() => {
                dup3_line(fd, place, close_on_exec)
            }
            Call::Putmsg { fd, flags, .. } => match self.primitive_in(memory, call) {
                Some(primitive) => primitive_line(fd, primitive, flags),
                None => line(memory, call),
            },
            _ => line(memory, call),
        };
        // What the record of a call says that panics the machine.
        let outcome =
            Outcome::Hang(Hang { interruptible: false, reason: "the machine panicked", ticket: None });
        Record { number: self.calls + 1, operation, subject, fd, arguments, outcome, injected: false }
    }
}

/// A primitive to the driver of a data link.
fn primitive_line(fd: i32, primitive: u32, flags: i32) -> Line {
    let (name, flags) = Kernel::primitive_words(primitive, flags);
    Line("putmsg".to_owned(), Some(name.clone()), Some(fd), format!("{fd}, {name}, {flags}"))
}

/// A duplicate onto a descriptor that is open.
fn dup3_line(fd: i32, place: Place, close_on_exec: bool) -> Line {
    let (Place::At(onto) | Place::Lowest(onto)) = place;
    let flags = if close_on_exec { "O_CLOEXEC" } else { "0" };
    Line::plain("dup3", fd, format!("{fd}, {onto}, {flags}"))
}

fn line(memory: &dyn Memory, call: &Call) -> Line {
    match *call {
        Call::Open { path, flags, .. } => {
            let path = text(memory, path);
            let arguments = format!("\"{path}\", {}", open_flags(flags));
            Line("open".to_owned(), Some(path), None, arguments)
        }
        Call::Socket { family, close_on_exec, .. } => {
            let family = if family == Family::V4 { "AF_INET" } else { "AF_INET6" };
            let kind = if close_on_exec { "SOCK_DGRAM|SOCK_CLOEXEC" } else { "SOCK_DGRAM" };
            Line("socket".to_owned(), Some(family.to_owned()), None, format!("{family}, {kind}"))
        }
        Call::Close { fd } => Line::plain("close", fd, format!("{fd}")),
        Call::Dup { fd, close_on_exec, .. } => {
            let operation = if close_on_exec { "fcntl" } else { "dup" };
            let arguments = if close_on_exec { format!("{fd}, F_DUPFD_CLOEXEC") } else { format!("{fd}") };
            Line(
                operation.to_owned(),
                close_on_exec.then(|| "F_DUPFD_CLOEXEC".to_owned()),
                Some(fd),
                arguments,
            )
        }
        Call::Fcntl { fd, command, argument } => fcntl_line(fd, command, argument),
        Call::Ioctl { fd, request, argument } => ioctl_line(memory, fd, request, argument),
        Call::Read { fd, length, .. } => Line::plain("read", fd, format!("{fd}, {length}")),
        Call::Readv { fd, count, .. } => Line::plain("readv", fd, format!("{fd}, {count} slices")),
        Call::Write { fd, length, .. } => Line::plain("write", fd, format!("{fd}, {length}")),
        Call::Writev { fd, count, .. } => Line::plain("writev", fd, format!("{fd}, {count} slices")),
        Call::Getmsg { fd, .. } => Line::plain("getmsg", fd, format!("{fd}")),
        Call::Putmsg { fd, flags, .. } => Line::plain("putmsg", fd, format!("{fd}, {flags}")),
        Call::Poll { fds, count } => poll_line(memory, fds, count),
    }
}

fn text(memory: &dyn Memory, address: u64) -> String {
    let text = copy_in_string(memory, address, PATH_LIMIT);
    text.map_or_else(|errno| format!("<{errno}>"), |text| String::from_utf8_lossy(&text).into_owned())
}

fn open_flags(flags: i32) -> String {
    let mode = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR|O_WRONLY"][(flags & 3) as usize];
    let known = [(abi::O_NDELAY, "O_NDELAY"), (abi::O_NONBLOCK, "O_NONBLOCK"), (abi::O_CLOEXEC, "O_CLOEXEC")];
    let mut names = vec![mode.to_owned()];
    names.extend(known.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| (*name).to_owned()));
    let rest = known.iter().fold(flags & !3, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names.join("|")
}

fn fcntl_line(fd: i32, command: i32, argument: i64) -> Line {
    let name = match command {
        abi::F_DUPFD => "F_DUPFD",
        abi::F_GETFD => "F_GETFD",
        abi::F_SETFD => "F_SETFD",
        abi::F_GETFL => "F_GETFL",
        abi::F_SETFL => "F_SETFL",
        abi::F_DUPFD_CLOEXEC => "F_DUPFD_CLOEXEC",
        _ => "unknown",
    };
    let value = match command {
        abi::F_GETFD | abi::F_GETFL => String::new(),
        abi::F_SETFL => format!(", {}", open_flags(argument as i32)),
        abi::F_SETFD if argument == i64::from(abi::FD_CLOEXEC) => ", FD_CLOEXEC".to_owned(),
        _ => format!(", {argument}"),
    };
    Line("fcntl".to_owned(), Some(name.to_owned()), Some(fd), format!("{fd}, {name}{value}"))
}

fn ioctl_line(memory: &dyn Memory, fd: i32, request: u32, argument: u64) -> Line {
    let operation = request_name(request);
    let line = |subject: Option<String>, rest: String| {
        Line(operation.clone(), subject, Some(fd), format!("{fd}{rest}"))
    };
    match request {
        abi::I_STR => match Strioctl::copy_in(memory, argument) {
            Ok(strioctl) => {
                let subject = request_name(strioctl.cmd);
                let rest = format!(", {subject}{}", block(memory, &strioctl));
                line(Some(subject), rest)
            }
            Err(errno) => line(None, format!(", <{errno}>")),
        },
        abi::I_PUSH | abi::I_FIND => {
            let name = text(memory, argument);
            line(Some(name.clone()), format!(", \"{name}\""))
        }
        abi::I_LINK | abi::I_PLINK | abi::I_UNLINK | abi::I_PUNLINK => {
            line(None, format!(", {}", argument as i32))
        }
        abi::I_SRDOPT => line(None, format!(", {}", read_options(argument))),
        abi::TUNNEWPPA | abi::TUNSETPPA => line(None, format!(", {}", argument as i32)),
        abi::IF_UNITSEL => line(None, number(memory, argument)),
        _ => match named(memory, request, argument) {
            Some((name, rest)) => line(Some(name), rest),
            None => line(None, String::new()),
        },
    }
}

fn number(memory: &dyn Memory, address: u64) -> String {
    copy_in_vec(memory, address, 4)
        .map_or_else(|errno| format!(", <{errno}>"), |int| format!(", {}", int.i32_at(0)))
}

fn read_options(options: u64) -> String {
    match i32::try_from(options) {
        Ok(abi::RNORM) => "RNORM".to_owned(),
        Ok(abi::RMSGD) => "RMSGD".to_owned(),
        Ok(abi::RMSGN) => "RMSGN".to_owned(),
        _ => format!("{options:#x}"),
    }
}

/// What an `I_STR` carries: an int, or a lifreq.
fn block(memory: &dyn Memory, strioctl: &Strioctl) -> String {
    match strioctl.cmd {
        abi::TUNNEWPPA | abi::TUNSETPPA if strioctl.len == 4 => number(memory, strioctl.dp),
        abi::SIOCSLIFNAME if strioctl.len >= Lifreq::LEN as i32 => {
            named(memory, strioctl.cmd, strioctl.dp).map_or_else(String::new, |(_, rest)| rest)
        }
        _ if strioctl.len == 0 => String::new(),
        _ => format!(", {} bytes", strioctl.len),
    }
}

/// The name in a request's lifreq, and the members the request reads.
fn named(memory: &dyn Memory, request: u32, address: u64) -> Option<(String, String)> {
    let takes_lifreq =
        request >> 8 & 0xff == u32::from(b'i') && request >> 16 & 0xff == Lifreq::LEN as u32 & 0xff;
    if !takes_lifreq {
        return None;
    }
    let lifreq = Lifreq::from_bytes(&copy_in_vec(memory, address, Lifreq::LEN).ok()?);
    let (ip, arp) = lifreq.muxids();
    let rest = match request {
        abi::SIOCSLIFNAME => format!(", ppa {}, flags {:#x}", lifreq.ppa().cast_signed(), lifreq.flags()),
        abi::SIOCSLIFFLAGS => format!(", flags {:#x}", lifreq.flags()),
        abi::SIOCSLIFMUXID => format!(", ip {ip}, arp {arp}"),
        abi::SIOCSLIFMTU => format!(", {}", lifreq.number()),
        abi::SIOCSLIFADDR | abi::SIOCSLIFNETMASK | abi::SIOCLIFADDIF => {
            format!(", {}", address_text(&lifreq))
        }
        _ => String::new(),
    };
    let name = lifreq.name();
    let text = format!(", {name}{rest}");
    Some((name, text))
}

fn address_text(lifreq: &Lifreq) -> String {
    match i32::from(lifreq.family()) {
        abi::AF_INET => std::net::Ipv4Addr::from(lifreq.ipv4()).to_string(),
        abi::AF_INET6 => std::net::Ipv6Addr::from(lifreq.ipv6()).to_string(),
        family => format!("family {family}"),
    }
}

fn poll_line(memory: &dyn Memory, fds: u64, count: u64) -> Line {
    let entries = (0..count.min(64)).filter_map(|index| {
        let entry = copy_in_vec(memory, fds.wrapping_add(index * POLLFD_LEN as u64), POLLFD_LEN).ok()?;
        Some(format!("{}:{:#x}", entry.i32_at(0), entry.u16_at(POLLFD_EVENTS)))
    });
    let entries: Vec<_> = entries.collect();
    Line("poll".to_owned(), None, None, format!("[{}]", entries.join(", ")))
}

/// What was seen, and what is needed to see more.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) suspicions: Vec<Suspicion>,
    /// By address: the strioctl the kernel wrote back there, when that changed its length.
    written_back: BTreeMap<u64, Strioctl>,
}

impl Watch {
    /// Notes a strioctl that was written back.
    pub(super) fn answered(&mut self, address: u64, asked: Strioctl, answered: Strioctl) {
        if asked.len != answered.len {
            self.written_back.insert(address, answered);
        } else {
            self.written_back.remove(&address);
        }
    }
}

impl Kernel {
    /// Looks at a call before it is carried out.
    pub(super) fn watch_call(&mut self, memory: &dyn Memory, call: &Call) {
        if let Call::Dup { place, .. } = *call
            && let Some(onto) = self.taken(place)
        {
            self.watch_close(onto);
        }
        match *call {
            Call::Open { flags, .. } if flags & abi::O_CLOEXEC == 0 => {
                self.suspect(2, "an open without O_CLOEXEC")
            }
            Call::Socket { close_on_exec: false, .. } => self.suspect(2, "a socket without close-on-exec"),
            Call::Dup { close_on_exec: false, .. } => self.suspect(2, "a duplicate without close-on-exec"),
            Call::Fcntl { command: abi::F_DUPFD, .. } => self.suspect(2, "a duplicate without close-on-exec"),
            Call::Fcntl { fd, command: abi::F_SETFD, argument: 0 } if self.stream_of(fd).is_ok() => {
                self.suspect(2, "close-on-exec taken off");
            }
            Call::Ioctl { request, argument, .. } => self.watch_ioctl(memory, request, argument),
            Call::Close { fd } => self.watch_close(fd),
            _ => {}
        }
    }

    fn watch_ioctl(&mut self, memory: &dyn Memory, request: u32, argument: u64) {
        match request {
            abi::I_PUNLINK => {
                self.suspect(5, "I_PUNLINK was used");
                self.watch_muxid(argument as i32);
            }
            abi::I_UNLINK => self.watch_muxid(argument as i32),
            abi::I_STR => {
                let passed = Strioctl::copy_in(memory, argument).ok();
                if passed.is_some() && passed.as_ref() == self.watch.written_back.get(&argument) {
                    self.suspect(6, "a strioctl that was written back is passed again unchanged");
                }
            }
            _ => {}
        }
    }

    fn watch_muxid(&mut self, muxid: i32) {
        if muxid <= 0 {
            self.suspect(5, &format!("unlinking mux id {muxid}"));
        }
    }

    /// The control stream must go last: its PPA's other streams, linked or not, are to be gone by then.
    fn watch_close(&mut self, fd: i32) {
        let Ok(file) = self.files.file(fd) else { return };
        let (stream, last) = (file.stream, file.references == 1);
        if last && self.has_dependants(stream) {
            self.suspect(7, "the control stream is closed while streams are attached to its PPA");
        }
    }

    fn has_dependants(&self, control: StreamId) -> bool {
        let Ok(stream) = self.stream(control) else { return false };
        let named = |id: &StreamId| self.stream(*id).is_ok_and(|stream| stream.interface.is_some());
        match (stream.driver, stream.dl.control, stream.dl.ppa) {
            (Driver::Tap | Driver::Tun, true, Some(ppa)) => self.protocol_streams(ppa).iter().any(named),
            _ => false,
        }
    }

    pub(super) fn suspect(&mut self, invariant: u8, what: &str) {
        self.watch.suspicions.push(Suspicion { invariant, call: self.calls, what: what.to_owned() });
    }
}
