//! A stream of a data link that another program has opened and bound.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use streams_model::interpose::{getmsg, putmsg};
use streams_model::{Errno, Kernel, Machine, Message, MessageKind, Moment, Record, Trouble};

use crate::bench::{assert_nothing_wrong, assert_unchanged, attach, calls_about, host};
use crate::datalink_bench::*;
use crate::{AdoptError, AttachError, Backend, Config, Tap};

/// `struct strbuf`
#[repr(C)]
struct StrBuf {
    maxlen: c_int,
    len: c_int,
    buf: *mut c_void,
}

/// Another program's stream of `vnic0`.
fn open() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/net/vnic0").unwrap().into()
}

/// It asks something of the driver, and takes the answer away.
fn ask(stream: &OwnedFd, words: &[u32]) {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let len = bytes.len() as c_int;
    let request = StrBuf { maxlen: len, len, buf: bytes.as_mut_ptr().cast() };
    let mut room = [0_u8; 256];
    let mut answer = StrBuf { maxlen: 256, len: 0, buf: room.as_mut_ptr().cast() };
    let mut flags = 1;
    let (request, answer) = ((&raw const request).cast(), (&raw mut answer).cast());
    // SAFETY: the strbuf points at as many bytes as it says, which outlive the call.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let sent = unsafe { putmsg(stream.as_raw_fd(), request, std::ptr::null(), 1) };
    poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLPRI)], PollTimeout::NONE).unwrap();
    // SAFETY: as before, and the flags are an int.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let taken = unsafe { getmsg(stream.as_raw_fd(), answer, std::ptr::null_mut(), &raw mut flags) };
    assert_eq!((sent, taken), (0, 0));
    assert_ne!(room[0], 5, "DL_ERROR_ACK");
}

fn bind(stream: &OwnedFd) {
    ask(stream, &[1, 0, 0, 2, 0]);
}

fn promiscuous(stream: &OwnedFd, level: u32) {
    ask(stream, &[0x1f, level]);
}

fn ioctl(stream: &OwnedFd, request: u32, argument: *const c_void) {
    // SAFETY: the argument is what the request takes.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let done = unsafe { libc::ioctl(stream.as_raw_fd(), request as _, argument) };
    assert_eq!(done, 0);
}

/// One that gathers frames behind headers of its own, for a second at the most.
fn push_bufmod(stream: &OwnedFd) {
    ioctl(stream, 0x5302, c"bufmod".as_ptr().cast());
    ioctl(stream, 0x4201, std::ptr::from_ref(&[1_i64, 0]).cast());
}

/// One that is bound, and nothing else.
fn bound() -> OwnedFd {
    let stream = open();
    bind(&stream);
    stream
}

fn adopted(stream: OwnedFd) -> Backend {
    Backend::new(Tap::from_fd(stream).unwrap())
}

fn refusal(stream: OwnedFd) -> AdoptError {
    let (number, flags) = (stream.as_raw_fd(), fcntl(&stream, FcntlArg::F_GETFL));
    let error = Tap::from_fd(stream).unwrap_err();
    assert_eq!((error.fd.as_raw_fd(), fcntl(&error.fd, FcntlArg::F_GETFL)), (number, flags));
    error
}

/// What was set on a stream, and how.
type Case = (&'static str, fn() -> OwnedFd);

/// Row link 21.
#[test]
fn a_bound_stream_is_adopted_whatever_was_set_on_it() {
    let streams: [Case; 6] = [
        ("bound", bound),
        ("raw, and each type", || {
            let stream = bound();
            ioctl(&stream, 0x4401, std::ptr::null());
            promiscuous(&stream, 2);
            stream
        }),
        ("everything, without its own", || {
            let stream = open();
            [1, 4].into_iter().for_each(|level| promiscuous(&stream, level));
            bind(&stream);
            stream
        }),
        ("as this crate leaves it", || attach(link()).as_fd().try_clone_to_owned().unwrap()),
        ("a module that cuts", || {
            let stream = open();
            push_bufmod(&stream);
            ioctl(&stream, 0x4208, std::ptr::from_ref(&6_u32).cast());
            ioctl(&stream, 0x4201, std::ptr::from_ref(&[0_i64; 2]).cast());
            ioctl(&stream, 0x4206, std::ptr::from_ref(&40_u32).cast());
            bind(&stream);
            stream
        }),
        ("a module that gathers", || {
            let stream = open();
            promiscuous(&stream, 2);
            bind(&stream);
            push_bufmod(&stream);
            stream
        }),
    ];
    for (what, stream) in streams {
        let machine = with_neighbour();
        let before = machine.snapshot();
        let backend = adopted(stream());
        assert_eq!((backend.tap().mtu().unwrap(), backend.tap().hardware_address().unwrap()), (1500, OWN));
        let kinds = [(OWN, IPV4), (EVERYBODY, [8, 6]), (GROUP, IPV4), (OWN, [0x86, 0xdd]), (GROUP, [0, 46])];
        for (to, kind) in kinds {
            let sent = frame(to, OTHER, kind, 60, 7);
            (0..3).for_each(|_| neighbour(&machine, &sent));
            assert_eq!(received(&backend), [&sent[..]; 3], "{what}: one a read");
        }
        for (len, goes) in [(13, false), (14, true), (1514, true), (1515, false)] {
            assert_eq!(send(&backend, &frame(EVERYBODY, OWN, IPV4, len, 0)).is_ok(), goes, "{what}: {len}");
        }
        assert_eq!(received(&backend), <[Vec<u8>; 0]>::default(), "{what}: its own come back");
        (0..200).for_each(|_| neighbour(&machine, &frame(OWN, OTHER, IPV4, 1514, 0)));
        assert_eq!(received(&backend).len(), 174, "{what}");
        assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0, "{what}");
        drop(backend);
        assert_eq!(machine.snapshot(), before, "{what}");
        assert_nothing_wrong(&machine);
    }
}

