//! Segment sizes that only a hostile or broken guest asks for, and payloads around them.

use tap_plumb::GsoKind;

use super::cases::{Case, made};

const KINDS: [(&str, GsoKind, usize); 7] = [
    ("TCP over IPv4", GsoKind::Tcp4, 0),
    ("TCP over IPv4 with options", GsoKind::Tcp4, 12),
    ("TCP over IPv6", GsoKind::Tcp6, 0),
    ("TCP over IPv6 with options", GsoKind::Tcp6, 12),
    ("UDP datagrams over IPv4", GsoKind::Udp4Datagrams, 0),
    ("UDP datagrams over IPv6", GsoKind::Udp6Datagrams, 0),
    ("UDP fragments over IPv4", GsoKind::Udp4Fragments, 0),
];
const SIZES: [u16; 5] = [1, 2, 7, 8, 9];

pub(crate) fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, kind, options) in KINDS {
        for size in SIZES {
            for payload in payloads(size) {
                let name = format!("{name}, {payload} bytes in segments of {size}");
                cases.push(made(&name, kind, payload, size, |to| to.tcp_options = options));
            }
        }
    }
    cases
}

/// One segment, one and a bit, some that are shorter than the options of TCP, many.
fn payloads(size: u16) -> Vec<usize> {
    let size = usize::from(size);
    let mut payloads = vec![1, 6, size, size + 1, 91];
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}
