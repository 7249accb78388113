//! The requests of `linux/if_tun.h` and netdevice(7), each as a constant that states what its argument points to, so that
//! calling one is safe. Also `struct ifreq`, the argument of most.

// UNSAFETY: ioctl(2) takes an untyped pointer whose pointee the request number decides. Each type of request below ties its
// numbers to one pointee; the numbers cannot be made outside this file.
#![expect(unsafe_code, reason = "ioctl(2) has no safe form")]

use std::ffi::c_int;
use std::io;
use std::mem::{align_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::super::tap::descriptors::above_standard_streams;

/// A request whose argument points to a `struct ifreq`, which the kernel reads, writes, or both.
#[derive(Clone, Copy)]
pub(super) struct IfreqCall(libc::Ioctl);

pub(super) const SET_IFF: IfreqCall = IfreqCall(libc::TUNSETIFF);
pub(super) const GET_IFF: IfreqCall = IfreqCall(libc::TUNGETIFF);
pub(super) const SET_QUEUE: IfreqCall = IfreqCall(libc::TUNSETQUEUE);
pub(super) const GET_INDEX: IfreqCall = IfreqCall(libc::SIOCGIFINDEX as libc::Ioctl);
pub(super) const GET_FLAGS: IfreqCall = IfreqCall(libc::SIOCGIFFLAGS as libc::Ioctl);
pub(super) const SET_FLAGS: IfreqCall = IfreqCall(libc::SIOCSIFFLAGS as libc::Ioctl);
pub(super) const GET_MTU: IfreqCall = IfreqCall(libc::SIOCGIFMTU as libc::Ioctl);
pub(super) const SET_MTU: IfreqCall = IfreqCall(libc::SIOCSIFMTU as libc::Ioctl);
pub(super) const GET_QUEUE_LENGTH: IfreqCall = IfreqCall(libc::SIOCGIFTXQLEN as libc::Ioctl);
pub(super) const SET_QUEUE_LENGTH: IfreqCall = IfreqCall(libc::SIOCSIFTXQLEN as libc::Ioctl);
pub(super) const GET_MAC: IfreqCall = IfreqCall(libc::SIOCGIFHWADDR as libc::Ioctl);
pub(super) const SET_MAC: IfreqCall = IfreqCall(libc::SIOCSIFHWADDR as libc::Ioctl);

impl IfreqCall {
    pub(super) fn call(self, fd: BorrowedFd<'_>, mut request: Request) -> io::Result<Request> {
        // SAFETY: the argument is a `Request`, of the size and alignment of `struct ifreq` (asserted where it is defined), owned
        // by this frame for the whole call; every number of this type reads or writes one `struct ifreq` and keeps no pointer.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), self.0, &raw mut request) };
        checked(result).map(|_| request)
    }
}

/// A request whose argument points to an `int`.
#[derive(Clone, Copy)]
pub(super) struct IntCall(libc::Ioctl);

pub(super) const GET_HEADER_LEN: IntCall = IntCall(libc::TUNGETVNETHDRSZ);
pub(super) const SET_HEADER_LEN: IntCall = IntCall(libc::TUNSETVNETHDRSZ);
pub(super) const SET_LITTLE_ENDIAN: IntCall = IntCall(libc::TUNSETVNETLE);
pub(super) const SET_SEND_BUFFER: IntCall = IntCall(libc::TUNSETSNDBUF);
pub(super) const SET_CARRIER: IntCall = IntCall(libc::TUNSETCARRIER);
/// The `int` holds a whole `struct tun_filter` of no addresses: two 16-bit zeros.
pub(super) const SET_ADDRESS_FILTER: IntCall = IntCall(libc::TUNSETTXFILTER);
/// The `int` is the descriptor of a program, -1 for none.
pub(super) const SET_PROGRAM_FILTER: IntCall = IntCall(libc::TUNSETFILTEREBPF);

impl IntCall {
    pub(super) fn get(self, fd: BorrowedFd<'_>) -> io::Result<c_int> {
        self.call(fd, 0)
    }

    pub(super) fn set(self, fd: BorrowedFd<'_>, value: c_int) -> io::Result<()> {
        self.call(fd, value).map(drop)
    }

    fn call(self, fd: BorrowedFd<'_>, mut value: c_int) -> io::Result<c_int> {
        // SAFETY: the argument is one `int`, owned by this function for the whole call; every number of this type reads or writes
        // four bytes there and keeps no pointer.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), self.0, &raw mut value) };
        checked(result).map(|_| value)
    }
}

/// A request whose argument is a number and not a pointer.
#[derive(Clone, Copy)]
pub(super) struct ValueCall(libc::Ioctl);

pub(super) const SET_OFFLOAD: ValueCall = ValueCall(libc::TUNSETOFFLOAD);
pub(super) const SET_OWNER: ValueCall = ValueCall(libc::TUNSETOWNER);
pub(super) const SET_GROUP: ValueCall = ValueCall(libc::TUNSETGROUP);
pub(super) const SET_PERSISTENT: ValueCall = ValueCall(libc::TUNSETPERSIST);
/// Its argument is ignored.
pub(super) const DETACH_FILTER: ValueCall = ValueCall(libc::TUNDETACHFILTER);

impl ValueCall {
    pub(super) fn call(self, fd: BorrowedFd<'_>, value: u32) -> io::Result<()> {
        // SAFETY: no number of this type makes the kernel follow its argument; nothing of ours is lent.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), self.0, libc::c_ulong::from(value)) };
        checked(result).map(drop)
    }
}

/// Opens the network namespace that a TUN or TAP interface is in now (`TUNGETDEVNETNS`).
pub(super) fn device_namespace(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    open_namespace(fd, libc::TUNGETDEVNETNS)
}

/// Opens the network namespace of a socket: that of the thread that made it (`SIOCGSKNS`).
pub(super) fn socket_namespace(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    open_namespace(socket, libc::SIOCGSKNS as libc::Ioctl)
}

fn open_namespace(fd: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<OwnedFd> {
    // SAFETY: both requests that the callers pass take no argument; nothing of ours is lent.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request) };
    let namespace = checked(result)?;
    // SAFETY: the kernel has just made this descriptor for the caller, and nobody else knows its number yet.
    let namespace = unsafe { OwnedFd::from_raw_fd(namespace) };
    above_standard_streams(namespace)
}

/// `struct ethtool_drvinfo` of `linux/ethtool.h`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    rest: [u8; 64],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);
/// `ETHTOOL_GDRVINFO` of `linux/ethtool.h`.
const GET_DRIVER_INFO: u32 = 3;

/// Reads the driver of an interface and what that driver calls its bus (`tun` says there whether it is a TUN or a TAP).
pub(super) fn driver(socket: BorrowedFd<'_>, request: Request) -> io::Result<(String, String)> {
    let mut info = DriverInfo {
        command: GET_DRIVER_INFO,
        driver: [0; 32],
        version: [0; 32],
        firmware: [0; 32],
        bus: [0; 32],
        rest: [0; 64],
    };
    let mut request = request.with_pointer((&raw mut info).expose_provenance());
    // SAFETY: the argument is a `Request` of the size of `struct ifreq`, its value the address of `info`, 196 bytes as
    // ETHTOOL_GDRVINFO writes; both are owned by this function for the whole call and no reference to them is held meanwhile.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
    checked(result)?;
    Ok((text(&info.driver), text(&info.bus)))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Writes `len` bytes of which only the first four can be read, and returns why the kernel did not take them.
pub(super) fn write_unreadable(fd: BorrowedFd<'_>, len: usize) -> io::Error {
    let readable = [0_u8; 4];
    let slices = [
        libc::iovec { iov_base: (&raw const readable).cast_mut().cast(), iov_len: readable.len() },
        libc::iovec { iov_base: std::ptr::null_mut(), iov_len: len.saturating_sub(readable.len()).max(1) },
    ];
    // SAFETY: two iovecs, owned by this function. The first lends four initialised bytes to read; the second lends nothing: its
    // address is null, which the kernel finds out when it copies, and answers EFAULT. writev(2) writes to neither.
    let result = unsafe { libc::writev(fd.as_raw_fd(), slices.as_ptr(), 2) };
    if result < 0 { io::Error::last_os_error() } else { io::ErrorKind::InvalidData.into() }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

const VALUE_LEN: usize = size_of::<libc::ifreq>() - libc::IFNAMSIZ;

/// `struct ifreq`: a name and one value, whose type depends on the request (netdevice(7)). The union of C is kept as bytes: whatever the kernel writes, each reading of it is defined.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: [u8; VALUE_LEN],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());
const _: () = assert!(align_of::<Request>() >= align_of::<libc::ifreq>());

/// Where the MAC address of a `struct sockaddr` starts in the value.
const MAC_AT: usize = 2;

impl Request {
    /// A request without a name, for calls that know the interface from the descriptor alone.
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

    /// The value's first bytes as a pointer of C, for the requests that carry one.
    fn with_pointer(self, pointer: usize) -> Self {
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
    }
}
