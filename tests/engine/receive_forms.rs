//! The same frames, errors and counts come of every form of the call, whatever the shape of the room, and whether its time
//! is measured or not.

// UNSAFETY: the raw forms are tested beside the others.
#![expect(unsafe_code, reason = "the raw form of receive")]

use std::io::IoSliceMut;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{
    Backend, Checksum, Config, Offload, RawSlice, ReceiveError, ReceiveStatistics, Received, TransmitError,
};

use crate::pair;
use crate::segments::oversized;

/// As many bytes as no frame has.
const SPARE: usize = 66_000;
const HEADER: usize = 12;
/// Slices of the room: on either side of every length of list that is told apart.
const PARTS: [usize; 8] = [1, 2, 4, 5, 17, 18, 19, 40];

/// How the host's frame is asked for.
#[derive(Clone, Copy, Debug)]
enum Form {
    Slices,
    Raw,
    SlicesWithHeader,
    RawWithHeader,
}

fn backend(offload: Offload, measured: bool) -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(offload).attach().unwrap();
    let backend = Backend::new(tap);
    backend.measure_time(measured);
    (Arc::new(backend), host)
}

/// Cuts `memory` into `parts`, the last of which has what is left.
fn cut(memory: &mut [u8], parts: usize) -> Vec<&mut [u8]> {
    let size = memory.len().div_ceil(parts);
    memory.chunks_mut(size).collect()
}

/// What a call came to, in words for an error, and the room behind it.
type Outcome = (Result<Option<(usize, String)>, String>, Vec<u8>);

fn ask(backend: &Backend, form: Form, room: usize, parts: usize) -> Outcome {
    let mut memory = vec![0xee; room];
    let mut slices = cut(&mut memory, parts);
    let raw: Vec<_> = slices.iter_mut().map(|slice| RawSlice::new(slice.as_mut_ptr(), slice.len())).collect();
    let mut borrowed: Vec<_> = slices.into_iter().map(IoSliceMut::new).collect();
    let told = |received: Received| (received.len, format!("{:?} {:?}", received.gso, received.checksum));
    let result = match form {
        Form::Slices => backend.receive(&mut borrowed).map(|taken| taken.map(told)),
        // SAFETY: the slices are `memory`, which lives until the end; `borrowed` is not used any more.
        Form::Raw => unsafe { backend.receive_raw(&raw) }.map(|taken| taken.map(told)),
        Form::SlicesWithHeader => {
            let taken = backend.receive_with_header(&mut borrowed);
            taken.map(|taken| taken.map(|len| (len, String::new())))
        }
        Form::RawWithHeader => {
            // SAFETY: as above.
            let taken = unsafe { backend.receive_raw_with_header(&raw) };
            taken.map(|taken| taken.map(|len| (len, String::new())))
        }
    };
    (result.map_err(|error| error.to_string()), memory)
}

/// What comes of one frame of `len` bytes, and of an empty queue after it.
fn outcomes(
    (form, offload): (Form, Offload),
    measured: bool,
    frame: &[u8],
    room: usize,
    parts: usize,
) -> ([Outcome; 2], ReceiveStatistics) {
    let (backend, host) = backend(offload, measured);
    host.send(frame).unwrap();
    pair::wait_readable(&backend);
    let outcomes = [(); 2].map(|()| ask(&backend, form, room, parts));
    pair::assert_adds_up(&backend);
    (outcomes, backend.statistics().receive)
}

const PLAIN: [(Form, Offload); 2] = [(Form::Slices, Offload::NONE), (Form::Raw, Offload::NONE)];
const BEHIND_HEADER: [(Form, Offload); 4] = [
    (Form::Slices, Offload::ALL),
    (Form::Raw, Offload::ALL),
    (Form::SlicesWithHeader, Offload::ALL),
    (Form::RawWithHeader, Offload::ALL),
];

