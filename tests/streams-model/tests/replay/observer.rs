//! Lines in parentheses: no system calls, but what the observer did or looked at.
//!
//! Other things the observer did without a line of its own. The record is a selection of calls; these are the ones it
//! leaves out. They are read off from what the lines around them show.

use std::fmt::Write as _;
use std::time::Duration;

use streams_model::abi::{AF_INET, AF_INET6, I_LINK, I_PLINK, IFF_IPV6, IFF_UP};
use streams_model::{DEFAULT_MAC, Lifreq, Outcome, abi};

use super::line::Line;
use super::{Checked, Replay, equal};
use crate::caller::{Plumbed, arp_request, echo_request, lifreq};

/// Bytes of `struct lifconf`, and room for that many interfaces.
const LIFCONF: usize = 24;
const ROOM: usize = 16;

impl Replay {
    pub(super) fn macro_line(&mut self, line: &Line) -> Checked {
        match line.call.as_str() {
            "(state)" => {
                let state = self.state();
                equal("state", line.note.clone(), state)
            }
            "(open streams in the system)" => {
                equal("streams", line.ret, Some(self.caller.kernel.open_streams() as i64))
            }
            "(time passes)" => {
                self.caller.kernel.advance(Duration::from_millis(line.first_number()));
                Ok(())
            }
            "(20 s pass, frames drained)" => self.drain_line(line),
            "(frame from the host)" => self.frame_line(line),
            "(traffic test)" => self.traffic_line(line),
            "(messages sent down to the tap driver, data excluded)" => {
                equal("messages", line.note.clone(), self.caller.kernel.take_downward().join(", "))
            }
            "(attach, corrected sequence)" => self.attach_line(line, I_LINK),
            "(attach with I_PLINK)" => self.attach_line(line, I_PLINK),
            "(attach)" => self.exit_attach_line(line),
            "(signal)" => {
                let ticket = self.ticket.take().ok_or("nobody sleeps")?;
                let delivered = self.caller.kernel.signal(ticket).is_some();
                equal("signal", line.ret, Some(i64::from(delivered)))
            }
            "(PPAs 0 and 3 exist)" => {
                for ppa in [0, 3] {
                    self.caller.control(ppa);
                }
                Ok(())
            }
            "(frames)" | "(frames readable)" | "(frames still readable on C)" => {
                let frames = self.caller.drain(self.last_control);
                equal("frames", line.ret, Some(frames.len() as i64))
            }
            "(1600 writes of 1042 bytes)" => {
                let frame = echo_request(DEFAULT_MAC, [10, 77, 0, 2], [10, 77, 0, 1], 1042);
                let full =
                    (0..1600).filter(|_| self.caller.write(self.last_control, &frame) == Outcome::Done(1042));
                equal("writes", line.ret, Some(full.count() as i64))
            }
            "(race sweep against close of C)" => {
                let first = line.note.chars().next().map(|seen| if seen == 'o' { '.' } else { seen });
                equal("race", first, Some(super::rounds::race(&line.step)?))
            }
            _ => self.round_line(line),
        }
    }

    fn attach_line(&mut self, line: &Line, link: u32) -> Checked {
        let (name, ppa) = line.args.split_once(" ppa ").ok_or("no name")?;
        let ppa = ppa.parse().map_err(|_| "no PPA")?;
        let plumbed = self.caller.plumb(name, ppa, link);
        self.note_attached(ppa, plumbed.control);
        let Plumbed { mux, control, muxids: [ip, arp] } = plumbed;
        equal("attach", line.note.clone(), format!("M=fd{mux} C=fd{control} ip_muxid={ip} arp_muxid={arp}"))
    }

    /// The cases about the end of a process open the two in the order of their name.
    fn exit_attach_line(&mut self, line: &Line) -> Checked {
        let control_first = line.case.contains("C-before-M");
        let early = control_first.then(|| self.caller.control(0));
        let mux = self.caller.must_open("/dev/udp");
        let control = early.unwrap_or_else(|| self.caller.control(0));
        let lower = [self.caller.ip_stream("tap0", 0, abi::IFF_IPV4), self.caller.arp_stream("tap0", 0)];
        for fd in lower {
            self.caller.ioctl(mux, I_LINK, i64::from(fd));
            self.caller.close(fd);
        }
        self.note_attached(0, control);
        equal("attach", line.note.clone(), format!("M=fd{mux} C=fd{control}"))
    }

    fn note_attached(&mut self, ppa: u32, control: i32) {
        self.controls.insert(ppa, control);
        self.last_control = control;
    }

    /// The control stream of the PPA an interface is named after, else the last one made.
    pub(super) fn control_of(&self, name: &str) -> i32 {
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.parse().ok().and_then(|ppa: u32| self.controls.get(&ppa)).copied().unwrap_or(self.last_control)
    }

