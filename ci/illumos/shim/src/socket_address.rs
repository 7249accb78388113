//! Addresses and options of sockets: `sys/socket.h`, `netinet/in.h`, `sys/un.h`, `netinet/tcp.h`.
//!
//! `sockaddr_in` and `sockaddr_un` agree. IPv6 has another family number and four bytes more. Options' values agree but
//! where told.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::datagram::{self, Mark};
use crate::errno::{errno, to_illumos};
use crate::socket::TYPES;
use crate::translate::Numbers;
use libc::socklen_t;
use std::ffi::{c_int, c_void};
use std::ptr;

/// `sys/socket.h`.
pub(crate) const FAMILIES: Numbers = Numbers {
    what: "address family",
    pairs: &[(0, libc::AF_UNSPEC), (1, libc::AF_UNIX), (2, libc::AF_INET), (26, libc::AF_INET6)],
};
const AF_INET6: u16 = 26;
/// `netinet/in.h`: `__sin6_src_id` follows what the host has.
const SOCKADDR_IN6_LEN: usize = 32;
const HOST_SOCKADDR_IN6_LEN: usize = size_of::<libc::sockaddr_in6>();
/// As long as the longest, `sockaddr_storage`.
const ROOM: usize = 256;

/// An address in the host's form, with the room for any of illumos'.
pub(crate) struct Address {
    bytes: [u8; ROOM],
    length: usize,
}

impl Address {
    /// Room for an address that the host will fill.
    pub(crate) fn room() -> Self {
        Self { bytes: [0; ROOM], length: size_of::<libc::sockaddr_storage>() }
    }

    /// # Safety
    /// `address` is null or has `length` readable bytes.
    pub(crate) unsafe fn from_illumos(address: *const c_void, length: socklen_t) -> Self {
        let mut this = Self { bytes: [0; ROOM], length: (length as usize).min(ROOM) };
        if address.is_null() {
            this.length = 0;
            return this;
        }
        // SAFETY: `length` bytes of the caller's, into as many here.
        unsafe { ptr::copy_nonoverlapping(address.cast(), this.bytes.as_mut_ptr(), this.length) };
        if this.length >= 2 && this.family() == AF_INET6 {
            this.set_family(libc::AF_INET6);
            // one that is too short for illumos stays too short for the host
            this.length = if this.length < SOCKADDR_IN6_LEN { 2 } else { HOST_SOCKADDR_IN6_LEN };
        }
        this
    }

    /// Copies the address out as illumos does: as much as fits, and the whole length.
    ///
    /// # Safety
    /// `length` is null, or `address` has as many writable bytes as it says.
    pub(crate) unsafe fn copy_out(mut self, address: *mut c_void, length: *mut socklen_t) {
        // SAFETY: null or the caller's number.
        let Some(room) = (unsafe { length.as_mut() }) else {
            return;
        };
        if self.length >= 2 && c_int::from(self.family()) == libc::AF_INET6 {
            self.set_family(c_int::from(AF_INET6));
            self.length = SOCKADDR_IN6_LEN;
        }
        if !address.is_null() {
            let fits = self.length.min(*room as usize);
            // SAFETY: no more than the caller's room.
            unsafe { ptr::copy_nonoverlapping(self.bytes.as_ptr(), address.cast(), fits) };
        }
        *room = socklen_t::try_from(self.length).unwrap_or(0);
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        if self.length == 0 { ptr::null() } else { self.bytes.as_ptr().cast() }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    pub(crate) fn len(&self) -> socklen_t {
        socklen_t::try_from(self.length).unwrap_or(0)
    }

    pub(crate) fn set_len(&mut self, length: socklen_t) {
        self.length = (length as usize).min(ROOM);
    }

    fn family(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[0], self.bytes[1]])
    }

    fn set_family(&mut self, family: c_int) {
        let family = u16::try_from(family).unwrap_or(0);
        self.bytes[..2].copy_from_slice(&family.to_ne_bytes());
    }
}

const SOL_SOCKET: c_int = 0xffff;
const SO_SNDBUF: c_int = 0x1001;
const SO_RCVBUF: c_int = 0x1002;
const SO_RCVTIMEO: c_int = 0x1006;
const SO_ERROR: c_int = 0x1007;
const SO_TYPE: c_int = 0x1008;
const SO_DOMAIN: c_int = 0x100c;

