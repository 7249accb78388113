//! Oversized frames and checksums, without a host: what is cut, completed, refused and passed on, to the byte.

#[path = "../support/datagrams.rs"]
mod datagrams;
#[path = "../support/frames.rs"]
mod frames;

mod check;
mod defects;
mod families;
mod offload;
mod properties;
mod raw;
mod rejects;
mod vectors;