/// Row link 21.
#[test]
fn what_waited_in_another_form_is_never_shown_as_a_frame() {
    let mut sent = frame(OWN, OTHER, IPV4, 100, 0);
    // Its payload could be taken for a frame to the guest.
    sent[14..20].copy_from_slice(&OWN);
    // Payloads behind a DLPI header, also where the buffer is as it is to be.
    for buffered in [false, true] {
        let machine = with_neighbour();
        let stream = open();
        promiscuous(&stream, 2);
        if buffered {
            push_bufmod(&stream);
            ioctl(&stream, 0x4208, std::ptr::from_ref(&6_u32).cast());
            ioctl(&stream, 0x4204, std::ptr::from_ref(&65536_u32).cast());
            ioctl(&stream, 0x4201, std::ptr::from_ref(&[0_i64; 2]).cast());
        }
        bind(&stream);
        neighbour(&machine, &sent);
        let backend = adopted(stream);
        assert_eq!(
            calls_about(&machine, "I_POP", "bufmod").len() + calls_about(&machine, "I_PUSH", "bufmod").len(),
            1
        );
        neighbour(&machine, &sent);
        assert_eq!(received(&backend), std::slice::from_ref(&sent), "{buffered}");
    }
    // Frames that a module has gathered, behind headers of its own.
    let machine = with_neighbour();
    let stream = open();
    ioctl(&stream, 0x4401, std::ptr::null());
    promiscuous(&stream, 2);
    push_bufmod(&stream);
    bind(&stream);
    (0..100).for_each(|_| neighbour(&machine, &sent));
    let backend = adopted(stream);
    backend.set_promiscuous(true);
    assert_eq!(receive(&backend), None);
    neighbour(&machine, &sent);
    assert_eq!(received(&backend), [sent]);
}

/// Row link 21.
#[test]
fn a_stream_handed_on_keeps_the_frames_that_wait() {
    let machine = with_neighbour();
    let first = attach(link());
    let sent: Vec<_> = (0..9).map(|mark| frame(OWN, OTHER, IPV4, 100, mark)).collect();
    sent.iter().for_each(|frame| neighbour(&machine, frame));
    let backend = adopted(first.as_fd().try_clone_to_owned().unwrap());
    drop(first);
    assert_eq!(received(&backend), sent);
    assert_eq!(calls_about(&machine, "I_PUSH", "bufmod").len(), 1);
}

/// Row link 21.
#[test]
fn an_adopted_link_has_no_name_and_tells_nothing_by_itself() {
    let machine = with_neighbour();
    let backend = adopted(bound());
    let name = backend.tap().name().unwrap_err();
    assert_eq!(name.kind(), std::io::ErrorKind::Unsupported);
    assert!(name.to_string().contains("name") && backend.tap().index().is_err());
    assert!(backend.link_events().is_none());
    neighbour(&machine, &frame(OWN, OTHER, IPV4, 60, 0));
    assert_eq!(backend.take_link_events().unwrap(), None);
    assert_eq!(received(&backend).len(), 1, "a frame is no news");
    // What the administrator changes is seen when it is asked for.
    admin(&machine, |kernel| kernel.set_link_address("vnic0", FOREIGN));
    neighbour(&machine, &frame(FOREIGN, OTHER, IPV4, 60, 0));
    assert_eq!(receive(&backend), None);
    backend.refresh_mtu();
    neighbour(&machine, &frame(FOREIGN, OTHER, IPV4, 60, 0));
    assert_eq!(received(&backend).len(), 1);
    assert!(matches!(backend.tap().reattach(&link()), Err(AttachError::Unsupported { .. })));
    assert_eq!(machine.snapshot().descriptors.len(), 2, "{:?}", machine.snapshot().descriptors);
}

