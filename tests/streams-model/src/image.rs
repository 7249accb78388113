//! Byte images of the structures callers pass, little-endian and 64-bit, with named positions.

use crate::abi::Errno;
use crate::memory::{Memory, copy_in_vec};

/// Sizes and offsets, under the names the compiler's list uses for them.
pub const LAYOUT: &[(&str, usize)] = &[
    ("sizeof(struct strioctl)", Strioctl::LEN),
    ("offsetof(struct strioctl, ic_cmd)", Strioctl::CMD),
    ("offsetof(struct strioctl, ic_timout)", Strioctl::TIMOUT),
    ("offsetof(struct strioctl, ic_len)", Strioctl::LENGTH),
    ("offsetof(struct strioctl, ic_dp)", Strioctl::DP),
    ("sizeof(strpeek)", STRPEEK_LEN),
    ("offsetof(strpeek,ctlbuf)", STRPEEK_CONTROL),
    ("offsetof(strpeek,databuf)", STRPEEK_DATA),
    ("offsetof(strpeek,flags)", STRPEEK_FLAGS),
    ("sizeof(struct strbuf)", Strbuf::LEN),
    ("offsetof(struct strbuf, maxlen)", Strbuf::MAXLEN),
    ("offsetof(struct strbuf, len)", Strbuf::LENGTH),
    ("offsetof(struct strbuf, buf)", Strbuf::BUF),
    ("sizeof(struct lifreq)", Lifreq::LEN),
    ("fieldsize(struct lifreq, lifr_name)", Lifreq::NAME_LEN),
    ("offsetof(struct lifreq, lifr_ppa)", Lifreq::PPA),
    ("offsetof(struct lifreq, lifr_lifru)", Lifreq::UNION),
    ("offsetof(struct lifreq, lifr_arp_muxid)", Lifreq::ARP_MUXID),
    ("offsetof(struct sockaddr_in, sin_addr)", SIN_ADDR),
    ("sizeof(struct sockaddr_in6)", SOCKADDR_IN6_LEN),
    ("offsetof(struct sockaddr_in6, sin6_addr)", SIN6_ADDR),
    ("sizeof(struct pollfd)", POLLFD_LEN),
    ("offsetof(struct pollfd, events)", POLLFD_EVENTS),
    ("offsetof(struct pollfd, revents)", POLLFD_REVENTS),
    ("sizeof(struct iovec)", IOVEC_LEN),
    ("sizeof(struct str_list)", STR_LIST_LEN),
    ("sizeof(struct str_mlist)", STR_MLIST_LEN),
    ("sizeof(struct lifconf)", LIFCONF_LEN),
    ("offsetof(struct lifconf, lifc_len)", LIFCONF_LENGTH),
    ("offsetof(struct lifconf, lifc_buf)", LIFCONF_BUF),
    ("sizeof(struct lifnum)", LIFNUM_LEN),
];

pub(crate) const SIN_ADDR: usize = 4;
pub(crate) const SIN6_ADDR: usize = 8;
pub(crate) const SOCKADDR_IN6_LEN: usize = 32;
pub(crate) const STRPEEK_LEN: usize = 40;
pub(crate) const STRPEEK_CONTROL: usize = 0;
pub(crate) const STRPEEK_DATA: usize = 16;
pub(crate) const STRPEEK_FLAGS: usize = 32;
pub(crate) const POLLFD_LEN: usize = 8;
pub(crate) const POLLFD_EVENTS: usize = 4;
pub(crate) const POLLFD_REVENTS: usize = 6;
pub(crate) const IOVEC_LEN: usize = 16;
pub(crate) const STR_LIST_LEN: usize = 16;
pub(crate) const STR_MLIST_LEN: usize = 9;
pub(crate) const LIFCONF_LEN: usize = 24;
pub(crate) const LIFCONF_LENGTH: usize = 8;
pub(crate) const LIFCONF_BUF: usize = 16;
pub(crate) const LIFNUM_LEN: usize = 12;

/// Reads fixed-size little-endian numbers at byte positions; a position outside reads as zero, since every image is
/// checked for its length when it is made.
pub(crate) trait Bytes {
    fn array<const N: usize>(&self, at: usize) -> [u8; N];

    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }
    fn i32_at(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.array(at))
    }
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }
    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

impl Bytes for [u8] {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }
}

/// Writes `bytes` at byte position `at`.
pub(crate) fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// `struct strioctl` of `streamio(4I)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strioctl {
    /// The request for the module or driver.
    pub cmd: u32,
    /// Seconds to wait for the answer; 0 = 15, -1 = for ever.
    pub timout: i32,
    /// Bytes at `dp`.
    pub len: i32,
    /// Address of the data.
    pub dp: u64,
}

impl Strioctl {
    /// Bytes of the structure.
    pub const LEN: usize = 24;
    const CMD: usize = 0;
    const TIMOUT: usize = 4;
    const LENGTH: usize = 8;
    const DP: usize = 16;

    pub(crate) fn copy_in(memory: &dyn Memory, address: u64) -> Result<Self, Errno> {
        let image = copy_in_vec(memory, address, Self::LEN)?;
        Ok(Self {
            cmd: image.u32_at(Self::CMD),
            timout: image.i32_at(Self::TIMOUT),
            len: image.i32_at(Self::LENGTH),
            dp: image.u64_at(Self::DP),
        })
    }

