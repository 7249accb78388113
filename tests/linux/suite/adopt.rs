//! What an inherited descriptor of the TUN driver really is.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::dup;
use tap_plumb::{AdoptError, Config, Offload, Tap};

use super::host::{ip, is_root_of_the_machine, vanishes};
use super::raw_tap::{self, BARE, HEADER, MULTI_QUEUE, TAP, TUN};
use super::seccomp;

/// Asserts the refusal, and that the descriptor came back as it was.
fn refusal(fd: OwnedFd) -> AdoptError {
    let (number, before) = (fd.as_raw_fd(), flags(&fd));
    let error = Tap::from_fd(fd).unwrap_err();
    assert_eq!((error.fd.as_raw_fd(), flags(&error.fd)), (number, before), "{error}");
    error
}

fn flags(fd: impl AsFd) -> (i32, i32) {
    let status = fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap();
    (status, fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap())
}

/// Row B27.
pub(crate) fn packet_info_is_found_out_in_every_mode() {
    let modes = [(0, 0), (HEADER, 10), (HEADER, 12), (HEADER, 65535), (MULTI_QUEUE, 0)];
    for (number, mode) in modes.into_iter().enumerate() {
        // Names of their own: a further queue would silently get the mode of one that is still closing.
        for (up, info) in [(false, false), (false, true), (true, false), (true, true)] {
            packet_info_is_found_out(
                &format!("pi{number}{}{}", u8::from(up), u8::from(info)),
                mode,
                up,
                info,
            );
        }
    }
}

fn packet_info_is_found_out(name: &str, (mode, header_len): (i32, i32), up: bool, info: bool) {
    let fd = raw_tap::tap(name, TAP | mode | if info { 0 } else { BARE });
    if header_len > 0 {
        raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, header_len).unwrap();
    }
    if up {
        ip(&format!("link set {name} up"));
    }
    let adopted = Tap::from_fd(fd);
    assert_eq!(adopted.is_err(), info, "{name} {mode:#x}: {adopted:?}");
    if let Err(error) = adopted {
        assert!(error.found.contains("packet-info") && error.found.contains(name), "{error}");
        assert!(error.remedy.contains("IFF_NO_PI"), "{error}");
    }
}

/// Row B27.
pub(crate) fn the_check_of_packet_info_sends_no_frame() {
    let fd = raw_tap::tap("pi0", TAP | BARE);
    ip("link set pi0 up");
    let tap = Tap::from_fd(fd).unwrap();
    let statistics = ip("-s -o link show pi0");
    let received: Vec<&str> =
        statistics.split("RX:").nth(1).unwrap().split('\\').nth(1).unwrap().split_whitespace().collect();
    assert_eq!(received[..2], ["0", "0"], "{statistics}");
    drop(tap);
}

/// Row B27.
pub(crate) fn a_filter_of_somebody_else_stays() {
    for (extra, found) in [(BARE, None), (0, Some("packet-info"))] {
        let fd = raw_tap::tap("pi0", TAP | extra);
        raw_tap::attach_filter(&fd, false).unwrap();
        let copy = dup(&fd).unwrap();
        let adopted = Tap::from_fd(fd);
        assert_eq!(
            adopted.as_ref().err().map(|error| error.found.contains("packet-info")),
            found.map(|_| true)
        );
        // The bit of IFF_NO_PI is truthful only while a filter is attached: with packet-info it must still be clear.
        assert_eq!(raw_tap::bound(&copy).unwrap().1 & BARE, extra);
        // With the filter gone, the bit is set in either mode.
        raw_tap::value(&copy, libc::TUNDETACHFILTER, 0).unwrap();
        assert_eq!(raw_tap::bound(&copy).unwrap().1 & BARE, BARE);
        let again = Tap::from_fd(copy);
        assert_eq!(again.is_err(), found.is_some());
    }
}

/// Row B27.
pub(crate) fn every_other_kind_is_named() {
    let tun = refusal(raw_tap::tap("tun7", TUN | BARE));
    assert!(tun.found.contains("TUN") && tun.found.contains("tun7"), "{tun}");

    let unbound = refusal(raw_tap::open());
    assert!(unbound.found.contains("bound to no interface"), "{unbound}");
    assert_eq!(unbound.source.as_ref().unwrap().raw_os_error(), Some(libc::EBADFD));

    let removed = raw_tap::tap("gone0", TAP | BARE);
    ip("link del gone0");
    assert!(refusal(removed).found.contains("was removed"));

    let _first = raw_tap::tap("many0", TAP | BARE | MULTI_QUEUE);
    let detached = raw_tap::tap("many0", TAP | BARE | MULTI_QUEUE);
    raw_tap::set_queue(&detached, libc::IFF_DETACH_QUEUE).unwrap();
    assert!(refusal(detached).found.contains("detached queue"));

    let zero = std::fs::OpenOptions::new().read(true).write(true).open("/dev/zero").unwrap();
    let zero = refusal(zero.into());
    assert!(zero.found.contains("/dev/zero"), "{zero}");
}