/// Row link 21.
#[test]
fn an_adopted_link_gives_its_descriptor_out_unless_an_address_depends_on_it() {
    let machine = with_neighbour();
    let stream = bound();
    let number = stream.as_raw_fd();
    let stream = Tap::from_fd(stream).unwrap().into_fd().unwrap();
    assert_eq!((stream.as_raw_fd(), machine.snapshot().descriptors.len()), (number, 1));
    let tap = Config::new().inherited(stream).hardware_address(NEW).guest_address(NEW).attach().unwrap();
    assert_eq!(address_of(&machine, "vnic0"), NEW);
    drop(tap.into_fd().expect_err("the address is to be put back"));
    assert_eq!(address_of(&machine, "vnic0"), OWN);
}

/// Row link 21.
#[test]
fn a_stream_that_cannot_carry_a_guests_frames_is_given_back() {
    let machine = with_neighbour();
    let unbound = refusal(open());
    assert!(unbound.found.contains("not bound") && unbound.found.contains("Config::datalink"), "{unbound}");
    drop(unbound);
    let error = Config::new().inherited(bound()).guest_address(NEW).attach().unwrap_err().to_string();
    assert!(error.contains("02:08:20:00:01:00"), "{error}");
    let steps: [(&'static str, Option<&'static str>); 7] = [
        ("putmsg", Some("DL_INFO_REQ")),
        ("putmsg", Some("DL_PHYS_ADDR_REQ")),
        ("putmsg", Some("DL_PROMISCON_REQ")),
        ("I_STR", Some("DLIOCRAW")),
        ("I_SRDOPT", None),
        ("I_LIST", None),
        ("I_FLUSH", None),
    ];
    for (operation, subject) in steps {
        let stream = bound();
        let hit = move |record: &Record| {
            record.is(operation) && subject.is_none_or(|subject| record.is_about(operation, subject))
        };
        machine.fail_nth(1, hit, Trouble::Errno(Errno::ENOSR), Moment::Before);
        let error = refusal(stream);
        machine.kernel(Kernel::clear_faults);
        assert_eq!(error.source.unwrap().raw_os_error(), host(Errno::ENOSR), "{subject:?}");
    }
    // Bound, it may have been attached by its driver's name.
    for (word, value, fits) in
        [(13, 0x501, true), (13, 0x502, false), (4, 9, false), (3, 6, false), (7, 2, false)]
    {
        let reply = Trouble::Reply(info_with(&[(6, 3), (word, value)]));
        machine.fail_nth(1, put("DL_INFO_REQ"), reply, Moment::Before);
        assert_eq!(Tap::from_fd(bound()).is_ok(), fits, "word {word}");
    }
    // A module that is not known here, and a driver that is none of a link's.
    let other = Trouble::Errno(Errno::EINVAL);
    machine.fail_nth(1, |record| record.is_about("I_STR", "DLIOCMARGININFO"), other, Moment::Before);
    assert_eq!(refusal(bound()).found, "a stream of the driver vnic");
    assert_eq!(machine.snapshot().descriptors.len(), 0);
}

/// Row link 21.
#[test]
fn an_adoption_that_fails_at_any_call_leaves_nothing() {
    let machine = with_neighbour();
    let stream = bound();
    let first = machine.calls();
    drop(Tap::from_fd(stream).unwrap());
    let trace = machine.trace().split_off(first);
    drop(machine);
    for record in &trace {
        for errno in [Errno::EINTR, Errno::EINVAL, Errno::ENOSR] {
            for moment in [Moment::Before, Moment::After] {
                let what = format!("{record} failing with {errno}, {moment:?}");
                let machine = with_neighbour();
                let before = machine.snapshot();
                let stream = bound();
                let number = stream.as_raw_fd();
                machine.fail_call(record.number, Trouble::Errno(errno), moment);
                match Tap::from_fd(stream) {
                    Ok(tap) => drop(tap),
                    Err(error) => assert_eq!(error.fd.as_raw_fd(), number, "{what}"),
                }
                assert_eq!(machine.snapshot(), before, "{what}");
                assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()), "{what}");
                assert_nothing_wrong(&machine);
            }
        }
    }
}

/// Row link 21.
#[test]
fn a_reader_leaves_an_answer_to_whoever_waits_for_it() {
    let machine = with_neighbour();
    let backend = adopted(bound());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = || (!done.load(Ordering::Relaxed)).then(|| receive(&backend));
            let meanwhile = std::iter::from_fn(read).flatten().count();
            meanwhile + received(&backend).len()
        });
        for mark in 0..=255 {
            neighbour(&machine, &frame(OWN, OTHER, IPV4, 60, mark));
            assert_eq!(backend.tap().mtu().unwrap(), 1500);
            assert_eq!(backend.tap().hardware_address().unwrap(), OWN);
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(reader.join().unwrap(), 256, "no frame is taken for an answer");
    });
    // A message that nobody waits for is taken away, and no frame with it.
    let fd = backend.as_fd().as_raw_fd();
    let message = Message::proto(MessageKind::Proto, vec![2; 900]);
    machine.kernel(|kernel| kernel.inject_message(fd, message)).unwrap();
    let sent = frame(OWN, OTHER, IPV4, 60, 0);
    neighbour(&machine, &sent);
    assert_eq!(received(&backend), [sent]);
    assert_eq!(backend.statistics().receive.io_error, 0);
}
