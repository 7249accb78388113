#![cfg(not(target_os = "linux"))]
//! Other systems: no namespaces, counters of the crate only.

use std::error::Error;

use crate::Os;
use crate::machine::HostCounters;

impl Os {
    pub(crate) const HAS_NAMESPACES: bool = false;
    /// illumos and Solaris, ping(8): it ends with the first answer. Elsewhere our own echo request serves.
    pub(crate) const PINGS: &[&str] = &["/usr/sbin/ping"];

    pub(crate) fn enter_private_namespace() -> Result<(), Box<dyn Error>> {
        Ok(())
    }

    pub(crate) fn host_counters(_name: &str) -> Option<HostCounters> {
        None
    }
}
