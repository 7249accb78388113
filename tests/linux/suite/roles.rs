//! What this test binary does in processes of its own.

use std::io::{Read, stdin};

use nix::sched::{CloneFlags, unshare};

use super::facts::errno;
use super::process::Role;
use super::raw_tap::{self, BARE, TAP};
use super::{adopt, descriptors, jail, refusals};

pub(crate) const ROLES: &[Role] = &[
    ("hold", hold),
    ("unprivileged", unprivileged),
    ("claim", claim),
    ("failing-attaches", |_| descriptors::failing_attaches()),
    ("scarce-descriptors", |_| descriptors::scarce_descriptors()),
    ("unprivileged-claim", |_| {
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
        refusals::unprivileged_claim();
    }),
    ("without-streams", |_| descriptors::without_streams()),
    ("jailed", |_| jail::jailed()),
    ("jailed-unprivileged", |_| jail::jailed_unprivileged()),
    ("jailed-traffic", |_| jail::jailed_traffic()),
    ("jailed-traffic-unprivileged", |_| jail::jailed_traffic_unprivileged()),
    ("many-attaches", |_| descriptors::many_attaches()),
    ("scarce-threads", |_| descriptors::scarce_threads()),
    ("scarce-pipes", |_| descriptors::scarce_pipes()),
    ("adopt-without-streams", |_| adopt::adopt_without_streams()),
    ("program-without-streams", descriptors::program_without_streams),
    ("threads-without-streams", |_| descriptors::threads_without_streams()),
];

/// Holds a TAP until standard input closes.
fn hold(name: &str) {
    let _tap = raw_tap::tap(name, TAP | BARE);
    println!("ready");
    let _ = stdin().read(&mut [0]);
}

/// Gives up every right over the network namespace, by entering a user namespace that does not own it.
fn unprivileged(_: &str) {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    refusals::without_any();
}

/// Binds a TAP without any right, and tells the errno.
fn claim(name: &str) {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    println!("{}", errno(raw_tap::bind(raw_tap::open(), name.as_bytes(), TAP | BARE)));
}
