//! `ci/fuzz chains`
#![no_main]

#[path = "../src/chains.rs"]
mod chains;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chains::chains(data));
