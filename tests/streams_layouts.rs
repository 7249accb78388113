//! The numbers and layouts of the crate beside the table that a compiler printed from the system's headers.

use std::mem::{align_of, size_of};

#[path = "../platform/illumos/abi.rs"]
mod abi;

use abi::Request;

const TABLE: &str = include_str!("streams-model/data/illumos-abi.txt");

/// The value of a line `name value`.
fn printed(name: &str) -> i64 {
    let value = TABLE.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("the table has no {name}")).trim();
    value.strip_prefix("0x").map_or_else(|| value.parse(), |hex| i64::from_str_radix(hex, 16)).unwrap()
}

#[test]
fn every_request_has_the_system_s_number() {
    let requests = [
        abi::I_PUSH,
        abi::I_POP,
        abi::I_SRDOPT,
        abi::I_STR,
        abi::I_LINK,
        abi::I_UNLINK,
        abi::I_LIST,
        abi::I_PUNLINK,
        abi::TUNNEWPPA,
        abi::TUNGETPPA,
        abi::SIOCLIFADDIF,
        abi::SIOCSLIFADDR,
        abi::SIOCSLIFFLAGS,
        abi::SIOCGLIFFLAGS,
        abi::SIOCSLIFMTU,
        abi::SIOCGLIFMTU,
        abi::SIOCSLIFNETMASK,
        abi::SIOCSLIFNAME,
        abi::SIOCGLIFMUXID,
        abi::SIOCSLIFMUXID,
    ];
    for Request { name, code } in requests {
        assert_eq!(i64::from(code), printed(name), "{name}");
    }
}

#[test]
fn every_other_number_is_the_system_s() {
    let numbers = [
        ("RMSGD", i64::from(abi::RMSGD)),
        ("RS_HIPRI", i64::from(abi::RS_HIPRI)),
        ("FMNAMESZ", abi::FMNAMESZ as i64),
        ("IFF_UP", abi::IFF_UP as i64),
        ("IFF_IPV4", abi::IFF_IPV4 as i64),
        ("IFF_IPV6", abi::IFF_IPV6 as i64),
        ("AF_INET", i64::from(abi::AF_INET)),
        ("AF_INET6", i64::from(abi::AF_INET6)),
        ("DL_ERROR_ACK", i64::from(abi::DL_ERROR_ACK)),
        ("DL_OK_ACK", i64::from(abi::DL_OK_ACK)),
        ("DL_ATTACH_REQ", i64::from(abi::DL_ATTACH_REQ)),
        ("DL_PHYS_ADDR_REQ", i64::from(abi::DL_PHYS_ADDR_REQ)),
        ("DL_PHYS_ADDR_ACK", i64::from(abi::DL_PHYS_ADDR_ACK)),
        ("DL_SET_PHYS_ADDR_REQ", i64::from(abi::DL_SET_PHYS_ADDR_REQ)),
        ("DL_CURR_PHYS_ADDR", i64::from(abi::DL_CURR_PHYS_ADDR)),
        ("DL_SYSERR", i64::from(abi::DL_SYSERR)),
        ("DL_BADPPA", i64::from(abi::DL_BADPPA)),
    ];
    for (name, number) in numbers {
        assert_eq!(number, printed(name), "{name}");
    }
}

#[test]
fn every_structure_has_the_system_s_size() {
    let sizes = [
        ("sizeof(struct strioctl)", size_of::<abi::StrIoctl>()),
        ("alignof(struct strioctl)", align_of::<abi::StrIoctl>()),
        ("sizeof(struct strbuf)", size_of::<abi::StrBuf>()),
        ("alignof(struct strbuf)", align_of::<abi::StrBuf>()),
        ("sizeof(struct lifreq)", size_of::<abi::LifReq>()),
        ("alignof(struct lifreq)", align_of::<abi::LifReq>()),
        ("sizeof(struct str_list)", size_of::<abi::StrList>()),
        ("sizeof(struct str_mlist)", size_of::<abi::StrMlist>()),
    ];
    for (name, size) in sizes {
        assert_eq!(size as i64, printed(name), "{name}");
    }
}
