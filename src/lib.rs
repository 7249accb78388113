//! Host-side Ethernet backend for hypervisors.

mod config;
mod error;
mod frame;
mod gso;
mod name;
mod offload;
mod pairs;
#[path = "../platform/mod.rs"]
mod platform;
mod program;

pub use config::Config;
pub use error::{AdoptError, AttachError, DetachError, ProgramError, ReceiveError, TransmitError};
pub use frame::{Checksum, Frame};
pub use gso::{Gso, GsoKind, RejectReason};
pub use name::InterfaceName;
pub use offload::Offload;
pub use platform::Tap;
