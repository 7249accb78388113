//! Host-side Ethernet backend for hypervisors.

mod body;
mod checksum;
mod checksum_dispatch;
mod config;
mod deliver;
mod error;
mod frame;
mod front;
mod gather;
mod gso;
mod headers;
mod name;
mod offload;
mod pairs;
#[path = "../platform/mod.rs"]
mod platform;
mod program;
mod raw;
mod reject;
mod segments;
mod validate;
mod vnet_header;

pub use checksum::internet_checksum;
pub use config::Config;
pub use error::{AdoptError, AttachError, DetachError, ProgramError, ReceiveError, TransmitError};
pub use frame::{CarveError, Checksum, Completion, Frame};
pub use gso::{Gso, GsoKind};
pub use name::InterfaceName;
pub use offload::Offload;
pub use platform::Tap;
pub use raw::RawSlice;
pub use reject::RejectReason;
