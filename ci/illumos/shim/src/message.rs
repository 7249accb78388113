//! Messages with ancillary data: `sys/socket.h`. Of ancillary data only descriptors (SCM_RIGHTS) are known.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::datagram::{self, CREDENTIALS_ROOM, Mark};
use crate::errno::{EINVAL, EMSGSIZE, errno, fail};
use crate::socket::MESSAGE_FLAGS;
use crate::socket_address::Address;
use crate::unknown::unknown;
use libc::{iovec, socklen_t};
use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::ptr;

/// `struct msghdr`, 64 bit.
#[repr(C)]
struct Message {
    name: *mut c_void,
    name_length: socklen_t,
    slices: *mut iovec,
    slice_count: c_int,
    control: *mut u8,
    control_length: socklen_t,
    flags: c_int,
}
const _: () = assert!(size_of::<Message>() == 48 && offset_of!(Message, control) == 32);

/// `struct cmsghdr`: 12 bytes, to which what follows is aligned by 4 on x86 (the host: 16 and 8).
const HEADER_LENGTH: usize = 12;
const HEADER_ALIGNMENT: usize = 4;
const SOL_SOCKET: c_int = 0xffff;
const SCM_RIGHTS: c_int = 0x1010;
/// The host passes no more descriptors in one message (SCM_MAX_FD of the Linux kernel).
const MOST_DESCRIPTORS: usize = 253;
/// Room for the host's header and that many descriptors.
const CONTROL_ROOM: usize = CREDENTIALS_ROOM + 16 + 4 * MOST_DESCRIPTORS + 4;

/// Ancillary data in the host's form, aligned as its header.
#[repr(C, align(8))]
struct Control {
    bytes: [u8; CONTROL_ROOM],
    length: usize,
}