    fn drain_line(&mut self, line: &Line) -> Checked {
        let control = self.control_of(&line.args);
        let mut frames = Vec::new();
        for _ in 0..400 {
            self.caller.kernel.advance(Duration::from_millis(50));
            frames.extend(self.caller.drain(control));
        }
        let mac = frames.first().map_or([0; 6], |frame| frame[6..12].try_into().unwrap_or_default());
        let mac = mac.map(|byte: u8| format!("{byte:02x}")).join(":");
        equal("frames", line.ret, Some(frames.len() as i64))?;
        equal("source MAC", line.note.rsplit(' ').next(), Some(mac.as_str()))
    }

    /// A frame that was first seen so long after the interface came up; the observer looked every 50 ms.
    fn frame_line(&mut self, line: &Line) -> Checked {
        const LOOK: Duration = Duration::from_millis(50);
        let seen_at = self.up_at + Duration::from_millis(line.first_number());
        let control = self.control_of("");
        self.advance_to(seen_at.saturating_sub(LOOK * 2));
        let early = self.caller.read(control, 65536);
        if line.first_number() > 100 && early.0 != Outcome::Failed(streams_model::Errno::EAGAIN) {
            return Err(format!("too early: {early:?}"));
        }
        self.advance_to(seen_at);
        let (outcome, frame) =
            if matches!(early.0, Outcome::Done(_)) { early } else { self.caller.read(control, 65536) };
        line.compare(&outcome)?;
        equal("frame", line.noted_bytes().0, frame)
    }

    fn advance_to(&mut self, at: Duration) {
        let now = self.caller.kernel.now();
        self.caller.kernel.advance(at.saturating_sub(now));
    }

    /// An ARP request and an echo request from the guest; counts what comes back.
    fn traffic_line(&mut self, line: &Line) -> Checked {
        let name = line.args.split(':').next().unwrap_or_default();
        let subnet = if name == "tap1" { 78 } else { 77 };
        let (guest, host) = ([10, subnet, 0, 2], [10, subnet, 0, 1]);
        let control = self.control_of(name);
        let answer = |replay: &mut Self, frame: &[u8], kind: [u8; 2]| {
            replay.caller.write(control, frame);
            let frames = replay.caller.drain(control);
            frames.into_iter().find(|frame| frame[12..14] == kind && frame[..6] == crate::caller::GUEST_MAC)
        };
        let arp = answer(self, &arp_request(guest, host), [8, 6]);
        let echo = answer(self, &echo_request(DEFAULT_MAC, guest, host, 98), [8, 0]);
        let text = |frame: &Option<Vec<u8>>| {
            frame.as_ref().map_or("none".to_owned(), |f| format!("{} bytes", f.len()))
        };
        equal("answers", line.ret, Some(i64::from(arp.is_some()) + i64::from(echo.is_some())))?;
        let seen = format!("ARP reply: {}, echo reply: {}; ret counts the answers", text(&arp), text(&echo));
        equal("answers", line.note.clone(), seen)
    }

    /// All interfaces of both families, asked for on temporary streams.
    pub(super) fn state(&mut self) -> String {
        let mut text = String::new();
        for (path, family, suffix) in [("/dev/udp", AF_INET, "v4"), ("/dev/udp6", AF_INET6, "v6")] {
            let fd = self.caller.must_open(path);
            for listed in self.listed(fd, family) {
                let separator = if text.is_empty() { "" } else { "; " };
                let _ = write!(
                    text,
                    "{separator}{}/{suffix} {}",
                    listed.name(),
                    self.interface_state(fd, &listed)
                );
            }
            self.caller.close(fd);
        }
        if text.is_empty() { "no interfaces".to_owned() } else { text }
    }

    fn listed(&mut self, fd: i32, family: i32) -> Vec<Lifreq> {
        let mut arena = streams_model::Arena::new();
        let buffer = arena.put(&[0; ROOM * Lifreq::LEN]);
        let length = (ROOM * Lifreq::LEN) as i32;
        let head = [&(family as u16).to_le_bytes()[..], &[0; 6], &length.to_le_bytes(), &[0; 4]].concat();
        let argument = arena.put(&[&head[..], &buffer.to_le_bytes()].concat());
        let call = streams_model::Call::Ioctl { fd, request: abi::SIOCGLIFCONF, argument };
        assert_eq!(self.caller.kernel.call(&mut arena, call), Outcome::Done(0));
        let length = arena.get(argument, LIFCONF)[8..12].try_into().map_or(0, i32::from_le_bytes);
        arena.get(buffer, length as usize).chunks(Lifreq::LEN).map(Lifreq::from_bytes).collect()
    }

