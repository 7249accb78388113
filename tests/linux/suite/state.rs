//! What a persistent TAP remembers of its last owner does not reach the next one.

use std::io::IoSlice;

use nix::unistd::read;
use tap_plumb::{Backend, Config, Frame, Offload, TransmitError};

use super::host::{ip, wait_for_carrier};
use super::raw_tap::{self, BARE, HEADER, TAP};
use super::seccomp;
use super::traffic::{GUEST, HEADERS, Host};

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
