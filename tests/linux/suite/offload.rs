//! Header and offloads: what is in force, and what a former owner left.

use std::io::IoSlice;

use nix::unistd::read;
use tap_plumb::{Backend, Config, Frame, Offload, TransmitError};

use super::host::{GUEST, HEADERS, Host};
use super::host::{ip, wait_for_carrier};
use super::raw_tap::{self, BARE, HEADER, TAP};
use super::seccomp;

// Which offloads are in force.

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

// What a persistent TAP remembers of its last owner does not reach the next one.

/// Leaves everything behind that an owner can leave.
fn spoil(name: &str) {
    let fd = raw_tap::tap(name, TAP | BARE | HEADER);
    raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, 24).unwrap();
    raw_tap::int(&fd, libc::TUNSETVNETLE, 0).unwrap();
    raw_tap::value(&fd, libc::TUNSETOFFLOAD, 0x7).unwrap();
    raw_tap::attach_filter(&fd, false).unwrap();
    raw_tap::address_filter(&fd, [2, 9, 9, 9, 9, 9]).unwrap();
}

pub(crate) fn a_spoilt_tap_gets_header_and_offloads_as_asked() {
    ip("tuntap add keep0 mode tap");
    for len in [10, 12] {
        spoil("keep0");
        let wanted = Offload::with_header(len).unwrap();
        let tap = Config::new().name("keep0").offload(wanted).attach().unwrap();
        assert_eq!(tap.offload(), wanted);
        assert_eq!(raw_tap::int(&tap, libc::TUNGETVNETHDRSZ, 0).unwrap(), len as i32);
        assert_eq!(raw_tap::int(&tap, libc::TUNGETVNETLE, 0).unwrap(), 1);
        assert_eq!(raw_tap::int(&tap, libc::TUNGETSNDBUF, 0).unwrap(), i32::MAX);
    }
}

pub(crate) fn no_frame_comes_unfinished_or_is_filtered_away() {
    ip("tuntap add keep0 mode tap");
    spoil("keep0");
    let tap = Config::new().name("keep0").attach().unwrap();
    Host::on("keep0").send(b"payload");
    let mut frame = [0; 2000];
    let len = read(&tap, &mut frame).unwrap();
    assert_eq!((len, &frame[..6]), (HEADERS + 7, &GUEST[..]));
    assert!(frame[..len].ends_with(b"payload"));
    assert!(udp_checksum_holds(&frame[14..len]));
}

/// Sums the pseudo header and the datagram of an IPv4 packet without options.
fn udp_checksum_holds(packet: &[u8]) -> bool {
    let datagram = &packet[20..];
    let mut words: Vec<u8> = packet[12..20].to_vec();
    words.extend([0, 17]);
    words.extend(u16::try_from(datagram.len()).unwrap().to_be_bytes());
    words.extend(datagram);
    words.resize(words.len().next_multiple_of(2), 0);
    let sum: u32 = words.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

pub(crate) fn an_inherited_taps_carrier_and_send_buffer_are_set() {
    let fd = raw_tap::tap("car0", TAP | BARE);
    ip("link set car0 up");
    raw_tap::int(&fd, libc::TUNSETCARRIER, 0).unwrap();
    raw_tap::int(&fd, libc::TUNSETSNDBUF, 4096).unwrap();
    wait_for_carrier("car0", false);
    let tap = tap_plumb::Tap::from_fd(fd).unwrap();
    wait_for_carrier("car0", true);
    assert_eq!(raw_tap::int(&tap, libc::TUNGETSNDBUF, 0).unwrap(), i32::MAX);
}

/// The kernel answers 0 bytes to each write, as it would not: nothing was taken, and no second frame is made of the rest.
/// Row B8.
pub(crate) fn short_write_is_an_error_and_no_second_frame() {
    let backend = Backend::new(Config::new().name("tap0").up().attach().unwrap());
    let result = seccomp::with_refused(libc::SYS_write, None, 0, || {
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&[7; 60])]))
    });
    assert!(matches!(result, Err(TransmitError::Io { sent: 0, .. })), "{result:?}");
    let all = backend.statistics().transmit;
    assert_eq!((all.frames_offered, all.frames_sent, all.io_error), (1, 0, 1));
}