/// `sys/socket.h`.
const SOCKET: Numbers = Numbers {
    what: "socket option",
    pairs: &[
        (0x0001, libc::SO_DEBUG),
        (0x0002, libc::SO_ACCEPTCONN),
        (0x0004, libc::SO_REUSEADDR),
        (0x0008, libc::SO_KEEPALIVE),
        (0x0010, libc::SO_DONTROUTE),
        (0x0020, libc::SO_BROADCAST),
        (0x0080, libc::SO_LINGER),
        (0x0100, libc::SO_OOBINLINE),
        (SO_SNDBUF, libc::SO_SNDBUF),
        (SO_RCVBUF, libc::SO_RCVBUF),
        (0x1003, libc::SO_SNDLOWAT),
        (0x1004, libc::SO_RCVLOWAT),
        (0x1005, libc::SO_SNDTIMEO),
        (SO_RCVTIMEO, libc::SO_RCVTIMEO),
        (SO_ERROR, libc::SO_ERROR),
        (SO_TYPE, libc::SO_TYPE),
        (0x1009, libc::SO_PROTOCOL),
        (SO_DOMAIN, libc::SO_DOMAIN),
        (0x1013, libc::SO_TIMESTAMP),
    ],
};
/// `netinet/in.h`.
const IP: Numbers = Numbers {
    what: "IP option",
    pairs: &[
        (0x02, libc::IP_HDRINCL),
        (0x03, libc::IP_TOS),
        (0x04, libc::IP_TTL),
        (0x10, libc::IP_MULTICAST_IF),
        (0x11, libc::IP_MULTICAST_TTL),
        (0x12, libc::IP_MULTICAST_LOOP),
        (0x13, libc::IP_ADD_MEMBERSHIP),
        (0x14, libc::IP_DROP_MEMBERSHIP),
        (0x1a, libc::IP_PKTINFO),
    ],
};
/// `netinet/in.h`.
const IPV6: Numbers = Numbers {
    what: "IPv6 option",
    pairs: &[
        (0x05, libc::IPV6_UNICAST_HOPS),
        (0x06, libc::IPV6_MULTICAST_IF),
        (0x07, libc::IPV6_MULTICAST_HOPS),
        (0x08, libc::IPV6_MULTICAST_LOOP),
        (0x09, libc::IPV6_ADD_MEMBERSHIP),
        (0x0a, libc::IPV6_DROP_MEMBERSHIP),
        (0x26, libc::IPV6_TCLASS),
        (0x27, libc::IPV6_V6ONLY),
    ],
};
/// `netinet/tcp.h`.
const TCP: Numbers = Numbers {
    what: "TCP option",
    pairs: &[
        (0x01, libc::TCP_NODELAY),
        (0x02, libc::TCP_MAXSEG),
        (0x18, libc::TCP_CORK),
        (0x22, libc::TCP_KEEPIDLE),
        (0x23, libc::TCP_KEEPCNT),
        (0x24, libc::TCP_KEEPINTVL),
    ],
};
/// Levels are protocols' numbers but for the sockets' own.
const LEVELS: [(c_int, c_int, Numbers); 4] = [
    (SOL_SOCKET, libc::SOL_SOCKET, SOCKET),
    (0, libc::IPPROTO_IP, IP),
    (41, libc::IPPROTO_IPV6, IPV6),
    (6, libc::IPPROTO_TCP, TCP),
];

fn host_option(level: c_int, option: c_int) -> (c_int, c_int) {
    match LEVELS.iter().find(|entry| entry.0 == level) {
        Some((_, host, options)) => (*host, options.to_host(option)),
        None => crate::unknown::unknown("socket option level", level),
    }
}

/// An option's value where it is a number of either system's.
fn illumos_value(level: c_int, option: c_int, value: c_int) -> c_int {
    match (level, option) {
        (SOL_SOCKET, SO_ERROR) => to_illumos(value),
        (SOL_SOCKET, SO_TYPE) => TYPES.to_illumos(value),
        (SOL_SOCKET, SO_DOMAIN) => FAMILIES.to_illumos(value),
        // socket(7): the host keeps and tells the double of what it was asked for
        (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF) => value / 2,
        _ => value,
    }
}

#[unsafe(export_name = "illumos_setsockopt")]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    if level == SOL_SOCKET && option == SO_RCVTIMEO && datagram::ignores_receive_timeout(fd) {
        return 0;
    }
    let (level, option) = host_option(level, option);
    // SAFETY: the caller's value of `length` readable bytes.
    errno(unsafe { libc::setsockopt(fd, level, option, value, length) })
}

