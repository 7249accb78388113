//! `cargo +nightly fuzz run carve`
#![no_main]

#[path = "../src/exercise.rs"]
mod exercise;
#[path = "../src/carve.rs"]
mod carve;

libfuzzer_sys::fuzz_target!(|data: &[u8]| carve::carve(data));
