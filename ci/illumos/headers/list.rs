//! Every number, size and offset of `abi.rs`, with the words of C for it. `tests/streams_layouts.rs` fails when one is
//! forgotten.

use std::mem::{align_of, offset_of, size_of, size_of_val};

use crate::abi;

/// What the crate takes for granted of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) kind: Kind,
    /// The name in the headers, or an expression of C.
    pub(crate) c: String,
    pub(crate) value: u64,
}

/// What a [`Fact`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request of `ioctl(2)`: a macro of 32 bits, whatever its sign.
    Request,
    /// A request of the tap driver, whose header comes with its package, and in older ones lacks some.
    Driver,
    /// Any other number that a macro stands for.
    Number,
    /// A size, an alignment or an offset in bytes.
    Layout,
}

impl Fact {
    fn new(kind: Kind, c: impl Into<String>, value: u64) -> Self {
        Self { kind, c: c.into(), value }
    }

    fn layout(c: impl Into<String>, bytes: usize) -> Self {
        Self::new(Kind::Layout, c, bytes as u64)
    }
}

macro_rules! requests {
    ($kind:ident: $($name:ident)*) => { [$(Fact::new(Kind::$kind, abi::$name.name, abi::$name.code.into())),*] };
}

macro_rules! numbers {
    ($($name:ident)*) => { [$(Fact::new(Kind::Number, stringify!($name), abi::$name as u64)),*] };
}

/// The size and the alignment of a structure, and where its members lie.
macro_rules! structure {
    ($name:ident is $c:literal { $($member:ident)* }) => { [
        Fact::layout(concat!("sizeof(", $c, ")"), size_of::<abi::$name>()),
        Fact::layout(concat!("alignof(", $c, ")"), align_of::<abi::$name>()),
        $(Fact::layout(
            concat!("offsetof(", $c, ", ", stringify!($member), ")"),
            offset_of!(abi::$name, $member),
        )),*
    ] };
}

/// All of them.
pub(crate) fn facts() -> Vec<Fact> {
    let mut facts = requests! {
        Request: I_PUSH I_POP I_FLUSH I_SRDOPT I_STR I_LINK I_UNLINK I_LIST I_PUNLINK
        SIOCLIFADDIF SIOCLIFREMOVEIF SIOCSLIFADDR SIOCSLIFFLAGS SIOCGLIFFLAGS SIOCSLIFMTU SIOCGLIFMTU
        SIOCSLIFNETMASK SIOCGLIFNETMASK SIOCSLIFNAME SIOCGLIFMUXID SIOCSLIFMUXID SIOCGLIFCONF
        SBIOCSTIME SBIOCSCHUNK SBIOCGCHUNK SBIOCGSNAP SBIOCSFLAGS SBIOCGFLAGS DLIOCRAW DLIOCMARGININFO
    }
    .to_vec();
    facts.extend(requests! { Driver: TUNNEWPPA TUNGETPPA });
    facts.extend(numbers! {
        RMSGD FLUSHR RS_HIPRI MORECTL MOREDATA FMNAMESZ ENOTSUP
        SB_NO_HEADER SB_NO_PROTO_CVT
        IFF_UP IFF_DHCPRUNNING IFF_IPV4 IFF_IPV6
        AF_INET AF_INET6
        DL_ERROR_ACK DL_OK_ACK DL_ATTACH_REQ DL_PHYS_ADDR_REQ DL_PHYS_ADDR_ACK DL_SET_PHYS_ADDR_REQ
        DL_CURR_PHYS_ADDR DL_BADPPA DL_NOTSUPPORTED
        DL_INFO_REQ DL_INFO_ACK DL_BIND_REQ DL_BIND_ACK DL_PROMISCON_REQ DL_NOTIFY_REQ DL_NOTIFY_ACK DL_NOTIFY_IND
        DL_PROMISC_SAP DL_PROMISC_MULTI DL_PROMISC_RX_ONLY
        DL_ETHER DL_STYLE1 DL_STYLE2 DL_UNBOUND DL_IDLE DL_CLDLS
        DL_NOTE_PHYS_ADDR DL_NOTE_LINK_DOWN DL_NOTE_LINK_UP DL_NOTE_SDU_SIZE
    });
    facts.extend(structure!(StrIoctl is "struct strioctl" { ic_cmd ic_timout ic_len ic_dp }));
    facts.extend(structure!(StrBuf is "struct strbuf" { maxlen len buf }));
    facts.extend(structure!(StrList is "struct str_list" { sl_nmods sl_modlist }));
    facts.extend(structure!(LifReq is "struct lifreq" { lifr_name lifr_ppa lifr_type lifr_lifru }));
    facts.extend(structure!(LifConf is "struct lifconf" { lifc_family lifc_flags lifc_len lifc_buf }));
    facts.push(Fact::layout("sizeof(struct str_mlist)", size_of::<abi::StrMlist>()));
    facts.extend(members());
    facts.extend(messages());
    facts
}

/// Members of unions and of addresses, by the names that `abi.rs` has for their places.
fn members() -> Vec<Fact> {
    let member = |name: &str, place| {
        Fact::layout(format!("offsetof(struct lifreq, {name})"), offset_of!(abi::LifReq, lifr_lifru) + place)
    };
    vec![
        member("lifr_flags", abi::LIFR_FLAGS),
        member("lifr_mtu", abi::LIFR_MTU),
        member("lifr_ip_muxid", abi::LIFR_IP_MUXID),
        member("lifr_arp_muxid", abi::LIFR_ARP_MUXID),
        member("lifr_addr", abi::LIFR_ADDR),
        Fact::layout("sizeof(sa_family_t)", size_of_val(&abi::AF_INET)),
        Fact::layout("offsetof(struct sockaddr_in, sin_family)", 0),
        Fact::layout("offsetof(struct sockaddr_in, sin_addr)", abi::SIN_ADDR),
        Fact::layout("offsetof(struct sockaddr_in6, sin6_addr)", abi::SIN6_ADDR),
    ]
}

/// Messages that `dlpi.rs` writes and reads word by word: four bytes each, the primitive first.
fn messages() -> Vec<Fact> {
    const MESSAGES: &[(&str, &[&str])] = &[
        ("dl_attach_req_t", &["dl_ppa"]),
        ("dl_phys_addr_req_t", &["dl_addr_type"]),
        ("dl_phys_addr_ack_t", &["dl_addr_length", "dl_addr_offset"]),
        ("dl_set_phys_addr_req_t", &["dl_addr_length", "dl_addr_offset"]),
        ("dl_promiscon_req_t", &["dl_level"]),
        ("dl_ok_ack_t", &["dl_correct_primitive"]),
        ("dl_error_ack_t", &["dl_error_primitive", "dl_errno", "dl_unix_errno"]),
    ];
    let mut facts = Vec::new();
    for (name, words) in MESSAGES {
        facts.push(Fact::layout(format!("sizeof({name})"), 4 * (1 + words.len())));
        for (index, word) in words.iter().enumerate() {
            facts.push(Fact::layout(format!("offsetof({name}, {word})"), 4 * (1 + index)));
        }
    }
    facts
}