/// What lies in the room once `sent` was taken: all of it, or what follows the header.
fn expected(form: Form, offload: Offload, sent: &[u8]) -> Vec<u8> {
    match form {
        Form::Slices | Form::Raw if offload != Offload::NONE => sent[HEADER..].to_vec(),
        Form::Slices | Form::Raw => sent.to_vec(),
        // The header counts one buffer.
        _ => [&sent[..10], &[1, 0], &sent[HEADER..]].concat(),
    }
}

/// Asks in every form, with and without the clock, into `rooms` cut into few parts and many.
fn compare(forms: &[(Form, Offload)], sent: &[u8], rooms: &[usize]) {
    // With a slice for the header and one for the spare byte.
    let most = pair::most_slices() - 2;
    let parts = PARTS.into_iter().filter(|parts| *parts <= most);
    for (room, parts) in rooms.iter().flat_map(|room| parts.clone().map(|parts| (*room, parts))) {
        let outcomes: Vec<_> =
            forms.iter().map(|form| with_and_without_clock(*form, sent, room, parts)).collect();
        // The raw form follows the other.
        for (pair, forms) in outcomes.chunks(2).zip(forms.chunks(2)) {
            assert!(pair[0] == pair[1], "{forms:?}, {} bytes into {room} in {parts}", sent.len());
        }
    }
}

fn with_and_without_clock(
    (form, offload): (Form, Offload),
    sent: &[u8],
    room: usize,
    parts: usize,
) -> [Outcome; 2] {
    let case = format!("{form:?} {offload:?}, {} bytes into {room} in {parts}", sent.len());
    let [one, other] = [false, true].map(|measured| outcomes((form, offload), measured, sent, room, parts));
    assert!(one == other, "{case}:\n{:?}\n{:?}", one.0[0].0, other.0[0].0);
    let (outcomes, counted) = one;
    assert_eq!(counted.frames_received, 1, "{case}");
    if let (Ok(Some((len, _))), memory) = &outcomes[0] {
        assert!(memory[..*len] == expected(form, offload, sent), "{case}: what was delivered");
    }
    outcomes
}

/// Around what `sent` needs with and without its header, and more than any frame needs.
fn around(sent: &[u8]) -> [usize; 5] {
    let behind = sent.len().saturating_sub(HEADER);
    [behind.saturating_sub(1).max(1), behind.max(1), sent.len() - 1, sent.len(), SPARE]
}

#[test]
fn a_plain_frame_is_judged_alike_in_every_form() {
    for len in [13, 14, 60, 1514, 9000, 65_000] {
        let sent = vec![7; len];
        compare(&PLAIN, &sent, &around(&sent));
    }
}

