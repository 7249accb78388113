//! The illumos numbers the model speaks, x86-64 LP64.
//!
//! Written from the headers (`sys/errno.h`, `sys/fcntl.h`, `sys/poll.h`, `sys/stropts.h`, `sys/dlpi.h`, `sys/sockio.h`,
//! `net/if.h`, the tuntap driver's `if_tun.h`), never from the `libc` crate, so that a wrong number in that crate is
//! seen. `tests/calibration.rs` compares every one of them with the list a compiler printed from those headers.

mod errno;

pub use errno::Errno;

/// Defines constants of one type and a table of their names and values for the comparison test.
macro_rules! numbers {
    ($(#[$about:meta])* $table:ident: $kind:ty { $($name:ident = $value:expr;)* }) => {
        $(
            #[doc = concat!("`", stringify!($name), "` of the illumos headers.")]
            pub const $name: $kind = $value;
        )*
        $(#[$about])*
        pub const $table: &[(&str, i64)] = &[$((stringify!($name), $name as i64)),*];
    };
}

numbers! {
    /// `open(2)` and `fcntl(2)` flags and commands.
    FILE_NUMBERS: i32 {
        O_RDONLY = 0x0;
        O_WRONLY = 0x1;
        O_RDWR = 0x2;
        O_NDELAY = 0x4;
        O_NONBLOCK = 0x80;
        O_CLOEXEC = 0x80_0000;
        F_GETFD = 1;
        F_SETFD = 2;
        F_GETFL = 3;
        F_SETFL = 4;
        FD_CLOEXEC = 1;
        F_DUPFD_CLOEXEC = 37;
    }
}

/// `F_DUPFD` of `sys/fcntl.h`.
pub const F_DUPFD: i32 = 0;

numbers! {
    /// `poll(2)` events.
    POLL_NUMBERS: i16 {
        POLLIN = 0x1;
        POLLPRI = 0x2;
        POLLOUT = 0x4;
        POLLRDNORM = 0x40;
        POLLRDBAND = 0x80;
        POLLERR = 0x8;
        POLLHUP = 0x10;
        POLLNVAL = 0x20;
    }
}

numbers! {
    /// Requests of `streamio(4I)`, of the tuntap driver and of `dlpi(4P)`.
    STREAM_REQUESTS: u32 {
        I_NREAD = 0x5301;
        I_PUSH = 0x5302;
        I_POP = 0x5303;
        I_LOOK = 0x5304;
        I_FLUSH = 0x5305;
        I_SRDOPT = 0x5306;
        I_GRDOPT = 0x5307;
        I_STR = 0x5308;
        I_FIND = 0x530b;
        I_LINK = 0x530c;
        I_UNLINK = 0x530d;
        I_PEEK = 0x530f;
        I_LIST = 0x5315;
        I_PLINK = 0x5316;
        I_PUNLINK = 0x5317;
        I_CANPUT = 0x5322;
        FIONREAD = 0x4004_667f;
        FIONBIO = 0x8004_667e;
        TUNNEWPPA = 0x54_0001;
        TUNSETPPA = 0x54_0002;
        TUNGETPPA = 0x54_0003;
        DLIOCRAW = 0x4401;
        DLIOCNATIVE = 0x4402;
        DLIOCMARGININFO = 0x4403;
        DLIOCLOWLINK = 0x4405;
        DLIOCHDRINFO = 0x440a;
        SBIOCSTIME = 0x4201;
        SBIOCGTIME = 0x4202;
        SBIOCCTIME = 0x4203;
        SBIOCSCHUNK = 0x4204;
        SBIOCGCHUNK = 0x4205;
        SBIOCSSNAP = 0x4206;
        SBIOCGSNAP = 0x4207;
        SBIOCSFLAGS = 0x4208;
        SBIOCGFLAGS = 0x4209;
    }
}

numbers! {
    /// Values of the read options, message flags and link arguments.
    STREAM_VALUES: i32 {
        RNORM = 0x0;
        RMSGD = 0x1;
        RMSGN = 0x2;
        RPROTDAT = 0x4;
        RPROTDIS = 0x8;
        RPROTNORM = 0x10;
        FLUSHR = 0x1;
        FLUSHW = 0x2;
        RS_HIPRI = 0x1;
        MORECTL = 0x1;
        MOREDATA = 0x2;
        MUXID_ALL = -1;
        INFTIM = -1;
    }
}

numbers! {
    /// Interface requests, `if(4P)`.
    INTERFACE_REQUESTS: u32 {
        IF_UNITSEL = 0x8004_7336;
        SIOCGLIFFLAGS = 0xc078_6975;
        SIOCSLIFFLAGS = 0x8078_6974;
        SIOCSLIFNAME = 0xc078_6981;
        SIOCSLIFMUXID = 0x8078_6984;
        SIOCGLIFMUXID = 0xc078_6983;
        SIOCSLIFADDR = 0x8078_6970;
        SIOCGLIFADDR = 0xc078_6971;
        SIOCGLIFBRDADDR = 0xc078_697b;
        SIOCSLIFNETMASK = 0x8078_697e;
        SIOCGLIFNETMASK = 0xc078_697d;
        SIOCSLIFMTU = 0x8078_6979;
        SIOCGLIFMTU = 0xc078_697a;
        SIOCGLIFINDEX = 0xc078_6985;
        SIOCLIFADDIF = 0xc078_696f;
        SIOCLIFREMOVEIF = 0x8078_696e;
        SIOCGLIFCONF = 0xc010_69a5;
        SIOCGLIFNUM = 0xc00c_6982;
    }
}

numbers! {
    /// Interface flags, `net/if.h`.
    INTERFACE_FLAGS: u64 {
        IFF_UP = 0x1;
        IFF_BROADCAST = 0x2;
        IFF_RUNNING = 0x40;
        IFF_MULTICAST = 0x800;
        IFF_IPV4 = 0x100_0000;
        IFF_IPV6 = 0x200_0000;
        IFF_FIXEDMTU = 0x10_0000_0000;
        IFF_DUPLICATE = 0x40_0000_0000;
        IFF_NOLINKLOCAL = 0x200_0000_0000;
        IFF_CANTCHANGE = 0x7f2_0300_3b5a;
    }
}

numbers! {
    /// DLPI primitives, `sys/dlpi.h`.
    DLPI_PRIMITIVES: u32 {
        DL_INFO_REQ = 0x0;
        DL_BIND_REQ = 0x1;
        DL_UNBIND_REQ = 0x2;
        DL_INFO_ACK = 0x3;
        DL_BIND_ACK = 0x4;
        DL_ERROR_ACK = 0x5;
        DL_OK_ACK = 0x6;
        DL_UNITDATA_REQ = 0x7;
        DL_UNITDATA_IND = 0x8;
        DL_UDERROR_IND = 0x9;
        DL_UDQOS_REQ = 0xa;
        DL_ATTACH_REQ = 0xb;
        DL_DETACH_REQ = 0xc;
        DL_ENABMULTI_REQ = 0x1d;
        DL_DISABMULTI_REQ = 0x1e;
        DL_PROMISCON_REQ = 0x1f;
        DL_PROMISCOFF_REQ = 0x20;
        DL_PHYS_ADDR_REQ = 0x31;
        DL_PHYS_ADDR_ACK = 0x32;
        DL_SET_PHYS_ADDR_REQ = 0x33;
        DL_NOTIFY_REQ = 0x100;
        DL_NOTIFY_ACK = 0x101;
        DL_NOTIFY_IND = 0x102;
        DL_CAPABILITY_REQ = 0x110;
        DL_CAPABILITY_ACK = 0x111;
        DL_PASSIVE_REQ = 0x114;
    }
}

numbers! {
    /// DLPI states, errors and media, `sys/dlpi.h`.
    DLPI_VALUES: u32 {
        DL_UNATTACHED = 0x4;
        DL_UNBOUND = 0x0;
        DL_IDLE = 0x3;
        DL_PROMISC_PHYS = 0x1;
        DL_PROMISC_SAP = 0x2;
        DL_PROMISC_MULTI = 0x3;
        DL_PROMISC_RX_ONLY = 0x4;
        DL_FACT_PHYS_ADDR = 0x1;
        DL_CURR_PHYS_ADDR = 0x2;
        DL_CURR_DEST_ADDR = 0x5;
        DL_STYLE1 = 0x500;
        DL_STYLE2 = 0x501;
        DL_CLDLS = 0x2;
        DL_ETHER = 0x4;
        DL_VERSION_2 = 0x2;
        DL_BADSAP = 0x0;
        DL_BADADDR = 0x1;
        DL_OUTSTATE = 0x3;
        DL_SYSERR = 0x4;
        DL_BADDATA = 0x6;
        DL_UNSUPPORTED = 0x7;
        DL_BADPPA = 0x8;
        DL_BADPRIM = 0x9;
        DL_BADQOSPARAM = 0xa;
        DL_BADQOSTYPE = 0xb;
        DL_NOTSUPPORTED = 0x12;
        DL_NOTENAB = 0x14;
        DL_NOAUTO = 0x16;
        DL_QOS_CL_RANGE1 = 0x103;
        DL_QOS_CL_SEL1 = 0x104;
        DL_CAPAB_HCKSUM = 0x1;
    }
}

numbers! {
    /// What a data link tells on its own, `sys/dlpi.h`.
    DLPI_NOTES: u32 {
        DL_NOTE_PHYS_ADDR = 0x1;
        DL_NOTE_PROMISC_ON_PHYS = 0x2;
        DL_NOTE_PROMISC_OFF_PHYS = 0x4;
        DL_NOTE_LINK_DOWN = 0x8;
        DL_NOTE_LINK_UP = 0x10;
        DL_NOTE_SDU_SIZE = 0x80;
        DL_NOTE_SPEED = 0x100;
        DL_NOTE_FASTPATH_FLUSH = 0x200;
        DL_NOTE_CAPAB_RENEG = 0x400;
        DL_NOTE_ALLOWED_IPS = 0x1000;
        DL_NOTE_SDU_SIZE2 = 0x2000;
    }
}

numbers! {
    /// Flags of bufmod, and the kinds of link protection.
    DATALINK_FLAGS: u32 {
        SB_SEND_ON_WRITE = 0x1;
        SB_NO_HEADER = 0x2;
        SB_NO_PROTO_CVT = 0x4;
        SB_DEFER_CHUNK = 0x8;
        SB_NO_DROPS = 0x10;
        SB_DFLT_CHUNK = 0x2000;
        MPT_MACNOSPOOF = 0x1;
        MPT_RESTRICTED = 0x2;
        MPT_IPNOSPOOF = 0x4;
        MPT_DHCPNOSPOOF = 0x8;
    }
}

numbers! {
    /// Address families and sizes.
    SIZES: i32 {
        AF_INET = 2;
        AF_INET6 = 26;
        LIFNAMSIZ = 32;
        ETHERADDRL = 6;
        ETHERMTU = 1500;
        FMNAMESZ = 8;
    }
}

/// `SOCK_DGRAM` of illumos `sys/socket.h` (1 where Linux has 2).
pub const SOCK_DGRAM: i32 = 1;

/// Ethernet type of IPv4.
pub const ETHERTYPE_IP: u16 = 0x0800;
/// Ethernet type of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethernet type of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Ethernet type of a VLAN tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;

/// The name of a primitive as the header spells it; hexadecimal where the model has no name for it.
pub fn primitive_name(primitive: u32) -> String {
    DLPI_PRIMITIVES
        .iter()
        .find(|(_, value)| *value == i64::from(primitive))
        .map_or_else(|| format!("{primitive:#x}"), |(name, _)| (*name).to_owned())
}

/// The name of an ioctl request as the headers spell it; hexadecimal where the model has no name for it.
pub fn request_name(request: u32) -> String {
    STREAM_REQUESTS
        .iter()
        .chain(INTERFACE_REQUESTS)
        .find(|(_, value)| *value == i64::from(request))
        .map_or_else(|| format!("{request:#x}"), |(name, _)| (*name).to_owned())
}
