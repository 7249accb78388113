//! The platform of a test binary in which every system is illumos: the files of `platform/`, with `sys` bound to the
//! STREAMS folder whatever the host is.

#[path = "../../platform/attach.rs"]
mod attach;
#[path = "../../platform/child.rs"]
mod child;
#[path = "../../platform/fault.rs"]
mod fault;
#[path = "../../platform/posix.rs"]
pub(crate) mod frame_io;
#[path = "../../platform/granted.rs"]
mod granted;
#[path = "../../platform/illumos/mod.rs"]
pub(crate) mod illumos;
#[path = "../../platform/inherited.rs"]
mod inherited;
#[path = "../../platform/number.rs"]
mod number;
#[path = "../../platform/settings.rs"]
mod settings;
#[path = "../../platform/tap.rs"]
mod tap;

use self::illumos as sys;

pub(crate) use attach::attach;
pub(crate) use child::inherit_standard_streams_only;
pub(crate) use fault::{ReadFault, WriteFault, is_refusal};
pub(crate) use number::duplicate;
pub(crate) use sys::{check_name, read_fault, write_fault};
pub(crate) use tap::FrameLimits;
pub use tap::Tap;
