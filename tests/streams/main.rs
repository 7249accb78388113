//! The STREAMS code over the model of the kernel.
//!
//! The crate's own files are compiled into this binary, so that their system calls are the ones that the model answers;
//! the platform is always `platform/illumos`. One module a topic; a name that begins with `hazard_NN`, `invariant_NN`,
//! `fNN` or `bNN` says which row of `tests/FEATURES.md` it proves.
#![expect(
    dead_code,
    unused_imports,
    unnameable_types,
    unreachable_pub,
    reason = "the crate's modules are used in parts here"
)]

#[path = "../../src/announcement.rs"]
mod announcement;
#[path = "../../src/backend.rs"]
mod backend;
#[path = "../../src/buffer.rs"]
mod buffer;
#[path = "../../src/config.rs"]
mod config;
#[path = "../../src/control.rs"]
mod control;
#[path = "../../src/delivery.rs"]
mod delivery;
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/frame.rs"]
mod frame;
#[path = "../../src/frame_log.rs"]
mod frame_log;
#[path = "../../src/frontend.rs"]
mod frontend;
#[path = "../../src/gso.rs"]
mod gso;
#[path = "../../src/link.rs"]
mod link;
#[path = "../../src/name.rs"]
mod name;
#[path = "../../src/offload.rs"]
mod offload;
#[path = "../../src/pairs.rs"]
mod pairs;
#[path = "../support/streams_platform.rs"]
mod platform;
#[path = "../../src/program.rs"]
mod program;
#[path = "../../src/receive.rs"]
mod receive;
#[path = "../../src/receive_thread.rs"]
mod receive_thread;
#[path = "../../src/slices.rs"]
mod slices;
#[path = "../../src/statistics.rs"]
mod statistics;
#[path = "../../src/sync.rs"]
mod sync;
#[path = "../../src/threads.rs"]
mod threads;
#[path = "../../src/transmit.rs"]
mod transmit;
#[path = "../../src/transmit_lock.rs"]
mod transmit_lock;
#[path = "../../src/transmit_thread.rs"]
mod transmit_thread;
#[path = "../../src/wake.rs"]
mod wake;

use backend::Backend;
use buffer::TransmitBuffer;
use config::Config;
use error::{AdoptError, AttachError, DetachError, ProgramError, ReceiveError, ThreadsError, TransmitError};
use frame::{Checksum, Frame};
use frontend::{Frontend, Refused, Wait};
use gso::{Gso, GsoKind, RejectReason};
use link::LinkState;
use name::InterfaceName;
use offload::Offload;
use platform::Tap;
use receive::Received;
use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
use threads::{Resume, Threads};
use transmit::{OwnedTransmitter, Transmitter};

mod bench;

mod attach_trace;
mod calls;
mod faults;
mod killed;

streams_model::interpose!();
