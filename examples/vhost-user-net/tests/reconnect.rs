//! One hypervisor after the other. A process of its own, since what it holds is counted.

mod support;

use support::hypervisor::{Guest, Host, exchange};

/// Entries of a directory: threads, descriptors.
fn entries(path: &str) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

#[test]
fn the_next_hypervisor_is_served_and_nothing_of_the_last_is_left() {
    let mut host = Host::new("next", 2);
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut guest = Guest::connect(&host, 2);
        exchange(&host, &mut guest, 1);
        held.push((entries("/proc/self/fd"), entries("/proc/self/task")));
    }
    assert_eq!(held[1..], [held[0]; 3], "descriptors, threads");
    host.end();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("memfd:guest"), "the guests' memory is mapped still");
}
