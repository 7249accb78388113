//! Makes system calls on a kernel without a process: lays the bytes out in an arena, as a program would in its memory.
//! Then what a guest behind a tap device sends.

use streams_model::abi::{self, AF_INET, IFF_IPV4, IFF_UP};
use streams_model::{Arena, Call, Errno, Kernel, Lifreq, Outcome, Place, Strbuf, Strioctl};

/// What getmsg delivered: `None` where the strbuf's len came back as -1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) outcome: Outcome,
    pub(crate) control: Option<Vec<u8>>,
    pub(crate) data: Option<Vec<u8>>,
}

/// A program that makes calls.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    pub(crate) kernel: Kernel,
}

/// The ends of a plumbed interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plumbed {
    pub(crate) mux: i32,
    pub(crate) control: i32,
    pub(crate) muxids: [i32; 2],
}

pub(crate) fn lifreq(name: &str, ppa: u32, flags: u64) -> Lifreq {
    let mut request = Lifreq::default();
    request.set_name(name).set_ppa(ppa).set_flags(flags);
    request
}

impl Caller {
    pub(crate) fn call(&mut self, call: Call) -> Outcome {
        self.kernel.call(&mut Arena::new(), call)
    }

    pub(crate) fn open(&mut self, path: &str, flags: i32) -> Outcome {
        let mut arena = Arena::new();
        let path = arena.put_string(path);
        self.kernel.call(&mut arena, Call::Open { path, flags, place: Place::Lowest(0) })
    }

    /// Opens for reading and writing, close-on-exec; must succeed.
    pub(crate) fn must_open(&mut self, path: &str) -> i32 {
        fd_of(&self.open(path, abi::O_RDWR | abi::O_CLOEXEC))
    }

    pub(crate) fn close(&mut self, fd: i32) -> Outcome {
        self.call(Call::Close { fd })
    }

    pub(crate) fn ioctl(&mut self, fd: i32, request: u32, value: i64) -> Outcome {
        self.call(Call::Ioctl { fd, request, argument: value.cast_unsigned() })
    }

    /// An ioctl that points at bytes; they come back as the kernel left them.
    pub(crate) fn ioctl_bytes(&mut self, fd: i32, request: u32, bytes: &[u8]) -> (Outcome, Vec<u8>) {
        let mut arena = Arena::new();
        let argument = arena.put(bytes);
        let outcome = self.kernel.call(&mut arena, Call::Ioctl { fd, request, argument });
        (outcome, arena.get(argument, bytes.len()).to_vec())
    }

    pub(crate) fn lif(&mut self, fd: i32, request: u32, lifreq: &Lifreq) -> (Outcome, Lifreq) {
        let (outcome, bytes) = self.ioctl_bytes(fd, request, &lifreq.0);
        (outcome, Lifreq::from_bytes(&bytes))
    }

    /// `I_STR`: the outcome, `ic_len` as it was left, and the data.
    pub(crate) fn str_ioctl(&mut self, fd: i32, cmd: u32, len: i32, data: &[u8]) -> (Outcome, i32, Vec<u8>) {
        let mut arena = Arena::new();
        let dp = arena.put(data);
        let argument = arena.put(&Strioctl { cmd, timout: 5, len, dp }.image());
        let outcome = self.kernel.call(&mut arena, Call::Ioctl { fd, request: abi::I_STR, argument });
        let after = i32::from_le_bytes(arena.get(argument + 8, 4).try_into().expect("four bytes"));
        (outcome, after, arena.get(dp, data.len()).to_vec())
    }

    pub(crate) fn new_ppa(&mut self, fd: i32, ppa: i32) -> Outcome {
        self.str_ioctl(fd, abi::TUNNEWPPA, 4, &ppa.to_le_bytes()).0
    }

    pub(crate) fn push(&mut self, fd: i32, module: &str) -> Outcome {
        self.ioctl_bytes(fd, abi::I_PUSH, &[module.as_bytes(), &[0]].concat()).0
    }

    pub(crate) fn read(&mut self, fd: i32, length: usize) -> (Outcome, Vec<u8>) {
        let mut arena = Arena::new();
        let buffer = arena.put(&vec![0; length]);
        let outcome = self.kernel.call(&mut arena, Call::Read { fd, buffer, length: length as u64 });
        let got = outcome.result().unwrap_or(0) as usize;
        (outcome, arena.get(buffer, got).to_vec())
    }

    pub(crate) fn write(&mut self, fd: i32, bytes: &[u8]) -> Outcome {
        let mut arena = Arena::new();
        let buffer = arena.put(bytes);
        self.kernel.call(&mut arena, Call::Write { fd, buffer, length: bytes.len() as u64 })
    }

    pub(crate) fn readv(&mut self, fd: i32, rooms: &[usize]) -> (Outcome, Vec<u8>) {
        let mut arena = Arena::new();
        let buffers: Vec<_> = rooms.iter().map(|room| (arena.put(&vec![0; *room]), *room)).collect();
        let image: Vec<u8> = buffers.iter().flat_map(|(at, room)| iovec(*at, *room)).collect();
        let vector = arena.put(&image);
        let outcome = self.kernel.call(&mut arena, Call::Readv { fd, vector, count: rooms.len() as i32 });
        let mut bytes: Vec<u8> =
            buffers.iter().flat_map(|(at, room)| arena.get(*at, *room).to_vec()).collect();
        bytes.truncate(outcome.result().unwrap_or(0) as usize);
        (outcome, bytes)
    }