#[test]
fn a_header_is_read_alike_in_every_form() {
    for header in [[0; HEADER], [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        for len in [0, 13, 14, 60, 1514] {
            let sent = [&header[..], &pair::frame(60.max(len), 7)[..len]].concat();
            compare(&BEHIND_HEADER, &sent, &around(&sent));
        }
    }
}

#[test]
fn an_oversized_frame_is_described_alike_in_every_form() {
    let sent = [&[1, 1, 0xff, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0][..], &oversized().0].concat();
    compare(&BEHIND_HEADER, &sent, &around(&sent));
    let [(result, _), _] = with_and_without_clock(BEHIND_HEADER[1], &sent, SPARE, 5);
    let (len, told) = result.unwrap().expect("a frame");
    assert!(len == sent.len() - HEADER && told.contains("segment_size: 1000"), "{told}");
}

#[test]
fn as_many_slices_as_a_call_takes_and_no_more() {
    for (form, offload) in PLAIN.into_iter().chain(BEHIND_HEADER) {
        let ends = usize::from(offload != Offload::NONE && matches!(form, Form::Slices | Form::Raw));
        // With a byte to spare in the slices, and with one behind them.
        let all = pair::most_slices();
        // Slices so long that the room has bytes to spare, and so short that it has none.
        for (slice, most) in [(66_000 / (all - 2) + 70, all - ends), (20, all - 1 - ends)] {
            for (parts, fits) in [(most, true), (most + 1, false)] {
                let (backend, host) = backend(offload, false);
                host.send(&[0; 100]).unwrap();
                pair::wait_readable(&backend);
                let (result, _) = ask(&backend, form, parts * slice, parts);
                let right = match &result {
                    Ok(_) => fits,
                    // It names the crate's own slices, too.
                    Err(error) => {
                        !fits && *error == format!("{} slices exceed the host's limit of {all}", all + 1)
                    }
                };
                assert!(right, "{form:?} {offload:?}, {parts} slices: {result:?}");
            }
        }
    }
}

#[test]
fn a_frame_that_fills_the_room_is_told_from_a_longer_one() {
    let largest = pair::backend().0.receive_buffer_len() - 1;
    for len in [largest, SPARE, SPARE + 100].into_iter().filter(|len| pair::can_carry(HEADER + len)) {
        let sent = vec![0; len];
        compare(&PLAIN, &sent, &[largest, largest + 1, SPARE]);
        let sent = vec![0; HEADER + len];
        compare(
            &BEHIND_HEADER,
            &sent,
            &[largest, largest + 1, HEADER + largest, HEADER + largest + 1, SPARE],
        );
    }
}

#[test]
fn time_is_measured_while_that_is_asked_for() {
    for measured in [false, true] {
        let (backend, host) = backend(Offload::NONE, measured);
        host.send(&pair::frame(60, 1)).unwrap();
        pair::wait_readable(&backend);
        let (result, memory) = ask(&backend, Form::Slices, SPARE, 1);
        assert_eq!(result.unwrap().expect("a frame").0, 60);
        assert_eq!(memory[..60], pair::frame(60, 1));
        assert_eq!(backend.statistics().receive_time.is_zero(), !measured);
    }
}

#[test]
fn a_room_of_any_stated_length_is_no_panic() {
    for offload in [Offload::NONE, Offload::with_header(12).unwrap()] {
        let (backend, _host) = backend(offload, false);
        let mut memory = [0_u8; 16];
        let slice = RawSlice::new(memory.as_mut_ptr(), usize::MAX);
        // SAFETY: nothing is queued, so that nothing is written.
        let result = unsafe { backend.receive_raw(&[slice, slice]) };
        assert!(!matches!(result, Ok(Some(_))), "{result:?}");
    }
}

#[test]
fn an_empty_slice_anywhere_is_no_harm() {
    for address in [0, 1, 0x1234_5678, usize::MAX - 100] {
        let (backend, host) = backend(Offload::NONE, false);
        let mut memory = vec![7_u8; 2000];
        let nowhere = RawSlice::new(std::ptr::without_provenance_mut(address), 0);
        let room = [nowhere, RawSlice::new(memory.as_mut_ptr(), memory.len())];
        // SAFETY: the second slice is `memory`; the first one is empty.
        let sent = unsafe { backend.begin_transmit().unwrap().send_raw(&room, None, Checksum::Complete) };
        host.send(&pair::frame(60, 1)).unwrap();
        pair::wait_readable(&backend);
        // SAFETY: as above.
        let received = unsafe { backend.receive_raw(&room) };
        // Linux refuses an address that no process can have, whatever the length.
        let may_refuse = address > usize::MAX / 2;
        let send_refused = may_refuse && matches!(sent, Err(TransmitError::Io { .. }));
        let receive_refused = may_refuse && matches!(received, Err(ReceiveError::Io { .. }));
        assert!(sent.is_ok() || send_refused, "{address:#x} {sent:?}");
        assert!(matches!(received, Ok(Some(_))) || receive_refused, "{address:#x} {received:?}");
        pair::assert_adds_up(&backend);
    }
}
