//! Questions to the kernel by messages: rtnetlink(7), `linux/if_addr.h`, `linux/if_link.h`.
//!
//! The older requests by `ioctl` see only the first IPv4 address of an interface, and setting it deletes others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::super::tap::descriptors::above_standard_streams;

/// More than the kernel puts into one piece of a listing.
const ROOM: usize = 64 * 1024;
/// How often a listing is asked for again when something changed while it was made.
const TRIES: usize = 4;
/// Lengths of `struct nlmsghdr`, `struct ifaddrmsg`, `struct ifinfomsg` and `struct rtattr`.
const HEADER: usize = 16;
const ADDRESS_MESSAGE: usize = 8;
const LINK_MESSAGE: usize = 16;
const ATTRIBUTE: usize = 4;
/// Where `tx_dropped` lies in `struct rtnl_link_stats64`, in bytes.
const TRANSMIT_DROPPED: usize = 7 * 8;

/// An address of an interface.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    /// The address of the other end, on a point-to-point interface.
    pub(super) has_peer: bool,
    /// The message as the kernel sent it, from its `struct ifaddrmsg` on.
    message: Vec<u8>,
}

impl Address {
    /// Reads a message about an address of the interface `index`.
    fn parse(message: &[u8], index: u32) -> Option<Self> {
        let head = message.get(..ADDRESS_MESSAGE)?;
        if u32::from_ne_bytes(head[4..].try_into().ok()?) != index {
            return None;
        }
        let attributes = || Attributes(&message[ADDRESS_MESSAGE..]);
        let find =
            |kind: u16| attributes().find(|(found, _)| *found == kind).and_then(|(_, value)| ip(value));
        let (local, address) = (find(libc::IFA_LOCAL), find(libc::IFA_ADDRESS));
        let has_peer = local.is_some() && address.is_some() && local != address;
        Some(Self { address: local.or(address)?, prefix: head[1], has_peer, message: message.to_owned() })
    }

    /// What `ip addr add` would send; an IPv6 address is usable at once (`IFA_F_NODAD`), since the only neighbour is the guest.
    fn wanted(index: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
        let (family, flags, scope) = match address {
            IpAddr::V4(v4) if v4.is_loopback() => (libc::AF_INET, 0, libc::RT_SCOPE_HOST),
            IpAddr::V4(_) => (libc::AF_INET, 0, libc::RT_SCOPE_UNIVERSE),
            IpAddr::V6(_) => (libc::AF_INET6, libc::IFA_F_NODAD as u8, libc::RT_SCOPE_UNIVERSE),
        };
        let mut message = vec![family as u8, prefix, flags, scope];
        message.extend_from_slice(&index.to_ne_bytes());
        for kind in [libc::IFA_LOCAL, libc::IFA_ADDRESS] {
            put_attribute(&mut message, kind, &octets(address));
        }
        message
    }
}

/// A socket of the calling thread's network namespace.
pub(super) struct Rtnetlink(OwnedFd);

