//! Who holds an interface that is busy.

use std::fs;
use std::path::Path;

use super::node;

/// Names the processes that hold a queue of the interface `name` in this network namespace, as far as they can be read:
/// those of the same user, or all for root.
pub(super) fn holders(name: &[u8]) -> String {
    let Ok(processes) = fs::read_dir("/proc") else { return String::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let found: Vec<String> = ids.filter(|id| holds(*id, name)).map(describe).collect();
    found.join(" and ")
}

fn holds(id: u32, name: &[u8]) -> bool {
    // A thread can be in another namespace than the process it belongs to; our own is the one that asks.
    let ours = id == std::process::id();
    let process = if ours { "/proc/thread-self".into() } else { Path::new("/proc").join(id.to_string()) };
    let same_namespace =
        fs::read_link(process.join("ns/net")).ok() == fs::read_link("/proc/thread-self/ns/net").ok();
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    same_namespace
        && descriptors.flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(node::PATH))
                && is_bound(&process.join("fdinfo").join(entry.file_name()), name)
        })
}

/// Since Linux 3.13 the descriptor's information has the line `iff:<tab>NAME`.
fn is_bound(information: &Path, name: &[u8]) -> bool {
    let Ok(text) = fs::read(information) else { return false };
    text.split(|byte| *byte == b'\n').any(|line| line.strip_prefix(b"iff:\t") == Some(name))
}

fn describe(id: u32) -> String {
    if id == std::process::id() {
        return "this process".to_owned();
    }
    let command = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    format!("process {id} ({})", command.trim_end())
}
