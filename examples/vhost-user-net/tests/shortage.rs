//! Descriptors run out, and come back. A process of its own, since the limit is the process's.

mod support;

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use support::hypervisor::{Guest, Host, exchange};

/// Opens files until there are no more descriptors but `left`.
fn take_all_but(left: usize) -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files.truncate(files.len() - left);
    files
}

/// Row V3.
#[test]
fn a_shortage_of_descriptors_costs_a_connection_at_most() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(80), maximum: Some(80) }).unwrap();
    let mut host = Host::new("shortage", 1);
    // The first is the client's own.
    for left in 1..6 {
        let held = take_all_but(left);
        let stream = UnixStream::connect(&host.path).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        drop(held);
        drop(stream);
        let mut guest = Guest::connect(&host, 1);
        exchange(&host, &mut guest, 0);
    }
    host.end();
}