/// Row B27.
pub(crate) fn a_kernel_that_does_not_answer_is_not_trusted() {
    let adopt = |name: &str, call, request, errno| {
        let fd = raw_tap::tap(name, TAP | BARE);
        seccomp::with_refused(call, request, errno, || refusal(fd))
    };
    // Before Linux 5.1 a write on an interface that is down says so before anything else.
    let down = adopt("mute0", libc::SYS_writev, None, libc::EIO);
    assert!(down.remedy.contains("up first"), "{down}");
    let other = adopt("mute1", libc::SYS_writev, None, libc::ENOMEM);
    assert_eq!((other.remedy, other.found.as_str()), ("", "the TAP mute1, which refuses writev"));
    let removed = adopt("mute2", libc::SYS_ioctl, Some(libc::TUNGETIFF), libc::ENOLINK);
    assert!(removed.found.contains("macvtap"), "{removed}");
}

/// Row B27.
pub(crate) fn a_refusal_at_a_late_step_gives_the_header_back() {
    let fd = raw_tap::tap("late0", TAP | BARE | HEADER);
    raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, 20).unwrap();
    let number = Some(libc::TUNSETSNDBUF);
    let refused = seccomp::with_refused(libc::SYS_ioctl, number, libc::ENOMEM, || refusal(fd));
    assert_eq!(refused.found, "the TAP late0, which refuses TUNSETSNDBUF");
    assert_eq!(refused.source.as_ref().and_then(std::io::Error::raw_os_error), Some(libc::ENOMEM));
    assert_eq!(raw_tap::int(&refused.fd, libc::TUNGETVNETHDRSZ, 0).unwrap(), 20);
}

/// Row B26.
pub(crate) fn flags_are_kept_and_two_are_added() {
    let fd = raw_tap::tap("flag0", TAP | BARE);
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_APPEND)).unwrap();
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let before = OFlag::from_bits_retain(flags(&fd).0);
    let tap = Tap::from_fd(fd).unwrap();
    let (status, descriptor) = flags(&tap);
    assert_eq!(OFlag::from_bits_retain(status), before | OFlag::O_NONBLOCK);
    assert_eq!(descriptor, FdFlag::FD_CLOEXEC.bits());
}

/// Row F31.
pub(crate) fn a_tap_is_adopted_and_given_out_again() {
    let fd = raw_tap::tap("mine0", TAP | BARE);
    let number = fd.as_raw_fd();
    let tap = Config::new().inherited(fd).mtu(1400).up().attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("mine0"));
    assert!(ip("link show mine0").contains("mtu 1400"));
    assert!(tap.is_up().unwrap());
    let fd = tap.into_fd().unwrap();
    assert_eq!(fd.as_raw_fd(), number);
    let mut file = std::fs::File::from(fd);
    // Non-blocking now; the host may have announced itself by then.
    let read = file.read(&mut [0; 2000]);
    assert!(read.is_ok() || read.unwrap_err().kind() == std::io::ErrorKind::WouldBlock);
}

/// Row F32.
pub(crate) fn the_descriptor_is_closed_once_and_only_by_its_owner() {
    let fd = raw_tap::tap("own0", TAP | BARE);
    let copy = dup(&fd).unwrap();
    drop(Tap::from_fd(fd).unwrap());
    assert_eq!(raw_tap::bound(&copy).unwrap().0, "own0", "the interface lives on by the caller's own copy");
    drop(copy);
    vanishes("own0");
}

pub(crate) fn headers_of_an_inherited_tap() {
    let inherited = |flags, len: i32| {
        let fd = raw_tap::tap("hdr0", TAP | BARE | flags);
        raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, len).unwrap();
        raw_tap::value(&fd, libc::TUNSETOFFLOAD, 0x7).unwrap();
        fd
    };
    // Nothing asked: its header cannot go, so it is that of virtio 1, and nothing unfinished comes.
    let tap = Tap::from_fd(inherited(HEADER, 20)).unwrap();
    assert_eq!(tap.offload(), Offload::with_header(12).unwrap());
    assert_eq!(raw_tap::int(&tap, libc::TUNGETVNETHDRSZ, 0).unwrap(), 12);
    drop(tap);

    let short = Offload::with_header(10).unwrap();
    let tap = Config::new().inherited(inherited(HEADER, 12)).offload(short).attach().unwrap();
    assert_eq!((tap.offload(), raw_tap::int(&tap, libc::TUNGETVNETHDRSZ, 0).unwrap()), (short, 10));
    drop(tap);

    let error = Config::new().inherited(inherited(0, 12)).offload(Offload::ALL).attach().unwrap_err();
    assert!(error.to_string().contains("without virtio-net headers"), "{error}");
    assert!(error.to_string().contains("IFF_VNET_HDR"), "{error}");
}

