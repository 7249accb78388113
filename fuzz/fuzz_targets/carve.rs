//! `ci/fuzz carve`
#![no_main]

#[path = "../src/carve.rs"]
mod carve;
#[path = "../src/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| carve::carve(data));
