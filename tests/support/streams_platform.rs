//! The platform of a test binary in which every system is illumos: the folders of `platform/`, with `sys` bound to the
//! STREAMS folder whatever the host is.

#[path = "../../platform/posix.rs"]
pub(crate) mod frame_io;
#[path = "../../platform/illumos/mod.rs"]
pub(crate) mod illumos;
#[path = "../../platform/tap/mod.rs"]
mod tap;

use self::illumos as sys;

pub use tap::Tap;
pub(crate) use tap::{FrameLimits, HostCan, ReadFault, WriteFault, is_refusal};
