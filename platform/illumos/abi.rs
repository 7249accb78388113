//! Numbers and layouts of the kernel's interface, LP64.
//!
//! The `libc` crate has neither `strioctl`, `strbuf` nor `lifreq`, and none of their requests. The numbers are those of
//! `sys/stropts.h`, `sys/sockio.h`, `net/if.h`, `sys/dlpi.h` and the tuntap driver's `net/if_tun.h`. Macros that compute
//! them from `size_of` fail here: the size field of an illumos request has eight bits (`sys/ioccom.h`). A
//! `lifreq` of 376 bytes is encoded as 0x78.

use std::ffi::{c_char, c_int};
use std::mem::{align_of, offset_of, size_of};

/// A request of `ioctl(2)`: its number, and its name for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) name: &'static str,
    pub(crate) code: u32,
}

macro_rules! requests {
    ($($name:ident = $code:literal;)*) => {
        $(pub(crate) const $name: Request = Request { name: stringify!($name), code: $code };)*
    };
}

// streamio(4I)
requests! {
    I_PUSH = 0x5302;
    I_POP = 0x5303;
    I_FLUSH = 0x5305;
    I_SRDOPT = 0x5306;
    I_STR = 0x5308;
    I_LINK = 0x530c;
    I_UNLINK = 0x530d;
    I_LIST = 0x5315;
    I_PUNLINK = 0x5317;
}

// The tuntap driver, by I_STR.
requests! {
    TUNNEWPPA = 0x0054_0001;
    TUNGETPPA = 0x0054_0003;
}

// bufmod(4M)
requests! {
    SBIOCSTIME = 0x4201;
    SBIOCSCHUNK = 0x4204;
    SBIOCGCHUNK = 0x4205;
    SBIOCGSNAP = 0x4207;
    SBIOCSFLAGS = 0x4208;
    SBIOCGFLAGS = 0x4209;
}

// dlpi(4P): whole frames instead of their payload; how much longer than its MTU allows a link's frames may be.
requests! {
    DLIOCRAW = 0x4401;
    DLIOCMARGININFO = 0x4403;
}

// if_tcp(4P)
requests! {
    SIOCLIFREMOVEIF = 0x8078_696e;
    SIOCLIFADDIF = 0xc078_696f;
    SIOCSLIFADDR = 0x8078_6970;
    SIOCSLIFFLAGS = 0x8078_6974;
    SIOCGLIFFLAGS = 0xc078_6975;
    SIOCSLIFMTU = 0x8078_6979;
    SIOCGLIFMTU = 0xc078_697a;
    SIOCGLIFNETMASK = 0xc078_697d;
    SIOCSLIFNETMASK = 0x8078_697e;
    SIOCSLIFNAME = 0xc078_6981;
    SIOCGLIFMUXID = 0xc078_6983;
    SIOCSLIFMUXID = 0x8078_6984;
    SIOCGLIFCONF = 0xc010_69a5;
}

/// `_IOW` of `sys/ioccom.h` for a `lifreq`: the direction, the size cut to eight bits, the group and the number.
const fn takes_lifreq(number: u8) -> u32 {
    u32::from_be_bytes([0x80, size_of::<LifReq>() as u8, b'i', number])
}

/// `_IOWR` of `sys/ioccom.h` for a `lifreq`.
const fn returns_lifreq(number: u8) -> u32 {
    u32::from_be_bytes([0xc0, size_of::<LifReq>() as u8, b'i', number])
}

const _: () = {
    assert!(SIOCLIFREMOVEIF.code == takes_lifreq(110));
    assert!(SIOCLIFADDIF.code == returns_lifreq(111));
    assert!(SIOCSLIFADDR.code == takes_lifreq(112));
    assert!(SIOCSLIFFLAGS.code == takes_lifreq(116));
    assert!(SIOCGLIFFLAGS.code == returns_lifreq(117));
    assert!(SIOCSLIFMTU.code == takes_lifreq(121));
    assert!(SIOCGLIFMTU.code == returns_lifreq(122));
    assert!(SIOCGLIFNETMASK.code == returns_lifreq(125));
    assert!(SIOCSLIFNETMASK.code == takes_lifreq(126));
    assert!(SIOCSLIFNAME.code == returns_lifreq(129));
    assert!(SIOCGLIFMUXID.code == returns_lifreq(131));
    assert!(SIOCSLIFMUXID.code == takes_lifreq(132));
};