    pub(crate) fn writev(&mut self, fd: i32, pieces: &[&[u8]]) -> Outcome {
        let mut arena = Arena::new();
        let image: Vec<u8> = pieces.iter().flat_map(|piece| iovec(arena.put(piece), piece.len())).collect();
        let vector = arena.put(&image);
        self.kernel.call(&mut arena, Call::Writev { fd, vector, count: pieces.len() as i32 })
    }

    pub(crate) fn getmsg(&mut self, fd: i32, control_room: i32, data_room: i32) -> Got {
        self.getmsg_with(fd, Some(control_room), Some(data_room), 0).0
    }

    /// A getmsg that may leave a part out, with its flags; they come back as the kernel left them.
    pub(crate) fn getmsg_with(
        &mut self,
        fd: i32,
        control_room: Option<i32>,
        data_room: Option<i32>,
        flags: i32,
    ) -> (Got, i32) {
        let mut arena = Arena::new();
        let parts = [control_room, data_room].map(|room| {
            let maxlen = room?;
            let buf = arena.put(&vec![0; maxlen.max(0) as usize]);
            Some((arena.put(&Strbuf { maxlen, len: 0, buf }.image()), buf))
        });
        let [control, data] = parts.map(|part| part.map_or(0, |(strbuf, _)| strbuf));
        let flags = arena.put(&flags.to_le_bytes());
        let outcome = self.kernel.call(&mut arena, Call::Getmsg { fd, control, data, flags });
        let int = |at: u64| i32::from_le_bytes(arena.get(at, 4).try_into().expect("four bytes"));
        let [control, data] = parts.map(|part| {
            let (strbuf, buffer) = part?;
            let len = int(strbuf + Strbuf::LENGTH as u64);
            usize::try_from(len).ok().map(|len| arena.get(buffer, len).to_vec())
        });
        (Got { control, data, outcome }, int(flags))
    }

    pub(crate) fn putmsg(&mut self, fd: i32, control: Option<&[u8]>, data: Option<&[u8]>) -> Outcome {
        self.putmsg_with(fd, control, data, 0)
    }

    pub(crate) fn putmsg_with(
        &mut self,
        fd: i32,
        control: Option<&[u8]>,
        data: Option<&[u8]>,
        flags: i32,
    ) -> Outcome {
        let mut arena = Arena::new();
        let [control, data] = [control, data].map(|part| {
            part.map_or(0, |part| {
                let buf = arena.put(part);
                arena.put(&Strbuf { maxlen: 0, len: part.len() as i32, buf }.image())
            })
        });
        self.kernel.call(&mut arena, Call::Putmsg { fd, control, data, flags })
    }

    /// `I_PEEK` with room for data alone.
    pub(crate) fn peek(&mut self, fd: i32, room: i32) -> (Outcome, Option<Vec<u8>>) {
        let mut arena = Arena::new();
        let buf = arena.put(&vec![0; room.max(0) as usize]);
        let none = Strbuf { maxlen: -1, len: 0, buf: 0 }.image();
        let data = Strbuf { maxlen: room, len: 0, buf }.image();
        let argument = arena.put(&[&none[..], &data, &[0; 8]].concat());
        let outcome = self.kernel.call(&mut arena, Call::Ioctl { fd, request: abi::I_PEEK, argument });
        let at = argument + (Strbuf::LEN + Strbuf::LENGTH) as u64;
        let len = i32::from_le_bytes(arena.get(at, 4).try_into().expect("four bytes"));
        let bytes = usize::try_from(len).ok().map(|len| arena.get(buf, len).to_vec());
        (outcome, bytes)
    }

    /// `I_LIST`: module and driver names from the top.
    pub(crate) fn list(&mut self, fd: i32) -> (Outcome, Vec<String>) {
        const ENTRIES: usize = 12;
        const ENTRY: usize = 9;
        let mut arena = Arena::new();
        let entries = arena.put(&[0; ENTRIES * ENTRY]);
        let head = [&(ENTRIES as i32).to_le_bytes()[..], &[0; 4], &entries.to_le_bytes()].concat();
        let argument = arena.put(&head);
        let outcome = self.kernel.call(&mut arena, Call::Ioctl { fd, request: abi::I_LIST, argument });
        let count = i32::from_le_bytes(arena.get(argument, 4).try_into().expect("four bytes")) as usize;
        let names = arena.get(entries, ENTRIES * ENTRY).chunks(ENTRY).take(count);
        let text = |name: &[u8]| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        (outcome, names.map(text).collect())
    }