pub(crate) fn a_tap_that_takes_pages_only_is_named() {
    let fd = raw_tap::open();
    let flags = TAP | BARE | libc::IFF_NAPI | libc::IFF_NAPI_FRAGS;
    match raw_tap::bind(&fd, b"frag0", flags) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) && !is_root_of_the_machine() => {
            eprintln!("skipped: IFF_NAPI_FRAGS: {error}");
        }
        result => {
            result.unwrap();
            let refused = refusal(fd);
            assert!(refused.found.contains("IFF_NAPI_FRAGS"), "{refused}");
        }
    }
}

pub(crate) fn the_limit_of_a_socket_is_its_send_buffers() {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    nix::sys::socket::setsockopt(&ours, nix::sys::socket::sockopt::SndBuf, &4096).unwrap();
    let backend = tap_plumb::Backend::new(Tap::from_fd(ours.into()).unwrap());
    let send = |len: usize| {
        let frame = vec![7; len];
        let slices = [std::io::IoSlice::new(&frame)];
        backend.begin_transmit().unwrap().send(&tap_plumb::Frame::new(&slices))
    };
    let error = send(9000).unwrap_err();
    let tap_plumb::TransmitError::Oversize { len: 9000, limit } = error else { panic!("{error}") };
    send(limit).unwrap();
    assert_eq!(theirs.recv(&mut vec![0; 9000]).unwrap(), limit);
    assert!(send(limit + 1).is_err());
}

/// Row L12.
pub(crate) fn an_adopted_descriptor_moves_above_the_standard_streams() {
    super::process::run("adopt-without-streams", "");
}

/// Without standard streams, so that the TAP itself is descriptor 0. Nothing can be printed: the status says what is wrong.
pub(crate) fn adopt_without_streams() {
    (0..3).for_each(|number| nix::unistd::close(number).unwrap());
    let fd = raw_tap::tap("low0", TAP | BARE);
    let number = fd.as_raw_fd();
    let tap = Tap::from_fd(fd).unwrap();
    if number != 0 || tap.as_raw_fd() < 3 || std::fs::symlink_metadata("/proc/self/fd/0").is_ok() {
        std::process::exit(17);
    }
    // What is refused comes back as it was.
    if refusal(raw_tap::tap("tun7", TUN | BARE)).fd.as_raw_fd() != 0 {
        std::process::exit(18);
    }
}

/// Row L8.
pub(crate) fn a_socket_without_a_cable_is_not_told_to_be_connected() {
    let made = |family, kind| {
        let fd = socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None).unwrap();
        refusal(fd).to_string()
    };
    for kind in [SockType::Raw, SockType::Datagram] {
        let text = made(AddressFamily::Packet, kind);
        assert!(!text.contains("keep frames apart") && !text.contains("connect it"), "{text}");
        assert!(text.contains("use a datagram socket pair"), "{text}");
    }
    let refuse = |errno| {
        let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        seccomp::with_refused(libc::SYS_getpeername, None, errno, || refusal(ours.into())).to_string()
    };
    assert!(refuse(libc::ENOTCONN).contains("connect it first"));
    let text = refuse(libc::EPERM);
    assert!(text.contains("refuses getpeername") && !text.contains("connect it"), "{text}");
}

/// Row L9.
pub(crate) fn a_socket_is_not_said_to_have_lost_its_interface() {
    let pair = || std::os::unix::net::UnixDatagram::pair().unwrap();
    let (ours, _theirs) = pair();
    let error =
        Config::new().inherited(ours.into()).hardware_address([2, 0, 0, 0, 0, 1]).attach().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("hardware address") && !text.contains("removed"), "{text}");
    let (ours, _theirs) = pair();
    let tap = Tap::from_fd(ours.into()).unwrap();
    let kinds = [
        tap.hardware_address().unwrap_err().kind(),
        tap.set_hardware_address([2, 0, 0, 0, 0, 1]).unwrap_err().kind(),
        tap.set_queue_enabled(false).unwrap_err().kind(),
        tap.set_carrier(false).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [std::io::ErrorKind::Unsupported; 4]);
}
