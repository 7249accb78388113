//! What happens to a data link while it is attached. Its address is the guest's then, and the administrator's before and
//! after.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use streams_model::{Errno, Fault, Machine, Moment, Record, Trouble, When};

use crate::bench::{assert_nothing_wrong, assert_unchanged, attach, calls_about, errno_of, refused};
use crate::datalink_bench::*;
use crate::{Backend, Checksum, Frontend, LinkState, Refused, Tap, Threads, TransmitError, Wait};

fn told(backend: &Backend) -> bool {
    let events = backend.link_events().expect("a link tells");
    poll(&mut [PollFd::new(events, PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
}

/// Row link 13.
#[test]
fn what_changes_is_told_to_a_loop_of_ones_own() {
    let machine = alone();
    let backend = backend();
    assert!(told(&backend));
    assert_eq!(backend.take_link_events().unwrap(), Some(LinkState::Up), "the state at the start");
    assert!(!told(&backend));
    assert_eq!(backend.take_link_events().unwrap(), None);
    for (up, state) in [(false, LinkState::Down), (true, LinkState::Up)] {
        admin(&machine, |kernel| kernel.set_carrier("net0", up));
        assert!(told(&backend));
        assert_eq!(backend.take_link_events().unwrap(), Some(state));
    }
    // The last word counts, and a signal only delays.
    for states in [[false, true], [true, false], [false, true]] {
        states.into_iter().for_each(|up| admin(&machine, |kernel| kernel.set_carrier("net0", up)));
        machine.fail_nth(1, |record| record.is("getmsg"), Trouble::Errno(Errno::EINTR), Moment::Before);
        let state = if states[1] { LinkState::Up } else { LinkState::Down };
        assert_eq!(backend.take_link_events().unwrap(), Some(state), "{states:?}");
    }
    // None of it lies among the frames.
    let ready = poll(&mut [PollFd::new(backend.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO);
    assert_eq!((ready, receive(&backend)), (Ok(0), None));
    // The administrator gives the link another address: the guest's frames are those for it.
    admin(&machine, |kernel| kernel.set_link_address("vnic0", OTHER));
    assert!(told(&backend));
    assert_eq!(backend.take_link_events().unwrap(), None);
    wire(&machine, &frame(OTHER, FOREIGN, IPV4, 60, 0));
    wire(&machine, &frame(OWN, FOREIGN, IPV4, 60, 1));
    assert_eq!(received(&backend), [frame(OTHER, FOREIGN, IPV4, 60, 0)]);
    assert_nothing_wrong(&machine);
}

/// Row link 13.
#[test]
fn lengths_follow_the_mtu() {
    let machine = over_etherstub();
    let backend = backend();
    let longest = |mtu: usize| mtu + 14;
    for mtu in [1500, 576, 9000] {
        admin(&machine, |kernel| kernel.set_link_mtu("vnic0", mtu as u32));
        assert!(told(&backend));
        backend.take_link_events().unwrap();
        assert_eq!(backend.tap().mtu().unwrap() as usize, mtu);
        assert_eq!(backend.receive_buffer_len(), mtu + 22 + 1);
        let send_of = |len| send(&backend, &frame(OTHER, OWN, IPV4, len, 0));
        send_of(longest(mtu)).unwrap();
        let refused = send_of(longest(mtu) + 1);
        assert!(matches!(refused, Err(TransmitError::Oversize { limit, .. }) if limit == longest(mtu)));
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0);
    assert_nothing_wrong(&machine);
}

/// Row link 13.
#[test]
fn an_mtu_that_cannot_be_read_is_the_last_one_that_could() {
    let machine = over_etherstub();
    let backend = backend();
    admin(&machine, |kernel| kernel.set_link_mtu("vnic0", 1500));
    backend.refresh_mtu();
    machine.plan_fault(Fault {
        when: When::Every(Box::new(put("DL_INFO_REQ"))),
        trouble: Trouble::Errno(Errno::EINTR),
        moment: Moment::Before,
    });
    backend.refresh_mtu();
    let refused = send(&backend, &frame(OTHER, OWN, IPV4, 1515, 0));
    assert!(matches!(refused, Err(TransmitError::Oversize { limit: 1514, .. })), "{refused:?}");
    send(&backend, &frame(OTHER, OWN, IPV4, 1514, 0)).unwrap();
}

struct Device(Sender<LinkState>, Sender<Vec<u8>>);

impl Frontend for Device {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        Wait::Available
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, frame: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        let bytes = frame.iter().flat_map(|slice| slice.to_vec()).collect();
        self.1.send(bytes).map_err(|_| Refused)
    }

    fn carrier_changed(&self, state: LinkState) {
        let _ = self.0.send(state);
    }
}

/// Hangs up the stream of what is told, or the frames' own.
fn hang_up(machine: &Machine, stream: impl AsRawFd) {
    machine.kernel(|kernel| kernel.hang_up(stream.as_raw_fd())).unwrap();
}

/// Row link 13.
#[test]
fn the_end_of_what_is_told_is_an_error() {
    let machine = alone();
    let backend = backend();
    hang_up(&machine, backend.link_events().unwrap());
    // What was told before is taken first.
    assert!(backend.take_link_events().is_err() || backend.take_link_events().is_err());
    let error = backend.tap().hardware_address().unwrap_err().to_string();
    assert!(backend.tap().mtu().is_err() && error.contains("DL_PHYS_ADDR_REQ"), "{error}");
    // The guest's address is still the one that there was.
    backend.refresh_mtu();
    wire(&machine, &frame(OTHER, FOREIGN, IPV4, 60, 0));
    wire(&machine, &frame(OWN, FOREIGN, IPV4, 60, 1));
    assert_eq!(received(&backend), [frame(OWN, FOREIGN, IPV4, 60, 1)]);
}

/// Row link 13.
#[test]
fn the_end_of_a_stream_takes_no_processor() {
    for frames_stream in [false, true] {
        let machine = alone();
        let (carrier, _states) = channel();
        let (taken, _frames) = channel();
        let backend = Arc::new(backend());
        let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Device(carrier, taken))).unwrap();
        if frames_stream {
            hang_up(&machine, backend.as_fd());
        } else {
            hang_up(&machine, backend.link_events().unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
        let before = backend.statistics().receive.wakeups;
        std::thread::sleep(Duration::from_millis(500));
        let turns = backend.statistics().receive.wakeups - before;
        assert!(turns <= 12, "{turns} turns in half a second");
        threads.stop().unwrap();
    }
}

/// Row link 13.
#[test]
fn what_changes_is_told_by_the_threads() {
    const PATIENCE: Duration = Duration::from_secs(5);
    let machine = alone();
    let (carrier, states) = channel();
    let (taken, frames) = channel();
    let backend = Arc::new(backend());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Device(carrier, taken))).unwrap();
    assert_eq!(states.recv_timeout(PATIENCE), Ok(LinkState::Up));
    for (up, state) in [(false, LinkState::Down), (true, LinkState::Up)] {
        admin(&machine, |kernel| kernel.set_carrier("net0", up));
        assert_eq!(states.recv_timeout(PATIENCE), Ok(state));
    }
    // Also behind an answer that came when nobody waited for it any more.
    machine.fail_nth(1, put("DL_PHYS_ADDR_REQ"), Trouble::Errno(Errno::EINTR), Moment::After);
    assert!(backend.tap().hardware_address().is_err());
    for (up, state) in [(false, LinkState::Down), (true, LinkState::Up)] {
        admin(&machine, |kernel| kernel.set_carrier("net0", up));
        assert_eq!(states.recv_timeout(PATIENCE), Ok(state));
    }
    // Also while the guest's own link is down, and nobody reads frames.
    backend.set_link_state(LinkState::Down);
    admin(&machine, |kernel| kernel.set_carrier("net0", false));
    assert_eq!(states.recv_timeout(PATIENCE), Ok(LinkState::Down));
    backend.set_link_state(LinkState::Up);
    let sent = frame(OWN, FOREIGN, IPV4, 60, 0);
    wire(&machine, &sent);
    assert_eq!(frames.recv_timeout(PATIENCE), Ok(sent));
    threads.stop().unwrap();
    let before = backend.statistics().receive.wakeups;
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(backend.statistics().receive.wakeups, before);
    assert_nothing_wrong(&machine);
}

fn with_address(machine: &Machine) -> Tap {
    let tap = attach(link().hardware_address(NEW).guest_address(NEW));
    assert_eq!((tap.hardware_address().unwrap(), address_of(machine, "vnic0")), (NEW, NEW));
    tap
}

/// Row link 16.
#[test]
fn an_address_that_was_set_is_put_back() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    with_address(&machine).detach().unwrap();
    assert_unchanged(&machine, &before);
    drop(with_address(&machine));
    assert_unchanged(&machine, &before);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _tap = with_address(&machine);
        std::panic::resume_unwind(Box::new("the guest's device panics"));
    }));
    assert!(panicked.is_err());
    assert_unchanged(&machine, &before);
    // Twice, and the first one comes back.
    let tap = with_address(&machine);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap();
    drop(tap);
    assert_unchanged(&machine, &before);
    // The administrator's word is the last.
    let tap = with_address(&machine);
    admin(&machine, |kernel| kernel.set_link_address("vnic0", FOREIGN));
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), FOREIGN);
    // Also where another one of ours comes after it.
    let tap = with_address(&machine);
    admin(&machine, |kernel| kernel.set_link_address("vnic0", OWN));
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap();
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), OWN);
}

