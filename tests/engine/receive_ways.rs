//! The straight way of a frame to the guest and the general way: the same frames, errors and counts come of both,
//! whatever the form of the call and the shape of the room.
//!
//! Measuring the time of each call is unusual, so that it makes every frame take the general way.

// UNSAFETY: the raw forms are tested beside the others.
#![expect(unsafe_code, reason = "the raw form of receive")]

use std::io::IoSliceMut;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{Backend, Config, Offload, RawSlice, ReceiveStatistics, Received};

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

/// A backend that takes the general way, or the straight one as far as it leads.
fn backend(offload: Offload, general: bool) -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let tap = Config::new().inherited(ours.into()).offload(offload).attach().unwrap();
    let backend = Backend::new(tap);
    backend.measure_time(general);
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
    general: bool,
    frame: &[u8],
    room: usize,
    parts: usize,
) -> ([Outcome; 2], ReceiveStatistics) {
    let (backend, host) = backend(offload, general);
    host.send(frame).unwrap();
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

/// Asks in every form, both ways, into `rooms` cut into few parts and many.
fn compare(forms: &[(Form, Offload)], sent: &[u8], rooms: &[usize]) {
    for (room, parts) in rooms.iter().flat_map(|room| PARTS.map(|parts| (*room, parts))) {
        let outcomes: Vec<_> = forms.iter().map(|form| both_ways(*form, sent, room, parts)).collect();
        // The raw form follows the other.
        for (pair, forms) in outcomes.chunks(2).zip(forms.chunks(2)) {
            assert!(pair[0] == pair[1], "{forms:?}, {} bytes into {room} in {parts}", sent.len());
        }
    }
}

fn both_ways((form, offload): (Form, Offload), sent: &[u8], room: usize, parts: usize) -> [Outcome; 2] {
    let case = format!("{form:?} {offload:?}, {} bytes into {room} in {parts}", sent.len());
    let [straight, general] =
        [false, true].map(|general| outcomes((form, offload), general, sent, room, parts));
    assert!(straight == general, "{case}:\n{:?}\n{:?}", straight.0[0].0, general.0[0].0);
    let (outcomes, counted) = straight;
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
fn b13_s8_both_ways_judge_a_plain_frame_alike() {
    for len in [13, 14, 60, 1514, 9000, 65_000] {
        let sent = vec![7; len];
        compare(&PLAIN, &sent, &around(&sent));
    }
}

#[test]
fn b16_both_ways_read_the_header_alike() {
    for header in [[0; HEADER], [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        for len in [0, 13, 14, 60, 1514] {
            let sent = [&header[..], &pair::frame(60.max(len), 7)[..len]].concat();
            compare(&BEHIND_HEADER, &sent, &around(&sent));
        }
    }
}

#[test]
fn b16_an_oversized_frame_is_described_alike() {
    let sent = [&[1, 1, 0xff, 0, 0xe8, 3, 34, 0, 16, 0, 1, 0][..], &oversized().0].concat();
    compare(&BEHIND_HEADER, &sent, &around(&sent));
    let [(result, _), _] = both_ways(BEHIND_HEADER[1], &sent, SPARE, 5);
    let (len, told) = result.unwrap().expect("a frame");
    assert!(len == sent.len() - HEADER && told.contains("segment_size: 1000"), "{told}");
}

#[test]
fn as_many_slices_as_a_call_takes_and_no_more() {
    for (form, offload) in PLAIN.into_iter().chain(BEHIND_HEADER) {
        let ends = usize::from(offload != Offload::NONE && matches!(form, Form::Slices | Form::Raw));
        // With a byte to spare in the slices, and with one behind them.
        for (room, most) in [(1024 * 70, 1024 - ends), (1024 * 20, 1023 - ends)] {
            for (parts, fits) in [(most, true), (most + 1, false)] {
                let (backend, host) = backend(offload, false);
                host.send(&[0; 100]).unwrap();
                let (result, _) = ask(&backend, form, parts * (room / 1024), parts);
                assert_eq!(result.is_ok(), fits, "{form:?} {offload:?}, {parts} slices: {result:?}");
            }
        }
    }
}

#[test]
fn b13_s8_both_ways_tell_a_frame_that_fills_the_room_from_a_longer_one() {
    let largest = pair::backend().0.receive_buffer_len() - 1;
    for len in [largest, SPARE, SPARE + 100] {
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
fn the_straight_way_is_taken_only_while_nothing_is_measured() {
    for general in [false, true] {
        let (backend, host) = backend(Offload::NONE, general);
        host.send(&pair::frame(60, 1)).unwrap();
        let (result, memory) = ask(&backend, Form::Slices, SPARE, 1);
        assert_eq!(result.unwrap().expect("a frame").0, 60);
        assert_eq!(memory[..60], pair::frame(60, 1));
        assert_eq!(backend.statistics().receive_time.is_zero(), !general);
    }
}
