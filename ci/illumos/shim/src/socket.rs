//! Sockets: `sys/socket.h`. The `__xnet_` names are what the headers make of the plain ones.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::datagram::{self, Mark};
use crate::errno::{EMSGSIZE, ENOTCONN, errno, fail, to_illumos};
use crate::socket_address::{Address, FAMILIES};
use crate::streams;
use crate::translate::{Flags, Numbers};
use libc::socklen_t;
use std::ffi::{c_int, c_void};
use std::ptr;

/// `sys/socket.h`: streams and datagrams are the other way round.
pub(crate) const TYPES: Numbers = Numbers {
    what: "socket type",
    pairs: &[
        (2, libc::SOCK_STREAM),
        (1, libc::SOCK_DGRAM),
        (4, libc::SOCK_RAW),
        (5, libc::SOCK_RDM),
        (6, libc::SOCK_SEQPACKET),
    ],
};
const TYPE_MASK: c_int = 0xffff;
/// `bits/socket.h` of the host: what is no flag.
const HOST_TYPE_MASK: c_int = 0xf;
/// `sys/socket.h`.
const TYPE_FLAGS: Flags =
    Flags { what: "socket flag", pairs: &[(0x8_0000, libc::SOCK_CLOEXEC), (0x10_0000, libc::SOCK_NONBLOCK)] };
/// `sys/socket.h`.
pub(crate) const MESSAGE_FLAGS: Flags = Flags {
    what: "message flag",
    pairs: &[
        (0x01, libc::MSG_OOB),
        (0x02, libc::MSG_PEEK),
        (0x04, libc::MSG_DONTROUTE),
        (0x08, libc::MSG_EOR),
        (0x10, libc::MSG_CTRUNC),
        (0x20, libc::MSG_TRUNC),
        (0x40, libc::MSG_WAITALL),
        (0x80, libc::MSG_DONTWAIT),
        (0x200, libc::MSG_NOSIGNAL),
        (0x1000, libc::MSG_CMSG_CLOEXEC),
        (0x8000, 0), // MSG_XPG4_2: which layout of msghdr; there is one
    ],
};
const EAFNOSUPPORT: c_int = 124;
const EPROTOTYPE: c_int = 98;

forward! { errno:
    fn listen(fd: c_int, backlog: c_int) -> c_int;
    // SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 agree
    fn shutdown(fd: c_int, how: c_int) -> c_int;
}

/// The host's family and type, or illumos' errno.
fn host_kind(family: c_int, kind: c_int) -> Result<(c_int, c_int), c_int> {
    let family = FAMILIES.find_host(family).ok_or(EAFNOSUPPORT)?;
    let base = TYPES.find_host(kind & TYPE_MASK).ok_or(EPROTOTYPE)?;
    Ok((family, base | TYPE_FLAGS.to_host(kind & !TYPE_MASK)))
}

#[unsafe(export_name = "illumos___xnet_socket")]
pub(crate) extern "C" fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    match host_kind(family, kind) {
        Ok((family, kind)) => match streams::socket(family, kind, protocol) {
            Some(fd) => fd,
            // SAFETY: takes numbers.
            None => errno(unsafe { libc::socket(family, kind, protocol) }),
        },
        Err(number) => fail(number),
    }
}

#[unsafe(export_name = "illumos_socket")]
extern "C" fn plain_socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    socket(family, kind, protocol)
}

#[unsafe(export_name = "illumos___xnet_socketpair")]
unsafe extern "C" fn socketpair(family: c_int, kind: c_int, protocol: c_int, ends: *mut c_int) -> c_int {
    match host_kind(family, kind) {
        Ok((libc::AF_UNIX, kind)) if kind & HOST_TYPE_MASK == libc::SOCK_DGRAM && protocol == 0 => {
            match datagram::pair(kind & !HOST_TYPE_MASK) {
                Ok(made) => {
                    // SAFETY: the caller's array has room for two descriptors.
                    unsafe { ends.cast::<[c_int; 2]>().write(made) };
                    0
                }
                Err(error) => fail(to_illumos(error.raw_os_error().unwrap_or(0))),
            }
        }
        // SAFETY: the caller's array has room for two descriptors.
        Ok((family, kind)) => errno(unsafe { libc::socketpair(family, kind, protocol, ends) }),
        Err(number) => fail(number),
    }
}

#[unsafe(export_name = "illumos_socketpair")]
unsafe extern "C" fn plain_socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    ends: *mut c_int,
) -> c_int {
    // SAFETY: the same function.
    unsafe { socketpair(family, kind, protocol, ends) }
}

