//! Which calls each form of a frame makes, and what comes of an errno of each: something stands between the crate and the
//! kernel, and answers in its place.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod errors;
#[path = "../support/frames.rs"]
#[expect(dead_code, reason = "nothing is random here")]
mod frames;
mod resume;
mod sample;
mod slices;
#[path = "../support/trapped.rs"]
mod trapped;
