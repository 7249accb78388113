//! Which offloads are in force.

use tap_plumb::{Backend, Config, Offload};

use super::{raw_tap, seccomp};

/// Everything that the running kernel has; what it lacks is named.
pub(crate) fn all() -> Offload {
    let mut all = Offload::ALL;
    all.udp = raw_tap::knows_uso();
    if !all.udp {
        println!("not tried: oversized UDP: this kernel does not know it (Linux 6.2 does)");
    }
    all
}

pub(crate) fn offloads_are_turned_off_and_on_at_run_time() {
    let tap = Config::new().name("off0").offload(Offload::ALL).attach().unwrap();
    let off = Offload::with_header(12).unwrap();
    assert_eq!(tap.set_offload(off).unwrap(), off);
    assert_eq!(tap.offload(), off);
    let mut some = off;
    (some.checksum, some.tcp6) = (true, true);
    assert_eq!(tap.set_offload(some).unwrap(), some);
    assert_eq!(tap.set_offload(Offload::ALL).unwrap(), all());
    assert_eq!(tap.offload(), all());
}

pub(crate) fn a_buffer_is_as_large_as_the_offloads_need() {
    let backend = Backend::new(Config::new().name("off0").offload(Offload::ALL).mtu(1400).attach().unwrap());
    let oversized = backend.receive_buffer_len();
    assert_eq!(oversized, 40 + 65535 + 14 + 8 + 1);
    let off = Offload::with_header(12).unwrap();
    assert_eq!(backend.set_offload(off).unwrap(), off);
    assert_eq!(backend.receive_buffer_len(), 1400 + 14 + 8 + 1);
    backend.set_offload(Offload::ALL).unwrap();
    assert_eq!(backend.receive_buffer_len(), oversized);
    backend.set_offload(Offload::NONE).unwrap_err();
}

pub(crate) fn what_cannot_be_had_is_left_out_and_said() {
    let tap = Config::new().name("off0").offload(Offload::ALL).attach().unwrap();
    // Segmentation without checksums, and ECN without segmentation, are more than the kernel can do.
    let mut wanted = Offload::with_header(12).unwrap();
    (wanted.tcp4, wanted.tcp_ecn) = (true, true);
    assert_eq!(tap.set_offload(wanted).unwrap(), Offload::with_header(12).unwrap());
    (wanted.checksum, wanted.tcp4) = (true, false);
    let granted = tap.set_offload(wanted).unwrap();
    assert!(granted.checksum && !granted.tcp_ecn && !granted.tcp4, "{granted:?}");
    assert_eq!(tap.offload(), granted);
    // What comes after a refused step is tried on top of what came before it.
    wanted.udp = true;
    let granted = tap.set_offload(wanted).unwrap();
    assert!(granted.checksum && granted.udp == all().udp && !granted.tcp_ecn, "{granted:?}");
}

pub(crate) fn the_headers_length_stays() {
    let tap = Config::new().name("off0").attach().unwrap();
    let error = tap.set_offload(Offload::ALL).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(tap.set_offload(Offload::NONE).unwrap(), Offload::NONE);
    // The kernel would do this, and nothing would tell that a frame is unfinished.
    let mut unmarked = Offload::NONE;
    (unmarked.checksum, unmarked.tcp4) = (true, true);
    assert_eq!(tap.set_offload(unmarked).unwrap(), Offload::NONE);
}

pub(crate) fn a_failed_change_leaves_what_was_recorded() {
    let tap = Config::new().name("off0").offload(Offload::ALL).attach().unwrap();
    let off = Offload::with_header(12).unwrap();
    let number = Some(libc::TUNSETOFFLOAD);
    let error =
        seccomp::with_refused(libc::SYS_ioctl, number, libc::ENOMEM, || tap.set_offload(off)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    assert_eq!(tap.offload(), all());
}

/// As before Linux 6.2, and with a kernel that lacks something else.
pub(crate) fn a_kernel_that_lacks_an_offload_grants_the_rest() {
    let without = |bit: u32| {
        let attach = || Config::new().name("off0").offload(Offload::ALL).attach().unwrap().offload();
        seccomp::with_bit_refused(libc::TUNSETOFFLOAD, bit, libc::EINVAL, attach)
    };
    let all_but = |change: fn(&mut Offload)| {
        let mut offload = all();
        change(&mut offload);
        offload
    };
    assert_eq!(without(libc::TUN_F_USO4), all_but(|offload| offload.udp = false));
    assert_eq!(without(libc::TUN_F_TSO_ECN), all_but(|offload| offload.tcp_ecn = false));
    assert_eq!(without(libc::TUN_F_TSO6), all_but(|offload| offload.tcp6 = false));
    assert_eq!(without(libc::TUN_F_CSUM), Offload::with_header(12).unwrap());
}
