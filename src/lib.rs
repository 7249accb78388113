//! Host-side Ethernet backend for hypervisors.

mod backend;
mod buffer;
mod config;
mod error;
mod frame;
mod frame_log;
mod gso;
mod link;
mod name;
mod offload;
mod pairs;
#[path = "../platform/mod.rs"]
mod platform;
mod program;
mod receive;
mod slices;
mod statistics;
mod sync;
mod transmit;
mod transmit_lock;

pub use backend::Backend;
pub use buffer::TransmitBuffer;
pub use config::Config;
pub use error::{AdoptError, AttachError, DetachError, ProgramError, ReceiveError, TransmitError};
pub use frame::{Checksum, Frame};
pub use gso::{Gso, GsoKind, RejectReason};
pub use link::LinkState;
pub use name::InterfaceName;
pub use offload::Offload;
pub use platform::Tap;
pub use receive::Received;
pub use statistics::{ReceiveStatistics, Statistics, TransmitStatistics};
pub use transmit::{OwnedTransmitter, Transmitter};