    /// The bytes as a caller lays them out.
    pub fn image(&self) -> [u8; Self::LEN] {
        let mut image = [0; Self::LEN];
        put(&mut image, Self::CMD, &self.cmd.to_le_bytes());
        put(&mut image, Self::TIMOUT, &self.timout.to_le_bytes());
        put(&mut image, Self::LENGTH, &self.len.to_le_bytes());
        put(&mut image, Self::DP, &self.dp.to_le_bytes());
        image
    }
}

/// `struct strbuf` of `getmsg(2)` and `putmsg(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strbuf {
    /// Room at `buf`, for getmsg.
    pub maxlen: i32,
    /// Bytes at `buf`; -1 means no such part.
    pub len: i32,
    /// Address of the bytes.
    pub buf: u64,
}

impl Strbuf {
    /// Bytes of the structure.
    pub const LEN: usize = 16;
    const MAXLEN: usize = 0;
    /// Where getmsg writes the number of bytes it delivered.
    pub const LENGTH: usize = 4;
    const BUF: usize = 8;

    pub(crate) fn copy_in(memory: &dyn Memory, address: u64) -> Result<Self, Errno> {
        let image = copy_in_vec(memory, address, Self::LEN)?;
        Ok(Self {
            maxlen: image.i32_at(Self::MAXLEN),
            len: image.i32_at(Self::LENGTH),
            buf: image.u64_at(Self::BUF),
        })
    }

    /// The bytes as a caller lays them out.
    pub fn image(&self) -> [u8; Self::LEN] {
        let mut image = [0; Self::LEN];
        put(&mut image, Self::MAXLEN, &self.maxlen.to_le_bytes());
        put(&mut image, Self::LENGTH, &self.len.to_le_bytes());
        put(&mut image, Self::BUF, &self.buf.to_le_bytes());
        image
    }
}

/// `struct lifreq` of `if(4P)`: name, PPA and a union that starts at byte 40.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lifreq(pub [u8; Self::LEN]);

impl Default for Lifreq {
    fn default() -> Self {
        Self([0; Self::LEN])
    }
}

impl Lifreq {
    /// Bytes of the structure.
    pub const LEN: usize = 376;
    /// Room for the name, its NUL included.
    pub const NAME_LEN: usize = 32;
    const PPA: usize = 32;
    const UNION: usize = 40;
    const ARP_MUXID: usize = 44;

    /// Takes the first bytes of an image; what is missing reads as zero.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut image = [0; Self::LEN];
        let length = bytes.len().min(Self::LEN);
        image[..length].copy_from_slice(&bytes[..length]);
        Self(image)
    }

    /// The name up to its NUL; a name without NUL is cut after 31 bytes, as the kernel cuts it.
    pub fn name(&self) -> String {
        let name = &self.0[..Self::NAME_LEN - 1];
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }

    /// Sets the name, cut to 31 bytes.
    pub fn set_name(&mut self, name: &str) -> &mut Self {
        let length = name.len().min(Self::NAME_LEN - 1);
        self.0[..Self::NAME_LEN].fill(0);
        put(&mut self.0, 0, &name.as_bytes()[..length]);
        self
    }

    /// `lifr_ppa`.
    pub fn ppa(&self) -> u32 {
        self.0.u32_at(Self::PPA)
    }

    /// Sets `lifr_ppa`.
    pub fn set_ppa(&mut self, ppa: u32) -> &mut Self {
        put(&mut self.0, Self::PPA, &ppa.to_le_bytes());
        self
    }

    /// `lifr_flags`.
    pub fn flags(&self) -> u64 {
        self.0.u64_at(Self::UNION)
    }

    /// Sets `lifr_flags`.
    pub fn set_flags(&mut self, flags: u64) -> &mut Self {
        put(&mut self.0, Self::UNION, &flags.to_le_bytes());
        self
    }

    /// `lifr_mtu`, and every other 32-bit member at the start of the union.
    pub fn number(&self) -> u32 {
        self.0.u32_at(Self::UNION)
    }

    /// Sets `lifr_mtu` and its like.
    pub fn set_number(&mut self, number: u32) -> &mut Self {
        put(&mut self.0, Self::UNION, &number.to_le_bytes());
        self
    }

    /// `lifr_ip_muxid` and `lifr_arp_muxid`.
    pub fn muxids(&self) -> (i32, i32) {
        (self.0.i32_at(Self::UNION), self.0.i32_at(Self::ARP_MUXID))
    }

    /// Sets both mux ids.
    pub fn set_muxids(&mut self, ip: i32, arp: i32) -> &mut Self {
        put(&mut self.0, Self::UNION, &ip.to_le_bytes());
        put(&mut self.0, Self::ARP_MUXID, &arp.to_le_bytes());
        self
    }

    /// The family of the socket address in the union.
    pub fn family(&self) -> u16 {
        self.0.u16_at(Self::UNION)
    }

    /// The IPv4 address of the socket address in the union.
    pub fn ipv4(&self) -> [u8; 4] {
        self.0.array(Self::UNION + SIN_ADDR)
    }

    /// The IPv6 address of the socket address in the union.
    pub fn ipv6(&self) -> [u8; 16] {
        self.0.array(Self::UNION + SIN6_ADDR)
    }

    /// Sets the union to a socket address: 4 bytes make a `sockaddr_in`, 16 a `sockaddr_in6`.
    pub fn set_address(&mut self, family: u16, address: &[u8]) -> &mut Self {
        self.0[Self::UNION..].fill(0);
        put(&mut self.0, Self::UNION, &family.to_le_bytes());
        let at = if address.len() == 4 { SIN_ADDR } else { SIN6_ADDR };
        put(&mut self.0, Self::UNION + at, address);
        self
    }
}
