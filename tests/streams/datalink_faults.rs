//! One call of a data link's attach or detach fails with every errno it can have, before and after it took effect.
//! Nothing is left, the address is as it was, the link can be deleted, and the error names step, link and errno.
//!
//! Then anything that can happen to a data link does, in any order. What is sent arrives once and whole or is an error, and
//! the guest gets each frame for it once.

use streams_model::{Errno, Machine, Moment, Record, Trouble};

use crate::bench::{assert_nothing_wrong, assert_unchanged, errno_of, host, trace_text};
use crate::datalink_bench::*;
use crate::{AttachError, Backend, Config, Tap};

/// What streamio(4I), dlpi(4P), bufmod(4M), if_tcp(4P), open(2), poll(2), putmsg(2) and getmsg(2) give each call.
fn errnos(record: &Record) -> &'static [Errno] {
    match record.operation.as_str() {
        "open" => &[
            Errno::ENOENT,
            Errno::EACCES,
            Errno::EMFILE,
            Errno::ENXIO,
            Errno::EINTR,
            Errno::ENOSR,
            Errno::EAGAIN,
        ],
        "close" => &[Errno::EINTR, Errno::EIO],
        "I_PUSH" => &[Errno::EPERM, Errno::EINVAL, Errno::ENOMEM, Errno::ENXIO, Errno::EINTR],
        "I_STR" => &[Errno::EINVAL, Errno::ENXIO, Errno::ETIME, Errno::EINTR, Errno::ENOSR],
        "I_SRDOPT" => &[Errno::EINVAL],
        "SIOCGLIFFLAGS" => &[Errno::EPERM, Errno::EINTR],
        "putmsg" | "getmsg" => &[Errno::EAGAIN, Errno::ENOSR, Errno::EINTR, Errno::ENXIO, Errno::EBADMSG],
        "poll" => &[Errno::EAGAIN, Errno::EINTR],
        other => panic!("no errno is listed for {other:?}"),
    }
}

/// What a failure of this call costs.
#[derive(PartialEq)]
enum Cost {
    /// The attach.
    Attach,
    /// Nothing.
    Nothing,
}

fn cost(record: &Record, errno: Errno) -> Cost {
    let buffer = record.is_about("I_PUSH", "bufmod")
        || record.is("I_STR") && record.subject.as_deref().is_some_and(|name| name.starts_with("SBIOC"));
    let again = record.is("poll") && errno == Errno::EINTR;
    if record.is("close") || buffer || again { Cost::Nothing } else { Cost::Attach }
}

fn config() -> Config {
    link().hardware_address(NEW)
}

fn undisturbed() -> (Vec<Record>, usize) {
    let machine = with_neighbour();
    let tap = config().attach().unwrap();
    let attached = machine.calls();
    tap.detach().unwrap();
    (machine.trace(), attached)
}

fn every_fault(trace: &[Record]) -> impl Iterator<Item = (&Record, Errno, Moment)> {
    trace.iter().flat_map(|record| {
        let both = move |errno| {
            [Moment::Before, Moment::After].into_iter().map(move |moment| (record, errno, moment))
        };
        errnos(record).iter().copied().flat_map(both)
    })
}

fn assert_clean(machine: &Machine, before: &streams_model::Snapshot, what: &str) {
    assert_eq!(machine.snapshot(), *before, "{what}:\n{}", trace_text(machine));
    assert_unchanged(machine, before);
    assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()), "{what}");
}

/// Row link 2.
#[test]
fn every_call_of_the_attach_failing_leaves_nothing() {
    let (trace, attached) = undisturbed();
    let mut faults = 0;
    for (record, errno, moment) in every_fault(&trace[..attached]) {
        let what = format!("{record} failing with {errno}, {moment:?}");
        let machine = with_neighbour();
        let before = machine.snapshot();
        machine.fail_call(record.number, Trouble::Errno(errno), moment);
        match (config().attach(), cost(record, errno)) {
            (Ok(tap), Cost::Nothing) => tap.detach().expect(&what),
            (Err(error), Cost::Attach) => {
                let text = error.to_string();
                let named = text.contains("vnic0") || text.contains("/dev/udp");
                assert!(named, "{what}: {text}");
                assert_eq!(errno_of(error), host(errno), "{what}: {text}");
            }
            (outcome, _) => panic!("{what}: {outcome:?}"),
        }
        assert_clean(&machine, &before, &what);
        faults += 1;
    }
    println!("{faults} faults in the attach");
}