/// `I_SRDOPT`: one message a read, the rest of it discarded.
pub(crate) const RMSGD: c_int = 1;
/// `I_FLUSH`: what waits to be read.
pub(crate) const FLUSHR: c_int = 1;
/// `getmsg(2)`: only a message of high priority.
pub(crate) const RS_HIPRI: c_int = 1;
/// `getmsg(2)` returns these bits: more of the control part, or of the data part, is left.
pub(crate) const MORECTL: c_int = 1;
pub(crate) const MOREDATA: c_int = 2;
/// `SBIOCSFLAGS`: no header before the frames; messages of the driver are left alone.
pub(crate) const SB_NO_HEADER: u32 = 0x02;
pub(crate) const SB_NO_PROTO_CVT: u32 = 0x04;
/// `FMNAMESZ`: the longest name of a module or driver, without its NUL.
pub(crate) const FMNAMESZ: usize = 8;

/// Bits of `lifr_flags`.
pub(crate) const IFF_UP: u64 = 0x1;
pub(crate) const IFF_DHCPRUNNING: u64 = 0x4000;
pub(crate) const IFF_IPV4: u64 = 0x100_0000;
pub(crate) const IFF_IPV6: u64 = 0x200_0000;

/// Address families, as they stand in a `lifreq`.
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 26;

/// `struct strioctl` of streamio(4I).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct StrIoctl {
    pub(crate) ic_cmd: c_int,
    /// Seconds; -1 waits for ever, 0 means 15.
    pub(crate) ic_timout: c_int,
    /// Bytes at `ic_dp`; after a success the kernel puts the bytes of the answer here.
    pub(crate) ic_len: c_int,
    pub(crate) ic_dp: *mut c_char,
}

const _: () = {
    assert!(size_of::<StrIoctl>() == 24 && align_of::<StrIoctl>() == 8);
    assert!(offset_of!(StrIoctl, ic_cmd) == 0 && offset_of!(StrIoctl, ic_timout) == 4);
    assert!(offset_of!(StrIoctl, ic_len) == 8 && offset_of!(StrIoctl, ic_dp) == 16);
};

/// `struct strbuf` of getmsg(2) and putmsg(2).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct StrBuf {
    pub(crate) maxlen: c_int,
    pub(crate) len: c_int,
    pub(crate) buf: *mut c_char,
}

const _: () = {
    assert!(size_of::<StrBuf>() == 16 && align_of::<StrBuf>() == 8);
    assert!(offset_of!(StrBuf, maxlen) == 0 && offset_of!(StrBuf, len) == 4 && offset_of!(StrBuf, buf) == 8);
};

/// `struct str_mlist` of streamio(4I): one name, NUL-terminated.
pub(crate) type StrMlist = [u8; FMNAMESZ + 1];

/// `struct str_list` of streamio(4I).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct StrList {
    /// Entries at `sl_modlist`; the kernel puts the number it filled here.
    pub(crate) sl_nmods: c_int,
    pub(crate) sl_modlist: *mut StrMlist,
}

const _: () = {
    assert!(size_of::<StrMlist>() == 9);
    assert!(size_of::<StrList>() == 16 && align_of::<StrList>() == 8 && offset_of!(StrList, sl_modlist) == 8);
};

/// `struct lifreq` of if_tcp(4P). The union `lifr_lifru` is held as bytes; `ip.rs` names what is read and written.
#[repr(C, align(8))]
#[derive(Debug)]
pub(crate) struct LifReq {
    pub(crate) lifr_name: [u8; 32],
    pub(crate) lifr_ppa: u32,
    pub(crate) lifr_type: u32,
    pub(crate) lifr_lifru: [u8; 336],
}

const _: () = {
    assert!(size_of::<LifReq>() == 376 && align_of::<LifReq>() == 8);
    assert!(offset_of!(LifReq, lifr_name) == 0 && offset_of!(LifReq, lifr_ppa) == 32);
    assert!(offset_of!(LifReq, lifr_type) == 36 && offset_of!(LifReq, lifr_lifru) == 40);
};

