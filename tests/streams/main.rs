//! The STREAMS code over the model of the kernel.
//!
//! The crate's own files are compiled into this binary, so that their system calls are the ones that the model answers;
//! the platform is always `platform/illumos`. One module a topic; a name that begins with `hazard_NN`, `invariant_NN`,
//! `fNN` or `bNN` says which row of `tests/FEATURES.md` it proves.
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
    pub(crate) mod announcement;
    pub(crate) mod backend;
    pub(crate) mod body;
    pub(crate) mod buffer;
    pub(crate) mod checksum;
    pub(crate) mod checksum_dispatch;
    pub(crate) mod config;
    pub(crate) mod control;
    pub(crate) mod deliver;
    pub(crate) mod error;
    pub(crate) mod error_io;
    pub(crate) mod frame;
    pub(crate) mod frame_log;
    pub(crate) mod front;
    pub(crate) mod frontend;
    pub(crate) mod gather;
    pub(crate) mod gso;
    pub(crate) mod handover;
    pub(crate) mod headers;
    pub(crate) mod link;
    pub(crate) mod name;
    pub(crate) mod offload;
    pub(crate) mod pairs;
    #[path = "../tests/support/streams_platform.rs"]
    pub(crate) mod platform;
    pub(crate) mod presence;
    pub(crate) mod program;
    pub(crate) mod quick;
    pub(crate) mod raw;
    pub(crate) mod receive;
    pub(crate) mod receive_thread;
    pub(crate) mod reject;
    pub(crate) mod segments;
    pub(crate) mod session;
    pub(crate) mod slices;
    pub(crate) mod statistics;
    pub(crate) mod straight;
    pub(crate) mod sync;
    pub(crate) mod tally;
    pub(crate) mod threads;
    pub(crate) mod transmit;
    pub(crate) mod transmit_lock;
    pub(crate) mod transmit_thread;
    pub(crate) mod validate;
    pub(crate) mod vnet_header;
    pub(crate) mod wake;
}

use backend::Backend;
use buffer::TransmitBuffer;
use config::Config;
use error::{AdoptError, AttachError, DetachError, ProgramError, ReceiveError, ThreadsError, TransmitError};
use frame::{CarveError, Checksum, Completion, Frame};
use frontend::{Frontend, Refused, Wait};
use gso::{Gso, GsoKind};
use link::LinkState;
use name::InterfaceName;
use offload::Offload;
use platform::Tap;
use raw::RawSlice;
use receive::Received;
use reject::RejectReason;
use session::{OwnedTransmitter, Transmitter};
use source::*;
use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
use threads::{Resume, Threads};

mod bench;
mod calls;

mod attach_hazards;
mod attach_trace;
mod automatic;
mod faults;
mod frames;
mod inherited;
mod invariants;
mod killed;
mod lifecycle;
mod names;
mod older_driver;
mod reader;
mod reattach;
mod reattach_faults;
mod settings;
mod stale;

streams_model::interpose!();
