//! Every number of the model is the one a compiler printed from the illumos headers.

use std::collections::BTreeMap;

use streams_model::{Errno, abi, image};

const HEADERS: &str = include_str!("../data/illumos-abi.txt");
/// What the data links need beside it, printed the same way.
const DATALINK_HEADERS: &str = include_str!("../data/dlpi-abi.txt");

fn printed() -> BTreeMap<&'static str, i64> {
    let lines = DATALINK_HEADERS.lines().chain(HEADERS.lines());
    let lines = lines.filter(|line| !line.starts_with('#') && !line.starts_with("32:") && !line.is_empty());
    let pairs = lines.filter_map(|line| {
        let line = line.split(" align ").next()?;
        let (name, value) = line.rsplit_once([' ', '='])?;
        let number = match value.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok()?,
            None => value.parse().ok()?,
        };
        Some((name, number))
    });
    pairs.collect()
}

#[test]
fn every_constant_is_the_headers() {
    let printed = printed();
    let tables = [
        abi::FILE_NUMBERS,
        abi::POLL_NUMBERS,
        abi::STREAM_REQUESTS,
        abi::STREAM_VALUES,
        abi::INTERFACE_REQUESTS,
        abi::INTERFACE_FLAGS,
        abi::DLPI_PRIMITIVES,
        abi::DLPI_VALUES,
        abi::DLPI_NOTES,
        abi::DATALINK_FLAGS,
        abi::SIZES,
    ];
    for (name, value) in tables.concat() {
        assert_eq!(printed.get(name), Some(&value), "{name}");
    }
}

#[test]
fn every_errno_is_the_headers() {
    let printed = printed();
    for (name, errno) in Errno::ALL {
        assert_eq!(printed.get(name), Some(&i64::from(errno.0)), "{name}");
        assert_eq!(Errno::by_name(name), Some(*errno));
    }
}

#[test]
fn every_layout_is_the_compilers() {
    let printed = printed();
    for (name, value) in image::LAYOUT {
        assert_eq!(printed.get(name), Some(&(*value as i64)), "{name}");
    }
}

#[test]
fn the_byte_images_are_those_of_a_caller() {
    let strioctl =
        streams_model::Strioctl { cmd: abi::TUNNEWPPA, timout: 5, len: 4, dp: 0x1122_3344_5566_7788 };
    let image =
        [1, 0, 0x54, 0, 5, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
    assert_eq!(strioctl.image(), image);
    let mut lifreq = streams_model::Lifreq::default();
    lifreq.set_name("tap3").set_ppa(3).set_flags(abi::IFF_IPV4);
    assert_eq!(&lifreq.0[..5], b"tap3\0");
    assert_eq!(&lifreq.0[32..48], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
}
