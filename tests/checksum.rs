//! The Internet checksum against its definition, and against another crate's.

use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;
use tap_plumb::internet_checksum;

/// RFC 1071, word by word.
fn by_definition(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn the_example_of_rfc_1071_comes_out_right() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(internet_checksum(&bytes), !0xddf2);
}

#[test]
fn every_length_and_alignment_gives_the_defined_sum() {
    let bytes: Vec<u8> = (0..700_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for start in 0..33 {
        for end in start..bytes.len() {
            let run = &bytes[start..end];
            assert_eq!(internet_checksum(run), by_definition(run), "{start}..{end}");
        }
    }
}

#[test]
fn carries_are_kept_over_the_longest_frame() {
    for len in [1, 2, 7, 63, 64, 65, 1460, 65_535, 65_536, 1 << 20] {
        assert_eq!(
            internet_checksum(&vec![0xff; len]),
            by_definition(&vec![0xff; len]),
            "{len} bytes of 0xff"
        );
        assert_eq!(internet_checksum(&vec![0; len]), 0xffff, "{len} bytes of 0");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn another_crate_agrees(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let theirs = Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
        prop_assert_eq!(internet_checksum(&bytes), theirs);
    }
}
