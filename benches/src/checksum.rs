//! The Internet checksum, beside a loop over 16-bit words and beside etherparse's.

use std::hint::black_box;

use etherparse::checksum::Sum16BitWords;
use tap_plumb::internet_checksum;

use crate::gso::naive;
use crate::measure::{compare, timed};
use crate::report::{Bound, Report};

pub fn all(report: &mut Report) {
    for (len, naive_bound, etherparse_bound) in [
        (20, None, None),
        (60, None, Some(1.0)),
        (576, None, None),
        (1460, Some(0.10), None),
        (9000, None, None),
        (65535, Some(1.0 / 12.0), None),
    ] {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        let count = 2_000_000 / (len + 60);
        let mut ours = || timed(|| repeat(count, || internet_checksum(black_box(&bytes))));
        let mut word = || timed(|| repeat(count, || naive(black_box(&bytes))));
        let mut peer = || {
            timed(|| repeat(count, || Sum16BitWords::new().add_slice(black_box(&bytes)).ones_complement()))
        };
        let name = format!("checksum.{len}");
        let bound = |limit: Option<f64>| limit.map_or(Bound::None, Bound::AtMost);
        report.line(&name, &compare(&mut ours, &mut word), count, "naive", bound(naive_bound));
        report.line(&name, &compare(&mut ours, &mut peer), count, "etherparse", bound(etherparse_bound));
    }
}

fn repeat(count: usize, act: impl Fn() -> u16) {
    for _ in 0..count {
        black_box(act());
    }
}
