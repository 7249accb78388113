//! Addresses of sockets: `sys/socket.h`, `netinet/in.h`, `sys/un.h`.
//!
//! `sockaddr_in` and `sockaddr_un` agree. IPv6 has another family number and four bytes more.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

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

#[cfg(test)]
mod tests {
    use super::Address;

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
}
