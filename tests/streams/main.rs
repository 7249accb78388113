//! The STREAMS code over the model of the kernel.
//!
//! The crate's own files are compiled into this binary, so that their system calls are the ones that the model answers;
//! the platform is always `platform/illumos`. One module a topic.
#![cfg(target_os = "linux")]
#![expect(
    dead_code,
    unused_imports,
    unnameable_types,
    unreachable_pub,
    reason = "the crate's modules are used in parts here, and nothing of them is public"
)]
#![allow(
    unfulfilled_lint_expectations,
    clippy::allow_attributes,
    reason = "the crate's own exceptions are for what is public, and an expectation cannot be expected to fail"
)]

/// The crate, with another platform.
#[path = "../../src"]
mod source {
    pub(crate) mod attach;
    pub(crate) mod backend;
    pub(crate) mod memory;
    #[path = "../tests/support/streams_platform.rs"]
    pub(crate) mod platform;
    pub(crate) mod segmentation;
    pub(crate) mod threads;
    pub(crate) mod wire;
}

use attach::{AdoptError, AttachError, Config, DetachError, InterfaceName, ProgramError};
use backend::{
    Backend, LinkState, OwnedTransmitter, ReceiveError, ReceiveStatistics, Received, Statistics,
    TransmitBuffer, TransmitError, TransmitStatistics, Transmitter,
};
use memory::RawSlice;
use platform::Tap;
use segmentation::{CarveError, Completion, Frame};
use source::*;
use threads::{Frontend, Refused, Resume, Threads, ThreadsError, Wait};
use wire::{Checksum, Gso, GsoKind, Offload, RejectReason};

mod bench;

mod addresses;
mod attach_hazards;
mod datalink;
mod datalink_adopted;
mod datalink_attach;
mod datalink_bench;
mod datalink_faults;
mod datalink_life;
mod datalink_offloads;
mod faults;
mod frames;
mod inherited;
mod invariants;
mod lifecycle;
mod names;
mod older_driver;
mod reader;
mod reattach;
mod reattach_faults;
mod settings;
mod stale;

streams_model::interpose!();