impl Rtnetlink {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Self(above_standard_streams(socket)?))
    }

    /// Lists the addresses of the interface `index`, of both families.
    pub(super) fn addresses(&self, index: u32) -> io::Result<Vec<Address>> {
        let mut found = Vec::new();
        let any = [libc::AF_UNSPEC as u8, 0, 0, 0, 0, 0, 0, 0];
        for _ in 0..TRIES {
            found.clear();
            let whole = self.ask(libc::RTM_GETADDR, libc::NLM_F_DUMP, &any, |kind, message| {
                found.extend(Address::parse(message, index).filter(|_| kind == libc::RTM_NEWADDR));
            })?;
            if whole {
                break;
            }
        }
        Ok(found)
    }

    /// Adds an address as `ip addr add` does.
    pub(super) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.add(&Address::wanted(index, address, prefix))
    }

    /// Adds an address again that was listed before.
    pub(super) fn restore_address(&self, address: &Address) -> io::Result<()> {
        self.add(&address.message)
    }

    pub(super) fn delete_address(&self, address: &Address) -> io::Result<()> {
        self.ask(libc::RTM_DELADDR, 0, &address.message, |_, _| {}).map(drop)
    }

    /// Reads how many frames found the interface's queue full, or no reader.
    pub(super) fn transmit_dropped(&self, index: u32) -> io::Result<Option<u64>> {
        let mut dropped = None;
        self.link(index, |kind, value| {
            if kind == libc::IFLA_STATS64 {
                let count = value.get(TRANSMIT_DROPPED..).and_then(|rest| rest.first_chunk());
                dropped = count.map(|bytes| u64::from_ne_bytes(*bytes));
            }
        })?;
        Ok(dropped)
    }

    /// Reads the kind of an interface that a driver makes on demand: `tun`, `macvtap`, `bridge`.
    pub(super) fn kind(&self, index: u32) -> io::Result<Option<String>> {
        let mut name = None;
        self.link(index, |kind, value| {
            if kind == libc::IFLA_LINKINFO {
                name = Attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND).map(|(_, text)| {
                    String::from_utf8_lossy(text.split(|byte| *byte == 0).next().unwrap_or_default())
                        .into_owned()
                });
            }
        })?;
        Ok(name)
    }

    fn add(&self, message: &[u8]) -> io::Result<()> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(libc::RTM_NEWADDR, flags, message, |_, _| {}).map(drop)
    }

    /// Asks about one interface, and shows each attribute of the answer.
    fn link(&self, index: u32, mut take: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let mut message = [0; LINK_MESSAGE];
        message[4..8].copy_from_slice(&index.to_ne_bytes());
        self.ask(libc::RTM_GETLINK, 0, &message, |kind, answer| {
            if let Some(attributes) = answer.get(LINK_MESSAGE..).filter(|_| kind == libc::RTM_NEWLINK) {
                Attributes(attributes).for_each(|(kind, value)| take(kind, value));
            }
        })
        .map(drop)
    }

    /// Sends one message and shows each answer until the kernel says that it was the last. `false` when something changed
    /// while a listing was made.
    fn ask(&self, kind: u16, flags: i32, body: &[u8], mut take: impl FnMut(u16, &[u8])) -> io::Result<bool> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        send(self.0.as_raw_fd(), &message(kind, flags, body), MsgFlags::empty())?;
        let (mut buffer, mut whole) = (vec![0; ROOM], true);
        loop {
            // The kernel has queued its answer before the request returns, and each next piece before the former one was read.
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            let len = recv(self.0.as_raw_fd(), &mut buffer, flags)?;
            let datagram = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
            for answer in Messages(datagram) {
                whole &= i32::from(answer.flags) & libc::NLM_F_DUMP_INTR == 0;
                match i32::from(answer.kind) {
                    libc::NLMSG_ERROR | libc::NLMSG_DONE => return status(answer.body).map(|()| whole),
                    libc::NLMSG_NOOP => {}
                    _ => take(answer.kind, answer.body),
                }
            }
        }
    }
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let len = (HEADER + body.len()) as u32;
    let mut message = len.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    // Neither a sequence number nor a port: one question a time, and the kernel knows the socket.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    message
}

/// The outcome of a request: 0, or an errno as a negative number. The end of a listing may lack it.
fn status(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes)) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
    }
}

fn put_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = (ATTRIBUTE + value.len()) as u16;
    message.extend_from_slice(&len.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

/// The messages of one datagram. What is cut short ends them.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let len = u32::from_ne_bytes(*self.0.first_chunk()?) as usize;
        let whole = self.0.get(..len).filter(|whole| whole.len() >= HEADER)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        let word = |at: usize| u16::from_ne_bytes([whole[at], whole[at + 1]]);
        Some(Message { kind: word(4), flags: word(6), body: &whole[HEADER..] })
    }
}

/// The attributes behind a message's fixed part, by kind and value.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let [a, b, c, d] = *self.0.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let whole = self.0.get(..len).filter(|whole| whole.len() >= ATTRIBUTE)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), &whole[ATTRIBUTE..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_cut_short_or_lies_about_its_length_ends_the_list() {
        let whole = message(libc::RTM_NEWADDR, 0, &Address::wanted(7, [10, 0, 0, 1].into(), 24));
        assert_eq!(Messages(&whole).count(), 1);
        let twice = [whole.clone(), whole.clone()].concat();
        assert_eq!(Messages(&twice).count(), 2);
        for len in 0..whole.len() {
            assert_eq!(Messages(&whole[..len]).count(), 0, "{len}");
        }
        for lie in [0_u32, 1, 15, whole.len() as u32 + 1, u32::MAX] {
            let mut lying = whole.clone();
            lying[..4].copy_from_slice(&lie.to_ne_bytes());
            assert_eq!(Messages(&lying).count(), 0, "{lie}");
        }
    }

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for (text, prefix) in [("10.0.0.1", 24), ("127.0.0.1", 8), ("fd00::1", 64), ("fe80::1", 128)] {
            let address: IpAddr = text.parse().unwrap();
            let body = Address::wanted(7, address, prefix);
            let read = Address::parse(&body, 7).unwrap();
            assert_eq!((read.address, read.prefix, read.has_peer), (address, prefix, false));
            assert!(Address::parse(&body, 8).is_none(), "another interface's");
            for len in 0..body.len() {
                let cut = Address::parse(&body[..len], 7);
                assert!(cut.is_none_or(|cut| cut.address == address), "{text} {len}");
            }
        }
    }

    #[test]
    fn an_attribute_of_no_length_ends_the_list() {
        // Lengths and kinds stand in the order of the machine's bytes.
        let attribute = |len: u16, kind: u16| [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        for bytes in [attribute(0, 1), attribute(3, 1), [attribute(8, 1), vec![9]].concat(), vec![4]] {
            assert_eq!(Attributes(&bytes).count(), 0, "{bytes:?}");
        }
        let whole = [attribute(4, 1), attribute(5, 2), vec![9]].concat();
        assert_eq!(Attributes(&whole).count(), 2);
    }
}
