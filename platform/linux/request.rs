//! `struct ifreq`: a name and one value, whose type depends on the request (netdevice(7)).

use std::mem::{align_of, size_of};

const VALUE_LEN: usize = size_of::<libc::ifreq>() - libc::IFNAMSIZ;

/// An interface request. The union of C is kept as bytes: whatever the kernel writes, each reading of it is defined.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: [u8; VALUE_LEN],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());
const _: () = assert!(align_of::<Request>() >= align_of::<libc::ifreq>());

/// Where the address of a `struct sockaddr_in` or a MAC address of a `struct sockaddr` starts in the value.
const IPV4_AT: usize = 4;
const MAC_AT: usize = 2;

impl Request {
    /// A request without a name, for those that the descriptor alone tells the interface.
    pub(super) const EMPTY: Self = Self { name: [0; libc::IFNAMSIZ], value: [0; VALUE_LEN] };

    /// A request about the interface `name`; a longer name than the kernel has room for is cut.
    pub(super) fn about(name: &[u8]) -> Self {
        let mut request = Self::EMPTY;
        let len = name.len().min(libc::IFNAMSIZ - 1);
        request.name[..len].copy_from_slice(&name[..len]);
        request
    }

    pub(super) fn name(&self) -> &[u8] {
        self.name.split(|byte| *byte == 0).next().unwrap_or(&[])
    }

    pub(super) fn flags(&self) -> u16 {
        u16::from_ne_bytes(self.read(0))
    }

    pub(super) fn with_flags(self, flags: u16) -> Self {
        self.write(0, flags.to_ne_bytes())
    }

    pub(super) fn int(&self) -> i32 {
        i32::from_ne_bytes(self.read(0))
    }

    pub(super) fn with_int(self, int: i32) -> Self {
        self.write(0, int.to_ne_bytes())
    }

    pub(super) fn mac(&self) -> [u8; 6] {
        self.read(MAC_AT)
    }

    pub(super) fn with_mac(self, address: [u8; 6]) -> Self {
        self.write(0, libc::ARPHRD_ETHER.to_ne_bytes()).write(MAC_AT, address)
    }

    pub(super) fn ipv4(&self) -> [u8; 4] {
        self.read(IPV4_AT)
    }

    pub(super) fn with_ipv4(self, address: [u8; 4]) -> Self {
        self.write(0, FAMILY_IPV4.to_ne_bytes()).write(IPV4_AT, address)
    }

    /// The value's first bytes as a pointer of C, for the requests that carry one.
    pub(super) fn with_pointer(self, pointer: usize) -> Self {
        self.write(0, pointer.to_ne_bytes())
    }

    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.value[at..at + N]);
        bytes
    }

    fn write<const N: usize>(mut self, at: usize, bytes: [u8; N]) -> Self {
        self.value[at..at + N].copy_from_slice(&bytes);
        self
    }
}

const FAMILY_IPV4: u16 = libc::AF_INET as u16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_fifteen_bytes_and_ends_in_nul() {
        assert_eq!(Request::about(b"a23456789012345").name(), b"a23456789012345");
        assert_eq!(Request::about(b"a234567890123456").name(), b"a23456789012345");
        assert_eq!(Request::EMPTY.name(), b"");
    }

    #[test]
    fn values_lie_where_c_has_them() {
        assert_eq!(Request::EMPTY.with_flags(0x5002).value[..2], 0x5002_u16.to_ne_bytes());
        assert_eq!(Request::EMPTY.with_mac([1, 2, 3, 4, 5, 6]).mac(), [1, 2, 3, 4, 5, 6]);
        let address = Request::EMPTY.with_ipv4([10, 0, 3, 1]);
        assert_eq!((address.ipv4(), address.value[8]), ([10, 0, 3, 1], 0));
    }
}