/// Row link 2.
#[test]
fn every_request_refused_leaves_nothing() {
    let (trace, attached) = undisturbed();
    let requests: Vec<_> = trace[..attached].iter().filter(|record| record.is("putmsg")).collect();
    let refusals = [(4, 16), (4, 48), (4, 5), (3, 0), (7, 0), (9, 0), (1, 0), (0, 13), (0x12, 13), (0x12, 0)];
    for record in &requests {
        for (error, unix) in refusals {
            let what = format!("{record} refused with {error:#x}, {unix}");
            let machine = with_neighbour();
            let before = machine.snapshot();
            machine.fail_call(record.number, Trouble::Refuse { error, unix }, Moment::Before);
            match config().attach() {
                // The first level is one that old systems lack.
                Ok(tap) => {
                    assert!(
                        (error, unix) == (0x12, 0) && record.is_about("putmsg", "DL_PROMISCON_REQ"),
                        "{what}"
                    );
                    drop(tap);
                }
                Err(found) => {
                    assert_eq!(matches!(found, AttachError::Busy { .. }), unix == 16, "{what}: {found:?}");
                    let text = found.to_string();
                    assert!(text.contains("DL_") && text.contains("vnic0"), "{what}: {text}");
                }
            }
            assert_clean(&machine, &before, &what);
        }
    }
}

/// Row link 16.
#[test]
fn every_call_of_the_detach_failing_once_still_puts_the_address_back() {
    let (trace, attached) = undisturbed();
    let mut faults = 0;
    for (record, errno, moment) in every_fault(&trace[attached..]) {
        let what = format!("{record} failing with {errno}, {moment:?}");
        let machine = with_neighbour();
        let before = machine.snapshot();
        let tap = config().attach().unwrap();
        machine.fail_call(record.number, Trouble::Errno(errno), moment);
        if let Err(error) = tap.detach() {
            panic!("{what}: {error}");
        }
        assert_clean(&machine, &before, &what);
        faults += 1;
    }
    println!("{faults} faults in the detach");
}

/// Row link 2.
#[test]
fn a_process_killed_at_any_call_leaves_the_link_free() {
    let (_, attached) = undisturbed();
    for number in 1..=attached {
        let machine = with_neighbour();
        let before = machine.snapshot();
        machine.kill_at(number);
        drop(std::thread::spawn(|| drop(link().attach())).join());
        assert_eq!(machine.snapshot(), before, "killed at {number}");
        assert_eq!(machine.kernel(|kernel| kernel.delete_link("vnic0")), Ok(()), "killed at {number}");
        assert_eq!(machine.take_failure(), None);
    }
}

const RUNS: u64 = 50;
const STEPS: usize = 60;

/// Numbers that look random: xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn length(&mut self, mtu: usize) -> usize {
        let near = [0, 13, 14, 17, 18, 59, 60, mtu + 13, mtu + 14, mtu + 15, mtu + 18, mtu + 19, 66000];
        if self.below(2) == 0 { self.one_of(&near) } else { self.below(mtu + 30) }
    }
}

/// What is so at the moment.
struct State {
    own: [u8; 6],
    mtu: usize,
    has_wire: bool,
    promiscuous: bool,
}

