//! Picks the widest vector unit at run time for the one body in `checksum`.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "a function built for AVX2 may only be called where AVX2 exists")
)]
// UNSAFETY: one call, made under the check that makes it sound. The body itself is safe code, built twice.

use super::checksum::wide;

/// Sums `bytes` as native-endian 32-bit words, not folded.
#[cfg(target_arch = "x86_64")]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: `sum_avx2` asks for nothing but a CPU with AVX2, which the line above has found.
        unsafe { sum_avx2(bytes) }
    } else {
        wide::<8>(bytes)
    }
}

/// Sums `bytes` as native-endian 32-bit words, not folded.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    wide::<8>(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> u64 {
    wide::<16>(bytes)
}