    /// Reads frames until there is none.
    pub(crate) fn drain(&mut self, fd: i32) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let (Outcome::Done(_), frame) = self.read(fd, 65536) {
            frames.push(frame);
        }
        frames
    }

    /// A control stream on a PPA: message mode, non-blocking.
    pub(crate) fn control(&mut self, ppa: i32) -> i32 {
        let fd = self.must_open("/dev/tap");
        assert_eq!(self.new_ppa(fd, ppa), Outcome::Done(i64::from(ppa)));
        self.message_mode(fd);
        fd
    }

    pub(crate) fn message_mode(&mut self, fd: i32) {
        assert_eq!(self.ioctl(fd, abi::I_SRDOPT, i64::from(abi::RMSGD)), Outcome::Done(0));
        let argument = i64::from(abi::O_RDWR | abi::O_NONBLOCK);
        assert_eq!(self.call(Call::Fcntl { fd, command: abi::F_SETFL, argument }), Outcome::Done(0));
    }

    /// A stream with ip on a tap, named.
    pub(crate) fn ip_stream(&mut self, name: &str, ppa: u32, flags: u64) -> i32 {
        let fd = self.must_open("/dev/tap");
        assert_eq!(self.push(fd, "ip"), Outcome::Done(0));
        assert_eq!(self.lif(fd, abi::SIOCSLIFNAME, &lifreq(name, ppa, flags)).0, Outcome::Done(0));
        fd
    }

    /// A stream with arp on a tap, named.
    pub(crate) fn arp_stream(&mut self, name: &str, ppa: u32) -> i32 {
        let fd = self.must_open("/dev/tap");
        assert_eq!(self.push(fd, "arp"), Outcome::Done(0));
        let request = lifreq(name, ppa, IFF_IPV4);
        let (outcome, _, _) = self.str_ioctl(fd, abi::SIOCSLIFNAME, Lifreq::LEN as i32, &request.0);
        assert_eq!(outcome, Outcome::Done(0));
        fd
    }

    /// The whole plumbing of one interface, with `I_LINK` or `I_PLINK`.
    pub(crate) fn plumb(&mut self, name: &str, ppa: u32, link: u32) -> Plumbed {
        let mux = self.must_open("/dev/udp");
        assert_eq!(self.ioctl(mux, abi::I_POP, 0), Outcome::Failed(Errno::EINVAL));
        assert_eq!(self.push(mux, "arp"), Outcome::Done(0));
        let control = self.control(ppa as i32);
        let lower = [self.ip_stream(name, ppa, IFF_IPV4), self.arp_stream(name, ppa)];
        let muxids = lower.map(|fd| fd_of(&self.ioctl(mux, link, i64::from(fd))));
        for fd in lower {
            assert_eq!(self.close(fd), Outcome::Done(0));
        }
        Plumbed { mux, control, muxids }
    }

    pub(crate) fn set_address(&mut self, mux: i32, name: &str, address: [u8; 4]) {
        let mut request = lifreq(name, 0, 0);
        request.set_address(AF_INET as u16, &address);
        let (outcome, _) = self.lif(mux, abi::SIOCSLIFADDR, &request);
        request.set_address(AF_INET as u16, &[255, 255, 255, 0]);
        if outcome == Outcome::Done(0) {
            self.lif(mux, abi::SIOCSLIFNETMASK, &request);
        }
    }

    /// Sets or clears `IFF_UP`, leaving the other flags.
    pub(crate) fn set_up(&mut self, mux: i32, name: &str, up: bool) -> Outcome {
        let (outcome, mut request) = self.lif(mux, abi::SIOCGLIFFLAGS, &lifreq(name, 0, 0));
        if outcome != Outcome::Done(0) {
            return outcome;
        }
        let flags = if up { request.flags() | IFF_UP } else { request.flags() & !IFF_UP };
        self.lif(mux, abi::SIOCSLIFFLAGS, request.set_flags(flags)).0
    }
}

/// An `iovec` of a piece of memory.
fn iovec(at: u64, length: usize) -> [u8; 16] {
    let mut image = [0; 16];
    image[..8].copy_from_slice(&at.to_le_bytes());
    image[8..].copy_from_slice(&(length as u64).to_le_bytes());
    image
}

/// The descriptor or mux id a call returned.
pub(crate) fn fd_of(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Done(value) => *value as i32,
        other => panic!("expected a number, got {other:?}"),
    }
}

pub(crate) const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

fn ethernet(destination: [u8; 6], source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &kind.to_be_bytes(), payload].concat()
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An ARP request for `target` by the guest at `sender`.
pub(crate) fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let packet = [&fixed[..], &GUEST_MAC, &sender, &[0; 6], &target].concat();
    ethernet(BROADCAST, GUEST_MAC, 0x0806, &packet)
}

/// An ICMP echo request of `length` bytes of frame.
pub(crate) fn echo_request(host_mac: [u8; 6], from: [u8; 4], to: [u8; 4], length: usize) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.extend((0..length - 42).map(|index| index as u8));
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    ethernet(host_mac, GUEST_MAC, 0x0800, &ipv4(from, to, 1, &icmp))
}

fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(((20 + payload.len()) as u16).to_be_bytes());
    header.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    header.extend(from);
    header.extend(to);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header[..], payload].concat()
}
