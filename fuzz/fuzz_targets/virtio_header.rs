//! `ci/fuzz virtio_header`
#![no_main]

#[path = "../src/exercise.rs"]
mod exercise;
#[path = "../src/virtio_header.rs"]
mod virtio_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| virtio_header::virtio_header(data));