#[unsafe(export_name = "illumos___xnet_bind")]
unsafe extern "C" fn bind(fd: c_int, address: *const c_void, length: socklen_t) -> c_int {
    // SAFETY: the caller's address of `length` bytes.
    let address = unsafe { Address::from_illumos(address, length) };
    // SAFETY: an address of this stack, with its length.
    errno(unsafe { libc::bind(fd, address.as_ptr(), address.len()) })
}

#[unsafe(export_name = "illumos___xnet_connect")]
unsafe extern "C" fn connect(fd: c_int, address: *const c_void, length: socklen_t) -> c_int {
    // SAFETY: the caller's address of `length` bytes.
    let address = unsafe { Address::from_illumos(address, length) };
    // SAFETY: an address of this stack, with its length.
    errno(unsafe { libc::connect(fd, address.as_ptr(), address.len()) })
}

/// Runs a call that fills an address, and copies that out.
///
/// # Safety
/// - `length` is null, or `address` has as many writable bytes as it says.
/// - `call` fills no more than the length it is given, and writes the length it filled.
unsafe fn with_address<T: crate::errno::Outcome>(
    address: *mut c_void,
    length: *mut socklen_t,
    call: impl FnOnce(*mut libc::sockaddr, *mut socklen_t) -> T,
) -> T {
    if address.is_null() || length.is_null() {
        return errno(call(ptr::null_mut(), ptr::null_mut()));
    }
    let mut host = Address::room();
    let mut filled = host.len();
    let result = errno(call(host.as_mut_ptr(), &raw mut filled));
    if result != T::FAILURE {
        host.set_len(filled);
        // SAFETY: as the caller promises.
        unsafe { host.copy_out(address, length) };
    }
    result
}

#[unsafe(export_name = "illumos_accept4")]
unsafe extern "C" fn accept4(fd: c_int, address: *mut c_void, length: *mut socklen_t, flags: c_int) -> c_int {
    let flags = TYPE_FLAGS.to_host(flags);
    // SAFETY: the places `with_address` makes.
    let call = |address, length| unsafe { libc::accept4(fd, address, length, flags) };
    // SAFETY: the caller's places, by the prototype.
    unsafe { with_address(address, length, call) }
}

#[unsafe(export_name = "illumos_accept")]
unsafe extern "C" fn accept(fd: c_int, address: *mut c_void, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's places, by the prototype.
    unsafe { accept4(fd, address, length, 0) }
}

#[unsafe(export_name = "illumos_getsockname")]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut c_void, length: *mut socklen_t) -> c_int {
    /// `struct sockaddr`: an end of a pair is bound to a name of zeros (`sotpi_bindlisten`).
    const SOCKADDR_LEN: socklen_t = 16;
    let call = |address, length: *mut socklen_t| {
        // SAFETY: the places `with_address` makes.
        let result = unsafe { libc::getsockname(fd, address, length) };
        if result == 0 && Mark::of(fd).is_some_and(Mark::is_end) {
            // SAFETY: as above; behind the family the room is zero.
            unsafe { length.write(SOCKADDR_LEN) };
        }
        result
    };
    // SAFETY: the caller's places, by the prototype.
    unsafe { with_address(address, length, call) }
}

#[unsafe(export_name = "illumos_getpeername")]
unsafe extern "C" fn getpeername(fd: c_int, address: *mut c_void, length: *mut socklen_t) -> c_int {
    if datagram::has_lost_its_peer(fd) {
        return fail(ENOTCONN);
    }
    let call = |address, length: *mut socklen_t| {
        // SAFETY: the places `with_address` makes.
        let result = unsafe { libc::getpeername(fd, address, length) };
        if result == 0 {
            // SAFETY: as above; the host has filled both.
            unsafe { forget_unnamed(address, length) };
        }
        result
    };
    // SAFETY: the caller's places, by the prototype.
    unsafe { with_address(address, length, call) }
}

/// An unnamed peer of AF_UNIX has an address of no bytes, where the host tells its family: `sotpi_getpeername`.
///
/// # Safety
/// `length` is a number, and `address` has as many bytes as it says.
unsafe fn forget_unnamed(address: *mut libc::sockaddr, length: *mut socklen_t) {
    const FAMILY_ONLY: socklen_t = 2;
    // SAFETY: as the caller promises.
    if unsafe { length.read() } != FAMILY_ONLY {
        return;
    }
    // SAFETY: as the caller promises: two bytes, perhaps not aligned.
    if unsafe { address.cast::<u16>().read_unaligned() } == 1 {
        // SAFETY: as the caller promises.
        unsafe { length.write(0) };
    }
}

/// `sotpi_recvmsg` does not look at MSG_TRUNC: what a call returns is what it copied.
fn receive_flags(illumos: c_int) -> c_int {
    MESSAGE_FLAGS.to_host(illumos) & !libc::MSG_TRUNC
}