fn read_number(bytes: &[u8], at: usize) -> Option<c_int> {
    Some(c_int::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The descriptors in illumos' ancillary data.
fn descriptors(control: &[u8]) -> Option<Vec<c_int>> {
    let mut found = Vec::new();
    let mut rest = control;
    while rest.len() >= HEADER_LENGTH {
        let length = usize::try_from(read_number(rest, 0)?).ok()?;
        let (level, kind) = (read_number(rest, 4)?, read_number(rest, 8)?);
        if (level, kind) != (SOL_SOCKET, SCM_RIGHTS) {
            unknown("ancillary data", format_args!("of level {level:#x}, type {kind:#x}"));
        }
        let payload = rest.get(HEADER_LENGTH..length)?;
        found.extend(payload.chunks_exact(4).filter_map(|number| read_number(number, 0)));
        rest = rest.get(length.next_multiple_of(HEADER_ALIGNMENT)..).unwrap_or_default();
    }
    Some(found)
}

impl Control {
    fn new() -> Self {
        Self { bytes: [0; CONTROL_ROOM], length: CONTROL_ROOM }
    }

    fn of(descriptors: &[c_int]) -> Self {
        let mut this = Self::new();
        let payload: Vec<u8> = descriptors.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
        let used = size_of::<libc::cmsghdr>() + payload.len();
        this.bytes[..8].copy_from_slice(&used.to_ne_bytes());
        this.bytes[8..12].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        this.bytes[12..16].copy_from_slice(&libc::SCM_RIGHTS.to_ne_bytes());
        this.bytes[16..used].copy_from_slice(&payload);
        this.length = used.next_multiple_of(8);
        this
    }

    /// The descriptors in the host's ancillary data; it sends one record of them at most. The sender's credentials, which
    /// a pair of datagram sockets has besides, are left out.
    fn descriptors(&self) -> Vec<c_int> {
        let mut rest = &self.bytes[..self.length.min(CONTROL_ROOM)];
        while rest.len() >= 16 {
            let used = usize::from_ne_bytes(rest[..8].try_into().unwrap_or_default()).clamp(16, rest.len());
            let is_rights = read_number(rest, 8) == Some(libc::SOL_SOCKET)
                && read_number(rest, 12) == Some(libc::SCM_RIGHTS);
            if is_rights {
                return rest[16..used].chunks_exact(4).filter_map(|number| read_number(number, 0)).collect();
            }
            rest = rest.get(used.next_multiple_of(8)..).unwrap_or_default();
        }
        Vec::new()
    }
}

/// illumos' ancillary data for descriptors.
fn illumos_control(descriptors: &[c_int]) -> Vec<u8> {
    if descriptors.is_empty() {
        return Vec::new();
    }
    let length = c_int::try_from(HEADER_LENGTH + 4 * descriptors.len()).unwrap_or(c_int::MAX);
    [length, SOL_SOCKET, SCM_RIGHTS]
        .iter()
        .chain(descriptors)
        .flat_map(|number| number.to_ne_bytes())
        .collect()
}

fn host_message(address: &Address, message: &Message) -> libc::msghdr {
    // SAFETY: plain numbers and addresses, for which zero is a value.
    let mut host = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    host.msg_name = address.as_ptr().cast_mut().cast();
    host.msg_namelen = address.len();
    host.msg_iov = message.slices;
    host.msg_iovlen = usize::try_from(message.slice_count).unwrap_or(usize::MAX);
    host
}

#[unsafe(export_name = "illumos___xnet_sendmsg")]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const Message, flags: c_int) -> isize {
    // SAFETY: the caller's structure.
    let message = unsafe { &*message };
    // SAFETY: null or the caller's address of that length.
    let address = unsafe { Address::from_illumos(message.name, message.name_length) };
    let mut host = host_message(&address, message);
    let mut control;
    if !message.control.is_null() && message.control_length > 0 {
        // SAFETY: the caller's ancillary data of that length.
        let given = unsafe { std::slice::from_raw_parts(message.control, message.control_length as usize) };
        match descriptors(given) {
            Some(found) if found.len() <= MOST_DESCRIPTORS => control = Control::of(&found),
            _ => return fail(EINVAL),
        }
        host.msg_control = ptr::from_mut(&mut control.bytes).cast();
        host.msg_controllen = control.length;
    }
    // SAFETY: the caller's slices.
    let length = unsafe { datagram::total(host.msg_iov, host.msg_iovlen) };
    let flags = MESSAGE_FLAGS.to_host(flags);
    if let Some(mark) = Mark::of(fd).filter(|_| host.msg_name.is_null()) {
        // SAFETY: a message of this stack, with the caller's slices.
        return unsafe { datagram::send(fd, mark, &host, flags, length) };
    }
    if datagram::is_too_long(fd, length) {
        return fail(EMSGSIZE);
    }
    // SAFETY: a message of this stack, with the caller's slices.
    datagram::sent(fd, unsafe { libc::sendmsg(fd, &raw const host, flags) }, length)
}

#[unsafe(export_name = "illumos___xnet_recvmsg")]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut Message, flags: c_int) -> isize {
    // SAFETY: the caller's structure, in no other use during the call.
    let message = unsafe { &mut *message };
    let mut address = Address::room();
    let mut control = Control::new();
    let mut host = host_message(&address, message);
    host.msg_name = address.as_mut_ptr().cast();
    host.msg_control = ptr::from_mut(&mut control.bytes).cast();
    host.msg_controllen = host_control_length(message);
    let flags = MESSAGE_FLAGS.to_host(flags) & !libc::MSG_TRUNC;
    let mark = Mark::of(fd);
    let result = match mark {
        Some(mark) => {
            host.msg_controllen += CREDENTIALS_ROOM;
            // SAFETY: a message of this stack, with the caller's slices.
            unsafe { datagram::receive(fd, mark, &mut host, flags) }
        }
        // SAFETY: a message of this stack, with the caller's slices.
        None => errno(unsafe { libc::recvmsg(fd, &raw mut host, flags) }),
    };
    if result < 0 {
        return result;
    }
    address.set_len(host.msg_namelen);
    control.length = host.msg_controllen;
    message.flags = MESSAGE_FLAGS.to_illumos(host.msg_flags);
    // SAFETY: null or the caller's room for an address of that length.
    unsafe { address.copy_out(message.name, &raw mut message.name_length) };
    // SAFETY: null or the caller's room for ancillary data of that length.
    unsafe { write_control(message, &illumos_control(&control.descriptors())) };
    result
}

/// As much room for the host as makes it pass no more descriptors than fit in illumos' form.
fn host_control_length(message: &Message) -> usize {
    let room = if message.control.is_null() { 0 } else { message.control_length as usize };
    let fit = room.saturating_sub(HEADER_LENGTH) / 4;
    if fit == 0 { 0 } else { size_of::<libc::cmsghdr>() + 4 * fit.min(MOST_DESCRIPTORS) }
}

/// # Safety
/// `message.control` is null or has `message.control_length` writable bytes.
unsafe fn write_control(message: &mut Message, control: &[u8]) {
    let fits = control.len().min(message.control_length as usize);
    if !message.control.is_null() {
        // SAFETY: no more than the caller's room.
        unsafe { ptr::copy_nonoverlapping(control.as_ptr(), message.control, fits) };
    }
    message.control_length = socklen_t::try_from(fits).unwrap_or(0);
}

#[cfg(test)]
mod tests {
    use super::{Control, descriptors, illumos_control};

    #[test]
    fn descriptors_survive_both_forms() {
        let given = [3, 4, 5];
        let illumos = illumos_control(&given);
        assert_eq!(illumos[..12], [24, 0, 0, 0, 0xff, 0xff, 0, 0, 0x10, 0x10, 0, 0]);
        let found = descriptors(&illumos).unwrap();
        assert_eq!(Control::of(&found).descriptors(), given);
    }

    #[test]
    fn data_cut_short_is_refused() {
        assert_eq!(descriptors(&illumos_control(&[3])[..14]), None);
        assert_eq!(descriptors(&[]), Some(vec![]));
    }
}
