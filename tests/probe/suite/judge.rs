//! Sends everything, and holds what arrives against what the crate's own carving says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::sync::Arc;

use tap_plumb::{Backend, CarveError, Config, Frame, Offload, RejectReason, TransmitError};

use super::cases::{self, Case};
use super::oracle::{ENTRY, Exit, HEADER_LEN, connect};
use super::ways::FORMS;

/// The TAP that frames go into.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// With all offloads, behind a header of so many bytes.
    Header(usize),
    Bare,
}

impl Entry {
    fn offload(self) -> Offload {
        match self {
            Self::Header(len) => {
                let mut all = Offload::ALL;
                all.header_len = len;
                all
            }
            Self::Bare => Offload::NONE,
        }
    }
}

/// What became of the frames, by number, and by the names of the cases.
#[derive(Default)]
struct Counts {
    sent: usize,
    refused: usize,
    lost: usize,
    wrong: usize,
    refusals: BTreeMap<String, usize>,
    faults: BTreeMap<String, (usize, String)>,
}

/// What one frame must become: segments, or nothing for a reason.
type Expected = Result<Vec<Vec<u8>>, RejectReason>;

/// Sends every case in every form, by host and by software.
pub(crate) fn probe(entry: Entry, exit: impl FnOnce() -> io::Result<Exit>) {
    let tap = Config::new().name(ENTRY).offload(entry.offload()).attach().unwrap();
    let backend = Arc::new(Backend::new(tap));
    let mut exit = exit().unwrap();
    connect(|frame| {
        // While its interface is down the frame is not taken.
        let _ = backend.begin_transmit().expect("a session").send(&Frame::new(&[IoSlice::new(frame)]));
        Ok(!exit.drain()?.is_empty())
    })
    .unwrap();
    let mut counts = Counts::default();
    for by_host in [true, false] {
        if !by_host && matches!(entry, Entry::Bare) {
            continue;
        }
        backend.use_host_offload(by_host);
        cases::all().iter().for_each(|case| all_forms(&backend, &mut exit, case, by_host, &mut counts));
    }
    counts.report();
}

fn all_forms(backend: &Arc<Backend>, exit: &mut Exit, case: &Case, by_host: bool, counts: &mut Counts) {
    let (by_contexts, by_header) = (expected_of_contexts(case), expected_of_header(case));
    for (form, resumed, send) in FORMS {
        let expected = if form.contains("header") { &by_header } else { &by_contexts };
        let sent = usize::from(resumed && matches!(expected, Some(Ok(segments)) if segments.len() > 1));
        let before = backend.statistics().transmit.frames_sent;
        let Some(outcome) = send(backend, case, sent as u32) else { continue };
        let counted = backend.statistics().transmit.frames_sent - before;
        let expected = expected.as_ref().expect("a form for which there is an answer");
        let expected = expected.as_ref().map(|segments| &segments[sent..]).map_err(|reason| *reason);
        let arrived = whole(&exit.drain().unwrap(), exit.header).into_iter().map(without_identification);
        let way = format!("{form}, {}", if by_host { "by the host" } else { "by software" });
        counts.judge(case, &way, outcome, counted, expected, arrived.collect());
    }
}

fn expected_of_contexts(case: &Case) -> Option<Expected> {
    let (gso, checksum) = case.contexts?;
    let slices = [IoSlice::new(&case.frame)];
    let frame = Frame::new(&slices).checksum(checksum);
    Some(carve(&gso.map_or(frame, |gso| frame.gso(gso))))
}

fn expected_of_header(case: &Case) -> Option<Expected> {
    let slices = [IoSlice::new(&case.frame)];
    Some(Frame::from_virtio(&case.header?, &slices).and_then(|frame| carve(&frame)))
}

