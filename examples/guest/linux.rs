#![cfg(target_os = "linux")]
//! What Linux has: network namespaces, interface counters, and two kinds of `ping` with the same options.

use std::error::Error;
use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::Os;
use crate::machine::HostCounters;

impl Os {
    pub(crate) const HAS_NAMESPACES: bool = true;
    /// iputils, else busybox; the target follows.
    pub(crate) const PINGS: &[&str] = &["ping -c 2 -W 2", "busybox ping -c 2 -W 2"];

    /// Enters a network namespace of its own, as root by right, else as the root of a user namespace.
    pub(crate) fn enter_private_namespace() -> Result<(), Box<dyn Error>> {
        if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
            return Ok(());
        }
        let (user, group) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|errno| {
            format!("no network namespace can be made ({errno}); run as root, allow user namespaces, or give --name")
        })?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
        Ok(())
    }

    /// Reads the interface's line of `/proc/net/dev` (proc_pid_net(5)).
    pub(crate) fn host_counters(name: &str) -> Option<HostCounters> {
        let table = fs::read_to_string("/proc/net/dev").ok()?;
        let line = table.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
        let numbers: Vec<u64> = line.split_whitespace().map_while(|number| number.parse().ok()).collect();
        // Eight columns of what the host received, that is took from us; then eight of what it sent to us.
        Some(HostCounters { taken: *numbers.get(1)?, handed_over: *numbers.get(9)? })
    }
}