#[unsafe(export_name = "illumos___xnet_getsockopt")]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    if level == SOL_SOCKET
        // SAFETY: the caller's number and place.
        && unsafe { of_a_pair(fd, option, value, length) }
    {
        return 0;
    }
    let (host_level, host_option) = host_option(level, option);
    // SAFETY: the caller's value, with room for as many bytes as the length says.
    let result = errno(unsafe { libc::getsockopt(fd, host_level, host_option, value, length) });
    // SAFETY: the caller's number.
    if result == 0 && unsafe { length.read() } == 4 {
        let number: *mut c_int = value.cast();
        // SAFETY: the host has filled four bytes, perhaps not aligned.
        let filled = unsafe { number.read_unaligned() };
        // SAFETY: as above.
        unsafe { number.write_unaligned(illumos_value(level, option, filled)) };
    }
    result
}

/// What the host would say wrong of a pair of datagram sockets.
///
/// # Safety
/// `value` has as many writable bytes as `length` says.
unsafe fn of_a_pair(fd: c_int, option: c_int, value: *mut c_void, length: *mut socklen_t) -> bool {
    const SOCK_DGRAM: c_int = 1;
    // SAFETY: the caller's number.
    let room = unsafe { length.read() };
    let Some(mark) = Mark::of(fd).filter(|_| room >= 4) else { return false };
    let found = match option {
        SO_TYPE if matches!(mark, Mark::Pair | Mark::Broken) => SOCK_DGRAM,
        SO_ERROR => datagram::take_error(fd).unwrap_or(0),
        _ => return false,
    };
    // SAFETY: four bytes of the caller's, perhaps not aligned.
    unsafe { value.cast::<c_int>().write_unaligned(found) };
    // SAFETY: the caller's number.
    unsafe { length.write(4) };
    true
}

#[unsafe(export_name = "illumos_getsockopt")]
unsafe extern "C" fn plain_getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the same function.
    unsafe { getsockopt(fd, level, option, value, length) }
}

#[cfg(test)]
mod tests {
    use super::{Address, host_option, illumos_value};

    #[test]
    fn an_ipv6_address_is_four_bytes_longer_on_illumos() {
        let mut illumos = [0_u8; 32];
        illumos[0] = 26;
        illumos[23] = 1;
        // SAFETY: 32 bytes.
        let address = unsafe { Address::from_illumos(illumos.as_ptr().cast(), 32) };
        assert_eq!((address.len(), address.bytes[0], address.bytes[23]), (28, 10, 1));

        let (mut back, mut length) = ([0_u8; 32], 32);
        // SAFETY: 32 bytes, as the length says.
        unsafe { address.copy_out(back.as_mut_ptr().cast(), &raw mut length) };
        assert_eq!((back, length), (illumos, 32));
    }

    #[test]
    fn a_short_ipv6_address_stays_too_short() {
        let illumos = [26_u8, 0, 0, 0];
        // SAFETY: 4 bytes.
        let address = unsafe { Address::from_illumos(illumos.as_ptr().cast(), 4) };
        assert_eq!(address.len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_its_length_told() {
        let mut address = Address::room();
        address.set_family(libc::AF_INET6);
        address.set_len(28);
        let (mut cut, mut length) = ([0xff_u8; 8], 4);
        // SAFETY: 8 bytes, more than the length says.
        unsafe { address.copy_out(cut.as_mut_ptr().cast(), &raw mut length) };
        assert_eq!((cut, length), ([26, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], 32));
    }

    #[test]
    fn options_are_found_in_their_level() {
        assert_eq!(host_option(0xffff, 0x1007), (libc::SOL_SOCKET, libc::SO_ERROR));
        assert_eq!(host_option(0, 4), (libc::IPPROTO_IP, libc::IP_TTL));
        assert_eq!(host_option(41, 0x27), (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY));
        assert_eq!(host_option(6, 1), (libc::IPPROTO_TCP, libc::TCP_NODELAY));
    }

    #[test]
    fn a_pending_error_is_renumbered() {
        assert_eq!(illumos_value(0xffff, 0x1007, libc::ECONNREFUSED), 146);
        assert_eq!(illumos_value(0xffff, 0x1008, libc::SOCK_DGRAM), 1);
        assert_eq!(illumos_value(0xffff, 0x1001, 8192), 4096);
    }
}