/// Row link 16.
#[test]
fn a_second_address_that_is_refused_costs_the_first_nothing() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = with_address(&machine);
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap_err();
    assert_eq!(address_of(&machine, "vnic0"), NEW);
    drop(tap);
    assert_unchanged(&machine, &before);
}

/// Row link 16.
#[test]
fn an_address_in_doubt_is_still_ours() {
    let machine = with_neighbour();
    let before = machine.snapshot();
    let tap = with_address(&machine);
    // Nobody can say whether the second one was set; it was not. The first one is no administrator's all the same.
    let interrupted = Trouble::Errno(Errno::EINTR);
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), interrupted, Moment::Before);
    machine.fail_nth(3, put("DL_PHYS_ADDR_REQ"), interrupted, Moment::Before);
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 8]).unwrap_err();
    tap.set_hardware_address([2, 8, 0x20, 0, 1, 9]).unwrap();
    drop(tap);
    assert_unchanged(&machine, &before);
}

/// Row link 16.
#[test]
fn an_address_is_set_only_where_it_is_another_and_a_stations() {
    let machine = with_neighbour();
    let tap = attach(link().hardware_address(OWN));
    for address in [[0; 6], GROUP, EVERYBODY] {
        tap.set_hardware_address(address).unwrap_err();
    }
    assert_eq!(tap.hardware_address().unwrap(), OWN);
    drop(tap);
    assert_eq!(calls_about(&machine, "putmsg", "DL_SET_PHYS_ADDR_REQ"), []);
}