/// All of the frame's segments, each in one piece.
fn carve(frame: &Frame<'_>) -> Expected {
    let mut segments = Vec::new();
    let carved = frame.carve(0, |slices| {
        segments.push(without_identification(slices.iter().flat_map(|slice| slice.to_vec()).collect()));
        Ok::<(), Infallible>(())
    });
    match carved {
        Ok(_) => Ok(segments),
        Err(CarveError::Rejected(reason)) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

/// The identification of an IPv6 fragment is anybody's choice.
fn without_identification(mut frame: Vec<u8>) -> Vec<u8> {
    const NEXT_HEADER: usize = 14 + 6;
    const IDENTIFICATION: std::ops::Range<usize> = 14 + 40 + 4..14 + 40 + 8;
    if frame[12..14] == [0x86, 0xdd] && frame.get(NEXT_HEADER) == Some(&44) {
        frame[IDENTIFICATION].fill(0);
    }
    frame
}

/// What arrived, with that work done which the header before each frame leaves to the reader.
fn whole(frames: &[Vec<u8>], header: usize) -> Vec<Vec<u8>> {
    if header == 0 {
        return frames.to_vec();
    }
    frames
        .iter()
        .flat_map(|bytes| {
            let (header, frame) = bytes.split_at(HEADER_LEN);
            let slices = [IoSlice::new(frame)];
            let carved = Frame::from_virtio(header, &slices).and_then(|frame| carve(&frame));
            // A frame that cannot be understood is held against the segments as it is, which it is not equal to.
            carved.unwrap_or_else(|_| vec![bytes.clone()])
        })
        .collect()
}

impl Counts {
    fn judge(
        &mut self,
        case: &Case,
        way: &str,
        outcome: Result<(), TransmitError>,
        counted: u64,
        expected: Result<&[Vec<u8>], RejectReason>,
        arrived: Vec<Vec<u8>>,
    ) {
        match (expected, outcome) {
            (Err(reason), Err(TransmitError::Rejected(_)))
                if case.refusable && arrived.is_empty() && counted == 0 =>
            {
                self.refused += 1;
                *self.refusals.entry(format!("{}: {reason}", case.name)).or_default() += 1;
            }
            (Err(reason), outcome) => {
                self.sent += 1;
                self.wrong += 1;
                self.fault(case, way, format!("{outcome:?} where carving says {reason}"));
            }
            (Ok(segments), Ok(())) if arrived == segments && counted == 1 => self.sent += 1,
            (Ok(segments), outcome) => {
                self.sent += 1;
                let lost = arrived.len() < segments.len() && (outcome.is_err() || arrived.is_empty());
                if lost {
                    self.lost += 1;
                } else {
                    self.wrong += 1;
                }
                let what = if lost { "lost" } else { "wrong" };
                self.fault(case, way, describe(what, &outcome, counted, segments, &arrived));
            }
        }
    }

    fn fault(&mut self, case: &Case, way: &str, text: String) {
        let (count, _) =
            self.faults.entry(case.name.clone()).or_insert_with(|| (0, format!("{text}, first by {way}")));
        *count += 1;
    }

    /// Prints the counts, and fails unless all arrived as it should.
    fn report(&self) {
        let Self { sent, refused, lost, wrong, .. } = self;
        println!("probe: {sent} sent, {refused} refused, {lost} lost, {wrong} wrong");
        for (refusal, count) in &self.refusals {
            println!("refused {count} times: {refusal}");
        }
        for (case, (count, text)) in &self.faults {
            println!("fault: {case}: {count} times: {text}");
        }
        assert!(self.faults.is_empty(), "{lost} frames lost and {wrong} wrong, as listed above");
    }
}

fn describe(
    what: &str,
    outcome: &Result<(), TransmitError>,
    counted: u64,
    segments: &[Vec<u8>],
    arrived: &[Vec<u8>],
) -> String {
    let differing = segments.iter().zip(arrived).position(|(ours, theirs)| ours != theirs);
    let outcome =
        outcome.as_ref().map_or_else(ToString::to_string, |()| format!("counted {counted} times as sent"));
    let place = differing.map_or(String::new(), |at| format!(", the first that differs is number {at}"));
    let (came, all) = (arrived.len(), segments.len());
    format!("{what}: {outcome}, {came} of {all} segments arrived{place}")
}