#[unsafe(export_name = "illumos_send")]
unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize {
    let (slice, flags) = (datagram::slice(buffer, length), MESSAGE_FLAGS.to_host(flags));
    if let Some(mark) = Mark::of(fd) {
        // SAFETY: one slice, of the caller's buffer of `length` readable bytes.
        return unsafe { datagram::send(fd, mark, &datagram::message(&raw const slice, 1), flags, length) };
    }
    if datagram::is_too_long(fd, length) {
        return fail(EMSGSIZE);
    }
    // SAFETY: the caller's buffer of `length` readable bytes.
    datagram::sent(fd, unsafe { libc::send(fd, buffer, length, flags) }, length)
}

#[unsafe(export_name = "illumos_recv")]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize {
    let flags = receive_flags(flags);
    if let Some(mark) = Mark::of(fd) {
        let slice = datagram::slice(buffer, length);
        // SAFETY: one slice, of the caller's buffer of `length` writable bytes.
        return unsafe { datagram::receive(fd, mark, &mut datagram::message(&raw const slice, 1), flags) };
    }
    // SAFETY: the caller's buffer of `length` writable bytes.
    errno(unsafe { libc::recv(fd, buffer, length, flags) })
}

#[unsafe(export_name = "illumos___xnet_sendto")]
unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    length: usize,
    flags: c_int,
    address: *const c_void,
    address_length: socklen_t,
) -> isize {
    // SAFETY: null or the caller's address of `address_length` bytes.
    let address = unsafe { Address::from_illumos(address, address_length) };
    let (slice, flags) = (datagram::slice(buffer, length), MESSAGE_FLAGS.to_host(flags));
    if let Some(mark) = Mark::of(fd).filter(|_| address.len() == 0) {
        // SAFETY: one slice, of the caller's buffer of `length` readable bytes.
        return unsafe { datagram::send(fd, mark, &datagram::message(&raw const slice, 1), flags, length) };
    }
    if datagram::is_too_long(fd, length) {
        return fail(EMSGSIZE);
    }
    // SAFETY: the caller's buffer of `length` readable bytes, and an address of this stack with its length.
    errno(unsafe { libc::sendto(fd, buffer, length, flags, address.as_ptr(), address.len()) })
}

#[unsafe(export_name = "illumos_recvfrom")]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
    flags: c_int,
    address: *mut c_void,
    address_length: *mut socklen_t,
) -> isize {
    let flags = receive_flags(flags);
    if let Some(mark) = Mark::of(fd) {
        let slice = datagram::slice(buffer, length);
        // SAFETY: one slice, of the caller's buffer of `length` writable bytes.
        let result =
            unsafe { datagram::receive(fd, mark, &mut datagram::message(&raw const slice, 1), flags) };
        // SAFETY: null or the caller's number. The other end has no name.
        if let Some(length) = unsafe { address_length.as_mut() } {
            *length = 0;
        }
        return result;
    }
    // SAFETY: the caller's buffer of `length` writable bytes, and the places `with_address` makes.
    let call = |address, filled| unsafe { libc::recvfrom(fd, buffer, length, flags, address, filled) };
    // SAFETY: the caller's places, by the prototype.
    unsafe { with_address(address, address_length, call) }
}

#[cfg(test)]
mod tests {
    use super::host_kind;

    #[test]
    fn kinds_are_translated_with_their_flags() {
        let expected = (libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
        assert_eq!(host_kind(26, 1 | 0x18_0000), Ok(expected));
        assert_eq!(host_kind(1, 2), Ok((libc::AF_UNIX, libc::SOCK_STREAM)));
    }

    /// Rows O1 and O15.
    #[test]
    fn an_end_of_a_pair_has_a_name_of_zeros_and_a_peer_without_any() {
        let mut ends = [-1; 2];
        // SAFETY: room for two descriptors; a pair of datagram sockets.
        assert_eq!(unsafe { super::socketpair(1, 1, 0, ends.as_mut_ptr()) }, 0);
        let name = |call: unsafe extern "C" fn(i32, *mut std::ffi::c_void, *mut u32) -> i32| {
            let (mut address, mut length) = ([0xff_u8; 110], 110);
            // SAFETY: an address of this stack, with its length.
            assert_eq!(unsafe { call(ends[0], address.as_mut_ptr().cast(), &raw mut length) }, 0);
            address[..length as usize].to_vec()
        };
        let mut own = [0; 16];
        own[0] = 1;
        assert_eq!((name(super::getsockname), name(super::getpeername)), (own.to_vec(), vec![]));
        // SAFETY: descriptors that were just made.
        ends.map(|fd| unsafe { libc::close(fd) });
    }

    #[test]
    fn what_there_is_not_gets_illumos_errno() {
        assert_eq!(host_kind(10, 1), Err(124));
        assert_eq!(host_kind(2, 3), Err(98));
    }
}
