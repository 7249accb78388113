//! The illumos numbers the model speaks, x86-64 LP64.
//!
//! Written from the headers (`sys/errno.h`, `sys/fcntl.h`, `sys/poll.h`, `sys/stropts.h`, `sys/dlpi.h`, `sys/sockio.h`,
//! `net/if.h`, the tuntap driver's `if_tun.h`), never from the `libc` crate, so that a wrong number in that crate is
//! seen. `tests/abi.rs` compares every one of them with the list a compiler printed from those headers.

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
        DLIOCHDRINFO = 0x440a;
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
        DL_CAPABILITY_REQ = 0x110;
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
        DL_STYLE2 = 0x501;
        DL_CLDLS = 0x2;
        DL_ETHER = 0x4;
        DL_VERSION_2 = 0x2;
        DL_BADSAP = 0x0;
        DL_OUTSTATE = 0x3;
        DL_SYSERR = 0x4;
        DL_BADDATA = 0x6;
        DL_UNSUPPORTED = 0x7;
        DL_BADPPA = 0x8;
        DL_BADPRIM = 0x9;
        DL_NOTSUPPORTED = 0x12;
        DL_NOAUTO = 0x16;
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

/// The name of an ioctl request as the headers spell it; hexadecimal where the model has no name for it.
pub fn request_name(request: u32) -> String {
    STREAM_REQUESTS
        .iter()
        .chain(INTERFACE_REQUESTS)
        .find(|(_, value)| *value == i64::from(request))
        .map_or_else(|| format!("{request:#x}"), |(name, _)| (*name).to_owned())
}