    fn interface_state(&mut self, fd: i32, listed: &Lifreq) -> String {
        let name = listed.name();
        let mut ask = |request| self.caller.lif(fd, request, &lifreq(&name, 0, 0));
        let flags = match ask(abi::SIOCGLIFFLAGS) {
            (Outcome::Done(0), answered) => answered.flags(),
            (Outcome::Failed(errno), _) => return format!("listed, but SIOCGLIFFLAGS on it: {errno}"),
            _ => return "listed, but SIOCGLIFFLAGS on it: never returns".to_owned(),
        };
        let (ip, arp) = ask(abi::SIOCGLIFMUXID).1.muxids();
        let mtu = ask(abi::SIOCGLIFMTU).1.number();
        let address = match i32::from(listed.family()) {
            AF_INET => std::net::Ipv4Addr::from(listed.ipv4()).to_string(),
            _ => listed
                .ipv6()
                .chunks(2)
                .map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]))
                .collect::<Vec<_>>()
                .join(":"),
        };
        let up = if flags & IFF_UP != 0 { " UP" } else { "" };
        format!("flags={flags:#x}{up} RUNNING ip_muxid={ip} arp_muxid={arp} mtu={mtu} addr={address}")
    }
}

impl Line {
    /// The number the arguments begin with: milliseconds.
    fn first_number(&self) -> u64 {
        let number: u64 = self.args.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        self.bounded(usize::try_from(number).unwrap_or(usize::MAX)) as u64
    }
}

const GUEST: [u8; 4] = [10, 77, 0, 2];
const HOST: [u8; 4] = [10, 77, 0, 1];

impl Replay {
    /// Does what was done before this line.
    pub(super) fn hidden_steps(&mut self, line: &Line) {
        if line.call == "SIOCSLIFFLAGS" && line.argument_number("flags").is_some_and(|flags| flags & 1 != 0) {
            let name = line.argument("name").unwrap_or_default();
            self.give_address(line.fd(0), name);
        }
        match (line.case.as_str(), line.step.as_str(), line.call.as_str()) {
            ("A.host-traffic", _, "putmsg O_T_BIND_REQ") => {
                self.caller.open("/dev/udp", abi::O_RDWR | abi::O_NONBLOCK);
            }
            // The observer looked at the frames of every interval before going on.
            ("A.traffic-during-dad", _, "write") => drop(self.caller.drain(self.last_control)),
            ("B.reattach-after-destructor", "destructor", "close") if line.fd(0) == 4 => {
                self.caller.plumb("tap0", 0, I_LINK);
            }
            ("C.names", _, "open" | "(state)") => {
                self.close(5);
            }
            ("C.names", _, "SIOCSLIFNAME") => {
                self.caller.push(5, "ip");
            }
            ("C.punlink-all", "v6 of tap1 under udp6", "I_PLINK") => {
                self.caller.must_open("/dev/udp6");
                self.caller.ip_stream("tap1", 1, IFF_IPV6);
            }
            ("C.A-left-open", "11", "(20 s pass, frames drained)") => self.link_leaving_arp_open(),
            ("C.detach-with-queued-frames", _, "I_UNLINK") if line.last_number() == 2 => {
                self.queue_twenty_replies()
            }
            ("D.v4-and-v6", "setup", "SIOCGLIFFLAGS") => {
                let mux = self.caller.must_open("/dev/udp6");
                let ip = self.caller.ip_stream("tap0", 0, IFF_IPV6);
                self.caller.ioctl(mux, I_LINK, i64::from(ip));
                self.close(ip);
            }
            _ => {}
        }
    }

    /// Bringing an interface up, the observer gave it an address when it had none and the case is not about that.
    fn give_address(&mut self, mux: i32, name: &str) {
        let states = self.caller.kernel.interface_states();
        let blank = states.iter().any(|state| state.name == name && state.address == [0; 4]);
        if blank && !self.address_given {
            let address = if name == "tap1" { [10, 78, 0, 1] } else { HOST };
            self.caller.set_address(mux, name, address);
        }
    }

    fn link_leaving_arp_open(&mut self) {
        for lower in [5, 6] {
            self.caller.ioctl(3, I_LINK, lower);
        }
        self.close(5);
        self.caller.set_address(3, "tap0", HOST);
        assert_eq!(self.caller.set_up(3, "tap0", true), Outcome::Done(0));
    }

    fn queue_twenty_replies(&mut self) {
        self.caller.kernel.advance(Duration::ZERO);
        self.caller.write(self.last_control, &arp_request(GUEST, HOST));
        self.caller.drain(self.last_control);
        for _ in 0..20 {
            self.caller.write(self.last_control, &echo_request(DEFAULT_MAC, GUEST, HOST, 98));
        }
    }
}