fn transmit(dice: &mut Dice, backend: &Backend, machine: &Machine, state: &State) {
    let (to, len) = (dice.one_of(&[OTHER, EVERYBODY]), dice.length(state.mtu));
    let mut sent = frame(to, state.own, IPV4, len, len as u8);
    // Neighbours get a tag that names a priority alone.
    let has_tag = len >= 18 && dice.below(3) == 0;
    if has_tag {
        sent[12..18].copy_from_slice(&[0x81, 0, dice.one_of(&[0x20, 0, 0x10]), 0, 8, 0]);
    }
    let verbatim = dice.below(4) == 0;
    // Nothing fills it up then.
    let shortest = if verbatim { 15 + 4 * usize::from(has_tag) } else { 14 };
    let fits = (shortest..=state.mtu + 14 + 4 * usize::from(has_tag)).contains(&len)
        && !(has_tag && sent[14] != 0x20);
    // What came by the wire for everybody.
    arrived(machine);
    let outcome = if verbatim {
        backend.send_verbatim(&[std::io::IoSlice::new(&sent)]).map(drop)
    } else {
        send(backend, &sent)
    };
    assert_eq!(outcome.is_ok(), fits, "{len} bytes, tag {has_tag}, MTU {}: {outcome:?}", state.mtu);
    sent.resize(if verbatim { len } else { len.max(60) }, 0);
    let arrived = arrived(machine);
    assert_eq!(arrived.len(), usize::from(fits), "{len} bytes, verbatim {verbatim}, to {to:x?}");
    assert!(arrived.iter().all(|frame| *frame == sent));
}

fn receive_one(dice: &mut Dice, backend: &Backend, machine: &Machine, state: &State) {
    let to = dice.one_of(&[state.own, FOREIGN, EVERYBODY, GROUP]);
    let (kind, len) = (dice.one_of(&[IPV4, [8, 6], [0x86, 0xdd], [0x88, 0xb5]]), 15 + dice.below(1500));
    let sent = frame(to, [2, 8, 0x20, 0, 9, 1], kind, len, len as u8);
    let by_wire = state.has_wire && dice.below(2) == 0;
    if by_wire {
        wire(machine, &sent)
    } else {
        neighbour(machine, &sent)
    }
    let got = received(backend);
    let for_guest = to == state.own || to[0] & 1 == 1;
    let expected = usize::from(for_guest || (state.promiscuous && !got.is_empty()));
    assert_eq!(got, vec![sent; expected], "to {to:x?}, by the wire {by_wire}");
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let has_wire = dice.below(2) == 0;
    let machine = if has_wire { with_neighbour() } else { over_etherstub() };
    let before = machine.snapshot();
    let config = link();
    let tap = config.attach().unwrap();
    let backend = Backend::new(if dice.below(3) == 0 {
        let copy = std::os::fd::AsFd::as_fd(&tap).try_clone_to_owned().unwrap();
        drop(tap);
        Tap::from_fd(copy).unwrap()
    } else {
        tap
    });
    let mut state = State { own: OWN, mtu: if has_wire { 1500 } else { 9000 }, has_wire, promiscuous: false };
    for _ in 0..STEPS {
        match dice.below(10) {
            0..4 => transmit(&mut dice, &backend, &machine, &state),
            4..8 => receive_one(&mut dice, &backend, &machine, &state),
            8 => {
                let operation = dice.one_of(&["read", "readv", "write", "writev"]);
                let fault = Trouble::Errno(Errno::EINTR);
                machine.fail_nth(1, move |record| record.is(operation), fault, Moment::Before);
            }
            _ if !has_wire && dice.below(2) == 0 => {
                state.mtu = dice.one_of(&[1280, 1500, 9000]);
                admin(&machine, |kernel| kernel.set_link_mtu("vnic0", state.mtu as u32));
            }
            _ => {
                state.promiscuous = dice.below(2) == 0;
                backend.set_promiscuous(state.promiscuous);
                let wanted = dice.one_of(&[OWN, NEW]);
                if backend.tap().set_hardware_address(wanted).is_ok() {
                    state.own = wanted;
                }
            }
        }
        backend.take_link_events().unwrap();
        backend.refresh_mtu();
    }
    assert_eq!(machine.kernel(|kernel| kernel.traffic().dropped_writes), 0, "seed {seed}");
    drop(backend);
    if !has_wire {
        admin(&machine, |kernel| kernel.set_link_mtu("vnic0", 9000));
    }
    assert_eq!(machine.snapshot(), before, "seed {seed}");
    assert_nothing_wrong(&machine);
}

/// Rows link 4, link 8, link 9.
#[test]
fn whatever_happens_frames_are_whole_once_or_errors() {
    (1..=RUNS).for_each(run);
}