/// Row link 16.
#[test]
fn an_address_that_was_refused_is_the_administrators_to_set() {
    let machine = with_neighbour();
    let tap = attach(link());
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    tap.set_hardware_address(NEW).unwrap_err();
    admin(&machine, |kernel| kernel.set_link_address("vnic0", NEW));
    drop(tap);
    assert_eq!(address_of(&machine, "vnic0"), NEW);
}

/// Row link 16.
#[test]
fn an_address_that_cannot_be_told_is_no_secret() {
    let machine = with_neighbour();
    let error = refused(&machine, link().hardware_address(OTHER));
    assert_eq!(errno_of(error), Some(48), "the system's ENOTSUP");
    let error = refused(&machine, link().guest_address(NEW)).to_string();
    assert!(error.contains("02:08:20:00:01:00") && error.contains("hardware_address"), "{error}");
    drop(attach(link().guest_address(OWN)));
    let protected = Trouble::Refuse { error: 0, unix: Errno::EACCES.0.cast_unsigned() };
    machine.fail_nth(1, put("DL_SET_PHYS_ADDR_REQ"), protected, Moment::Before);
    let error = refused(&machine, link().hardware_address(NEW)).to_string();
    assert!(error.contains("mac-nospoof"), "{error}");
}

/// Row link 16.
#[test]
fn a_detach_that_cannot_put_it_back_says_so() {
    let machine = with_neighbour();
    let tap = with_address(&machine);
    let number = machine.calls();
    let refuse = Trouble::Errno(Errno::ENOSR);
    let setting =
        move |record: &Record| record.number > number && record.is_about("putmsg", "DL_SET_PHYS_ADDR_REQ");
    machine.plan_fault(Fault {
        when: When::Every(Box::new(setting)),
        trouble: refuse,
        moment: Moment::Before,
    });
    let error = tap.detach().unwrap_err().to_string();
    assert!(error.contains("DL_SET_PHYS_ADDR_REQ") && error.contains("vnic0"), "{error}");
}
