//! Host-side Ethernet backend for hypervisors.

mod announcement;
mod backend;
mod buffer;
mod config;
mod control;
mod delivery;
mod error;
mod frame;
mod frame_log;
mod frontend;
mod gso;
mod link;
mod name;
mod offload;
mod pairs;
#[path = "../platform/mod.rs"]
mod platform;
mod program;
mod receive;
mod receive_thread;
mod slices;
mod statistics;
mod sync;
mod threads;
mod transmit;
mod transmit_lock;
mod transmit_thread;
mod wake;

pub use backend::Backend;
pub use buffer::TransmitBuffer;
pub use config::Config;
pub use error::{
    AdoptError, AttachError, DetachError, ProgramError, ReceiveError, ThreadsError, TransmitError,
};
pub use frame::{Checksum, Frame};
pub use frontend::{Frontend, Refused, Wait};
pub use gso::{Gso, GsoKind, RejectReason};
pub use link::LinkState;
pub use name::InterfaceName;
pub use offload::Offload;
pub use platform::Tap;
pub use receive::Received;
pub use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
pub use threads::{Resume, Threads};
pub use transmit::{OwnedTransmitter, Transmitter};
