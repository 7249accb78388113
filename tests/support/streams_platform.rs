//! The platform of a test binary in which every system is illumos: the folders of `platform/`, with `sys` bound to the
//! STREAMS folder whatever the host is.

#[path = "../../platform/illumos/mod.rs"]
pub(crate) mod illumos;
#[path = "../../platform/posix.rs"]
mod posix;
#[path = "../../platform/tap/mod.rs"]
mod tap;

use self::illumos as sys;

pub(crate) use sys::{read_fault, read_frame, write_fault, write_frame};
pub use tap::Tap;
pub(crate) use tap::{FrameLimits, ReadFault, WriteFault};
