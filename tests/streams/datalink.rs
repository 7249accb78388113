//! Frames over an existing data link.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use streams_model::{Errno, Machine, Message, MessageKind, Moment, Trouble};

use crate::bench::{assert_nothing_wrong, attach, calls};
use crate::datalink_bench::*;
use crate::{Backend, ReceiveError, RejectReason, TransmitError};

/// What the kernel got to see.
fn writes(machine: &Machine) -> usize {
    calls(machine, "write").len() + calls(machine, "writev").len()
}

/// Row link 4.
#[test]
fn a_frame_of_any_length_is_sent_whole_or_refused_here() {
    let machine = with_neighbour();
    let backend = backend();
    for len in 0..=1514 + 5 {
        let sent = frame(OTHER, OWN, IPV4, len, 3);
        let before = writes(&machine);
        let outcome = send(&backend, &sent);
        let fits = (14..=1514).contains(&len);
        assert_eq!(writes(&machine) - before, usize::from(fits), "{len} bytes");
        match outcome {
            Ok(()) => {
                let mut padded = sent.clone();
                padded.resize(len.max(60), 0);
                assert_eq!(arrived(&machine), [padded], "{len} bytes");
            }
            Err(TransmitError::Runt { len: told, limit: 14 }) => assert_eq!((told, fits), (len, false)),
            Err(TransmitError::Oversize { len: told, limit: 1514 }) => assert_eq!((told, fits), (len, false)),
            other => panic!("{len} bytes: {other:?}"),
        }
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
    let counted = backend.statistics().transmit;
    assert_eq!((counted.runt, counted.oversize, counted.frames_sent), (14, 5, 1501));
    assert_nothing_wrong(&machine);
}

/// Row link 4.
#[test]
fn a_tagged_frame_is_sent_with_its_tag_or_refused_here() {
    let machine = with_neighbour();
    let backend = backend();
    for len in 14..=1518 + 5 {
        let sent = tagged(0x0005, len);
        let before = writes(&machine);
        let outcome = send(&backend, &sent);
        let fits = (18..=1518).contains(&len);
        assert_eq!((outcome.is_ok(), writes(&machine) - before), (fits, usize::from(fits)), "{len} bytes");
    }
    for (tag, goes) in [(0x0000, false), (0x1000, false), (0x2000, true), (0x0fff, true), (0xe001, true)] {
        let outcome = send(&backend, &tagged(tag, 100));
        let refused = matches!(outcome, Err(TransmitError::Rejected(RejectReason::VlanTag)));
        assert_eq!((outcome.is_ok(), refused), (goes, !goes), "tag {tag:#x}");
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
    assert_eq!(backend.statistics().rejected_for(RejectReason::VlanTag), 4 + 2);
    assert_nothing_wrong(&machine);
}

/// Row link 4.
#[test]
fn a_link_in_a_vlan_takes_a_priority_and_no_other_vlan() {
    let machine = alone();
    admin(&machine, |kernel| kernel.create_vnic("vnic5", "net0", OTHER, 5));
    let backend = Backend::new(attach(crate::Config::new().datalink("vnic5")));
    for (tag, goes) in [(0x0005, false), (0x2005, false), (0x0000, false), (0x2000, true)] {
        let outcome = send(&backend, &tagged(tag, 100));
        assert_eq!(outcome.is_ok(), goes, "tag {tag:#x}: {outcome:?}");
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
}

/// Row link 4.
#[test]
fn a_verbatim_frame_that_would_vanish_is_refused_here() {
    let machine = with_neighbour();
    let backend = backend();
    let verbatim = |bytes: &[u8]| backend.send_verbatim(&[IoSlice::new(bytes)]);
    for len in [0, 1, 13, 14, 15, 59, 1514, 1515, 1518, 1519] {
        let outcome = verbatim(&frame(OTHER, OWN, IPV4, len, 0));
        assert_eq!(outcome.is_ok(), (15..=1514).contains(&len), "{len} bytes: {outcome:?}");
    }
    for (tag, len, goes) in
        [(5, 17, false), (5, 18, false), (5, 19, true), (5, 1518, true), (5, 1519, false), (0, 100, false)]
    {
        let outcome = verbatim(&tagged(tag, len));
        assert_eq!(outcome.is_ok(), goes, "tag {tag}, {len} bytes: {outcome:?}");
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
    assert_nothing_wrong(&machine);
}

/// Row link 5.
#[test]
fn no_write_is_longer_than_a_message() {
    let machine = with_neighbour();
    let backend = backend();
    for len in [65536, 65537, 65550, 70000] {
        assert!(matches!(
            send(&backend, &frame(OTHER, OWN, IPV4, len, 0)),
            Err(TransmitError::Oversize { .. })
        ));
        let verbatim = backend.send_verbatim(&[IoSlice::new(&frame(OTHER, OWN, IPV4, len, 0))]);
        assert!(matches!(verbatim, Err(TransmitError::Oversize { .. })), "{verbatim:?}");
    }
    assert_eq!(writes(&machine), 0);
    assert_nothing_wrong(&machine);
}

/// Row link 5.
#[test]
fn no_write_is_longer_than_a_message_whatever_the_mtu() {
    let machine = with_neighbour();
    machine.plan_fault(streams_model::Fault {
        when: streams_model::When::Every(Box::new(put("DL_INFO_REQ"))),
        trouble: Trouble::Reply(info_with(&[(1, u32::MAX)])),
        moment: Moment::Before,
    });
    let backend = backend();
    for (len, goes) in [(65532, true), (65533, false), (65536, false)] {
        assert_eq!(send(&backend, &frame(OTHER, OWN, IPV4, len, 0)).is_ok(), goes, "{len} bytes");
    }
    for (len, goes) in [(65536, true), (65537, false)] {
        assert_eq!(send(&backend, &tagged(5, len)).is_ok(), goes, "{len} bytes with a tag");
    }
    assert_eq!(writes(&machine), 2);
    assert_nothing_wrong(&machine);
}

/// Row link 6.
#[test]
fn a_burst_waits_for_a_guest_that_does_not_read() {
    let machine = with_neighbour();
    let backend = backend();
    let burst = |count: u8| (0..count).map(|mark| frame(OWN, OTHER, IPV4, 1514, mark)).collect::<Vec<_>>();
    let sent = burst(200);
    sent.iter().for_each(|frame| neighbour(&machine, frame));
    let got = received(&backend);
    assert_eq!(got.len(), 174, "256 KiB and the last frame");
    assert_eq!(got, sent[..got.len()], "in order, one a read");
    assert_nothing_wrong(&machine);
}

/// Row link 6.
#[test]
fn without_bufmod_four_frames_wait() {
    let machine = with_neighbour();
    machine.fail_nth(1, |record| record.is("I_PUSH"), Trouble::Errno(Errno::EINVAL), Moment::Before);
    let backend = backend();
    let sent: Vec<_> = (0..200).map(|mark| frame(OWN, OTHER, IPV4, 1514, mark)).collect();
    sent.iter().for_each(|frame| neighbour(&machine, frame));
    assert_eq!(received(&backend), sent[..4]);
}

/// Row link 6.
#[test]
fn a_larger_buffer_keeps_more() {
    let machine = with_neighbour();
    let backend = Backend::new(attach(link().datalink_buffer(1024 * 1024)));
    (0..1000).for_each(|_| neighbour(&machine, &frame(OWN, OTHER, IPV4, 1514, 0)));
    assert_eq!(received(&backend).len(), 693);
}

/// Row link 7.
#[test]
fn what_is_sent_never_comes_back() {
    for boot in [alone, with_neighbour, over_etherstub] {
        let machine = boot();
        let backend = backend();
        for to in [EVERYBODY, GROUP, [1, 0x80, 0xc2, 0, 0, 0], OTHER, FOREIGN] {
            send(&backend, &frame(to, OWN, IPV4, 100, 0)).unwrap();
        }
        assert_eq!(received(&backend), <[Vec<u8>; 0]>::default());
        assert_nothing_wrong(&machine);
    }
}

/// Row link 8.
#[test]
fn each_kind_of_frame_comes_once() {
    let machine = with_neighbour();
    let backend = backend();
    let kinds = [
        frame(OWN, OTHER, IPV4, 100, 0),
        frame(EVERYBODY, OTHER, IPV4, 100, 1),
        frame(GROUP, OTHER, IPV4, 100, 2),
        frame(EVERYBODY, OTHER, [8, 6], 60, 3),
        frame([0x33, 0x33, 0, 0, 0, 1], OTHER, [0x86, 0xdd], 100, 4),
        frame(OWN, OTHER, [0x88, 0xb5], 60, 5),
        frame([1, 0x80, 0xc2, 0, 0, 0], OTHER, [0, 46], 60, 6),
    ];
    for sent in &kinds {
        neighbour(&machine, sent);
        assert_eq!(received(&backend), std::slice::from_ref(sent));
        wire(&machine, sent);
        assert_eq!(received(&backend), std::slice::from_ref(sent), "by the wire");
    }
    assert_nothing_wrong(&machine);
}

/// Row link 9.
#[test]
fn frames_for_others_are_dropped_and_counted_unless_the_guest_wants_them() {
    let machine = alone();
    let backend = backend();
    let (ours, theirs) = (frame(OWN, OTHER, IPV4, 100, 0), frame(FOREIGN, OTHER, IPV4, 100, 1));
    for sent in [&theirs, &ours, &theirs, &theirs] {
        wire(&machine, sent);
    }
    assert_eq!(received(&backend), std::slice::from_ref(&ours));
    let counted = backend.statistics().receive;
    assert_eq!((counted.foreign, counted.frames_received, counted.frames_delivered), (3, 4, 1));
    assert_eq!(counted.dropped(), 3);
    backend.set_promiscuous(true);
    wire(&machine, &theirs);
    assert_eq!(received(&backend), std::slice::from_ref(&theirs));
    backend.set_promiscuous(false);
    wire(&machine, &theirs);
    assert_eq!(received(&backend), <[Vec<u8>; 0]>::default());
    assert_nothing_wrong(&machine);
}

/// Row link 9.
#[test]
fn an_address_that_cannot_be_read_at_first_still_keeps_others_frames_away() {
    let machine = alone();
    let tap = attach(link());
    let (interrupted, every) = (Trouble::Errno(Errno::EINTR), Moment::Before);
    machine.fail_nth(1, |record| record.is_about("putmsg", "DL_PHYS_ADDR_REQ"), interrupted, every);
    let backend = Backend::new(tap);
    let (ours, theirs) = (frame(OWN, OTHER, IPV4, 100, 0), frame(FOREIGN, OTHER, IPV4, 100, 1));
    [&theirs, &ours].into_iter().for_each(|sent| wire(&machine, sent));
    assert_eq!(received(&backend), [ours]);
}

/// Row link 10.
#[test]
fn short_frames_come_as_they_are_sent_and_go_out_filled_up() {
    let machine = with_neighbour();
    let backend = backend();
    let short = frame(OWN, OTHER, IPV4, 15, 7);
    neighbour(&machine, &short);
    assert_eq!(receive(&backend).unwrap(), short);
    // A frame of 802.3 is cut to the length it tells.
    let mut bpdu = frame(OWN, OTHER, [0, 38], 60, 0);
    wire(&machine, &bpdu);
    bpdu.truncate(52);
    assert_eq!(receive(&backend).unwrap(), bpdu);
    // In slices, none of which is copied: the zeros are one more.
    let sent = frame(OTHER, OWN, IPV4, 42, 9);
    let slices = [&sent[..6], &sent[6..20], &[], &sent[20..]].map(IoSlice::new);
    backend.begin_transmit().unwrap().send(&crate::Frame::new(&slices)).unwrap();
    let [arrived] = arrived(&machine).try_into().unwrap();
    assert_eq!((&arrived[..42], &arrived[42..]), (&sent[..], &[0; 18][..]));
    assert_eq!(backend.statistics().transmit.bytes_sent, 42, "counted as the device offered it");
}

/// Row link 11.
#[test]
fn a_frame_beyond_the_buffer_is_never_cut_and_shown_as_whole() {
    let machine = over_etherstub();
    let backend = backend();
    let jumbo = frame(OWN, OTHER, IPV4, 9014, 0);
    neighbour(&machine, &jumbo);
    assert!(matches!(receive_into(&backend, 1514), Err(ReceiveError::Truncated { .. })));
    neighbour(&machine, &jumbo);
    assert_eq!(receive_into(&backend, 9014).unwrap(), Some(jumbo.clone()));
    // The neighbour's MTU is its own, so that more can come than this link would send.
    admin(&machine, |kernel| kernel.set_link_mtu("vnic0", 1500));
    backend.refresh_mtu();
    assert_eq!(backend.receive_buffer_len(), 1500 + 22 + 1);
    neighbour(&machine, &jumbo);
    let room = backend.receive_buffer_len();
    assert!(matches!(receive_into(&backend, room), Err(ReceiveError::Truncated { .. })));
    assert_eq!(backend.statistics().receive.truncated, 2);
    assert_eq!(received(&backend), <[Vec<u8>; 0]>::default());
}

/// Row link 12.
#[test]
fn nothing_queued_is_none_and_a_frame_wakes_a_poller() {
    let machine = with_neighbour();
    let backend = backend();
    assert_eq!(receive(&backend), None);
    let polled = || poll(&mut [PollFd::new(backend.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO);
    assert_eq!(polled(), Ok(0));
    neighbour(&machine, &frame(OWN, OTHER, IPV4, 60, 0));
    assert_eq!(polled(), Ok(1));
    machine.fail_nth(1, |record| record.is("read"), Trouble::Errno(Errno::EINTR), Moment::Before);
    assert_eq!(received(&backend).len(), 1, "a signal only delays");
}

/// Row link 12.
#[test]
fn a_message_of_the_driver_before_the_frames_is_taken_away() {
    let machine = with_neighbour();
    let backend = backend();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&backend.as_fd());
    let message = |len: usize| Message::proto(MessageKind::Proto, vec![2; len]);
    machine.kernel(|kernel| kernel.inject_message(fd, message(20))).unwrap();
    machine.kernel(|kernel| kernel.inject_message(fd, message(900))).unwrap();
    let sent = frame(OWN, OTHER, IPV4, 60, 0);
    neighbour(&machine, &sent);
    assert_eq!(received(&backend), std::slice::from_ref(&sent));
    // One that has gone meanwhile takes neither the place of a frame nor of nothing.
    let gone = Trouble::Errno(Errno::EBADMSG);
    machine.fail_nth(1, |record| record.is("read"), gone, Moment::Before);
    assert_eq!(receive(&backend), None);
    neighbour(&machine, &sent);
    machine.fail_nth(1, |record| record.is("read"), gone, Moment::Before);
    assert_eq!(received(&backend), [sent]);
    assert_eq!(backend.statistics().receive.io_error, 0);
}

/// Row link 14.
#[test]
fn flow_control_loses_no_frame_and_doubles_none() {
    let machine = with_neighbour();
    admin(&machine, |kernel| kernel.set_maxbw("vnic0", Some(2_000_000)));
    let backend = backend();
    let nth = |number: u32| {
        let mut sent = frame(OTHER, OWN, IPV4, 1514, 0);
        sent[14..18].copy_from_slice(&number.to_be_bytes());
        sent
    };
    let mut taken = 0;
    let stopped = loop {
        match send(&backend, &nth(taken)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 5000, "never full");
    };
    assert!(matches!(stopped, TransmitError::WouldBlock { sent: 0 }), "{stopped:?}");
    let writable = || poll(&mut [PollFd::new(backend.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO);
    assert_eq!(writable(), Ok(0));
    // Questions pass.
    assert_eq!(backend.tap().mtu().unwrap(), 1500);
    assert_eq!(backend.tap().hardware_address().unwrap(), OWN);
    machine.advance(Duration::from_secs(20));
    assert_eq!(writable(), Ok(1));
    send(&backend, &nth(taken)).unwrap();
    machine.advance(Duration::from_secs(20));
    let arrived = arrived(&machine);
    assert_eq!(arrived, (0..=taken).map(nth).collect::<Vec<_>>());
    assert_nothing_wrong(&machine);
}

/// Row link 17.
#[test]
fn who_sends_after_the_close_gets_no_frame_out() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let backend = backend();
    drop(backend);
    assert_eq!(machine.snapshot(), before);
    let unbinds = machine.trace().iter().filter(|record| record.is_about("putmsg", "DL_UNBIND_REQ")).count();
    assert_eq!(unbinds, 0, "it would end raw mode under a late writer");
}
