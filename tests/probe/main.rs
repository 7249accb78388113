//! Every kind of frame, sent in every way, into every kind of TAP, over a bridge of the running kernel and out of another
//! TAP: all of it must arrive, as the crate's own carving says, to the byte. The counts are printed for `ci/kernels`.

#[cfg(target_os = "linux")]
mod suite {
    #[expect(dead_code, reason = "all frames are made to measure here")]
    #[path = "../../support/frames.rs"]
    mod frames;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[expect(dead_code, reason = "the crate's own TAP is the way in")]
    #[path = "../../support/oracle.rs"]
    mod oracle;

    mod cases;
    mod judge;
    mod ways;

    use judge::{Entry, probe};
    use namespace::tests;
    use oracle::Exit;
    use tap_plumb::{Config, Offload};

    pub(crate) fn run() -> std::process::ExitCode {
        namespace::run(tests![
            the_host_grants_checksums_and_tcp,
            header_of_12_to_a_bare_tap,
            header_of_12_to_all_offloads,
            header_of_10_to_a_bare_tap,
            header_of_10_to_all_offloads,
            bare_to_a_bare_tap,
            bare_to_all_offloads,
        ])
    }

    /// Oversized UDP is a newer kernel's, and ECN an older one's too: what there is, is printed.
    fn the_host_grants_checksums_and_tcp() {
        let granted = Config::new().offload(Offload::ALL).attach().unwrap().offload();
        let all = [
            ("checksum", granted.checksum),
            ("tcp4", granted.tcp4),
            ("tcp6", granted.tcp6),
            ("tcp_ecn", granted.tcp_ecn),
            ("udp", granted.udp),
        ];
        let names: Vec<_> = all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        println!("granted: {}", names.join(" "));
        assert!(granted.checksum && granted.tcp4 && granted.tcp6, "{granted:?}");
    }

    fn header_of_12_to_a_bare_tap() {
        probe(Entry::Header(12), Exit::bare);
    }

    fn header_of_12_to_all_offloads() {
        probe(Entry::Header(12), Exit::offloading);
    }

    fn header_of_10_to_a_bare_tap() {
        probe(Entry::Header(10), Exit::bare);
    }

    fn header_of_10_to_all_offloads() {
        probe(Entry::Header(10), Exit::offloading);
    }

    fn bare_to_a_bare_tap() {
        probe(Entry::Bare, Exit::bare);
    }

    fn bare_to_all_offloads() {
        probe(Entry::Bare, Exit::offloading);
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
