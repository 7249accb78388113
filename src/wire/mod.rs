//! What the bytes of a frame mean: headers, checksums, the virtio-net header, and what a sender leaves to be done.
//!
//! Nothing here knows where the bytes lie or where they go.

mod checksum;
mod gso;
pub(crate) mod headers;
mod layout;
mod offload;
mod reject;
mod request;
mod simd;
mod unfinished;
pub(crate) mod virtio;
mod whole;

pub use checksum::internet_checksum;
pub(crate) use checksum::{Sum, checksum_field, complete_in_place, fold, halves};
pub use gso::{Gso, GsoKind};
pub(crate) use layout::{HeaderBytes, Layout};
pub use offload::Offload;
pub use reject::RejectReason;
pub use request::Checksum;
pub(crate) use request::{Request, SegmentRequest};
pub(crate) use unfinished::suspect;
pub(crate) use whole::{length, put_ipv4_checksum, put_right};