/// `struct lifconf` of if_tcp(4P).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct LifConf {
    pub(crate) lifc_family: u16,
    pub(crate) lifc_flags: c_int,
    /// Bytes at `lifc_buf`; the kernel puts the number it filled here.
    pub(crate) lifc_len: c_int,
    pub(crate) lifc_buf: *mut LifReq,
}

const _: () = {
    assert!(size_of::<LifConf>() == 24 && align_of::<LifConf>() == 8);
    assert!(offset_of!(LifConf, lifc_family) == 0 && offset_of!(LifConf, lifc_flags) == 4);
    assert!(offset_of!(LifConf, lifc_len) == 8 && offset_of!(LifConf, lifc_buf) == 16);
};

/// Where members of the union `lifr_lifru` lie, in bytes from its beginning.
pub(crate) const LIFR_FLAGS: usize = 0;
pub(crate) const LIFR_MTU: usize = 0;
pub(crate) const LIFR_IP_MUXID: usize = 0;
pub(crate) const LIFR_ARP_MUXID: usize = 4;
pub(crate) const LIFR_ADDR: usize = 0;

/// Where the address lies in a `sockaddr_in` and in a `sockaddr_in6`, which both begin with their family.
pub(crate) const SIN_ADDR: usize = 4;
pub(crate) const SIN6_ADDR: usize = 8;

/// Primitives of dlpi(4P).
pub(crate) const DL_INFO_REQ: u32 = 0x00;
pub(crate) const DL_BIND_REQ: u32 = 0x01;
pub(crate) const DL_INFO_ACK: u32 = 0x03;
pub(crate) const DL_BIND_ACK: u32 = 0x04;
pub(crate) const DL_PROMISCON_REQ: u32 = 0x1f;
pub(crate) const DL_NOTIFY_REQ: u32 = 0x100;
pub(crate) const DL_NOTIFY_ACK: u32 = 0x101;
pub(crate) const DL_NOTIFY_IND: u32 = 0x102;
pub(crate) const DL_ERROR_ACK: u32 = 0x05;
pub(crate) const DL_OK_ACK: u32 = 0x06;
pub(crate) const DL_ATTACH_REQ: u32 = 0x0b;
pub(crate) const DL_PHYS_ADDR_REQ: u32 = 0x31;
pub(crate) const DL_PHYS_ADDR_ACK: u32 = 0x32;
pub(crate) const DL_SET_PHYS_ADDR_REQ: u32 = 0x33;
/// The address in use, for `DL_PHYS_ADDR_REQ`.
pub(crate) const DL_CURR_PHYS_ADDR: u32 = 0x02;
/// `dl_errno`: the driver knows no such PPA.
pub(crate) const DL_BADPPA: u32 = 0x08;
/// `dl_errno`: the driver does not know what was asked for.
pub(crate) const DL_NOTSUPPORTED: u32 = 0x12;
/// `dl_unix_errno` of an address that is in use elsewhere: the system's own number, also where a model stands in for it.
pub(crate) const ENOTSUP: i32 = 48;
/// Levels of `DL_PROMISCON_REQ`.
pub(crate) const DL_PROMISC_SAP: u32 = 0x02;
pub(crate) const DL_PROMISC_MULTI: u32 = 0x03;
pub(crate) const DL_PROMISC_RX_ONLY: u32 = 0x04;
/// What `DL_INFO_ACK` says of an Ethernet link that a stream reached by its name.
pub(crate) const DL_ETHER: u32 = 0x04;
pub(crate) const DL_STYLE1: u32 = 0x500;
pub(crate) const DL_STYLE2: u32 = 0x501;
pub(crate) const DL_UNBOUND: u32 = 0x00;
pub(crate) const DL_IDLE: u32 = 0x03;
pub(crate) const DL_CLDLS: u16 = 0x02;
/// Bits of `DL_NOTIFY_REQ` and kinds of `DL_NOTIFY_IND`.
pub(crate) const DL_NOTE_PHYS_ADDR: u32 = 0x01;
pub(crate) const DL_NOTE_LINK_DOWN: u32 = 0x08;
pub(crate) const DL_NOTE_LINK_UP: u32 = 0x10;
pub(crate) const DL_NOTE_SDU_SIZE: u32 = 0x80;
