//! Frames, contexts, headers and slices that contradict each other, in every form, on TAPs and on sockets.
//!
//! Nothing of it may panic, be lost from the counters, or reach the kernel in a shape that the kernel refuses.

// UNSAFETY: the raw forms are tried beside the others.

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use tap_plumb::{Backend, Checksum, Config, Frame, Gso, Offload, RawSlice, TransmitError};

use crate::child::{Trials, assert_adds_up};
use crate::frames::{KINDS, Random, Recipe};

/// Frames of a round, and trials with each.
const FRAMES: usize = 400;
const TRIALS: usize = 24;
/// Room for any frame and its header.
const ROOM: usize = 70_000;

/// One backend, and the other end of its wire where that is a socket.
struct Lane {
    name: &'static str,
    backend: Backend,
    host: Option<UnixDatagram>,
}

pub(crate) struct Inputs {
    lanes: Vec<Lane>,
    /// Guest memory, which another thread changes all the time.
    memory: Arc<[AtomicU8]>,
}

impl Inputs {
    pub(crate) fn new() -> Self {
        log::set_logger(&Refusals).expect("no other logger");
        log::set_max_level(LevelFilter::Warn);
        let tap = |name, offload| {
            let tap = Config::new().name(name).offload(offload).up().attach().expect("an interface");
            Lane { name, backend: Backend::new(tap), host: None }
        };
        let socket = |name, offload| {
            let (ours, host) = UnixDatagram::pair().expect("a socket pair");
            host.set_nonblocking(true).expect("a socket that does not wait");
            let tap = Config::new().inherited(ours.into()).offload(offload).attach().expect("a socket");
            Lane { name, backend: Backend::new(tap), host: Some(host) }
        };
        let lanes = vec![
            tap("bare0", Offload::NONE),
            tap("header0", Offload::ALL),
            socket("socket", Offload::NONE),
            socket("socket with header", Offload::ALL),
        ];
        let memory: Arc<[AtomicU8]> = (0..ROOM).map(|_| AtomicU8::new(0)).collect();
        scribble(Arc::clone(&memory));
        Self { lanes, memory }
    }
}

/// Changes the memory where headers lie, for as long as the process lives.
fn scribble(memory: Arc<[AtomicU8]>) {
    thread::spawn(move || {
        let mut random = Random(1);
        loop {
            for _ in 0..32 {
                memory[random.within(0, 199)].store(random.next() as u8, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(20));
        }
    });
}

impl Trials for Inputs {
    fn round(&mut self, random: &mut Random) -> u64 {
        let lane = &self.lanes[random.within(0, self.lanes.len() - 1)];
        lane.backend.use_host_offload(random.one_in(2));
        for _ in 0..FRAMES {
            let mut input = Input::new(random);
            for _ in 0..TRIALS {
                input.spoil(random);
                self.transmit(lane, &input, random);
                if let Some(host) = &lane.host {
                    receive(lane, host, &input, random);
                }
            }
        }
        assert_adds_up(&lane.backend);
        let both = if lane.host.is_some() { 2 } else { 1 };
        (FRAMES * TRIALS * both) as u64
    }
}

/// What a guest hands over.
#[derive(Debug)]
struct Input {
    header: [u8; 12],
    header_len: usize,
    frame: Vec<u8>,
    gso: Option<Gso>,
    checksum: Checksum,
    /// Lengths of the slices; what is left is the last one.
    cuts: Vec<usize>,
    sent: u32,
}

impl Input {
    /// One that may be right.
    fn new(random: &mut Random) -> Self {
        let kind = random.pick(&KINDS);
        let mut recipe = Recipe::random(kind, random);
        if !random.one_in(500) {
            recipe.payload_len = random.within(0, 1200);
            recipe.extensions.iter_mut().for_each(|extension| extension.1 %= 4);
        }
        recipe.segment_size = recipe.segment_size.max((recipe.payload_len / 40) as u16);
        let (frame, gso) = recipe.build();
        let checksum = Checksum::Partial { start: gso.transport_offset, offset: random.pick(&[6, 16]) };
        let mut header = [0; 12];
        header[0] = 1;
        header[1] = random.pick(&[1, 4, 3, 5, 0]);
        header[2..4].copy_from_slice(&gso.header_len.to_le_bytes());
        header[4..6].copy_from_slice(&gso.segment_size.to_le_bytes());
        header[6..8].copy_from_slice(&gso.transport_offset.to_le_bytes());
        header[8] = random.pick(&[6, 16]);
        let mut input =
            Self { header, header_len: 12, frame, gso: Some(gso), checksum, cuts: Vec::new(), sent: 0 };
        input.cut(random);
        input
    }

    /// Changes something; what was spoilt before stays so.
    fn spoil(&mut self, random: &mut Random) {
        match random.within(0, 11) {
            0..=2 => self.spoil_byte(random),
            3 => self.header[random.within(0, 11)] = random.next() as u8,
            4 => self.header[random.within(0, 1)] = random.pick(&[0, 1, 2, 3, 4, 5, 0x80, 0x81, 0x84, 0xff]),
            5 => self.header_len = random.pick(&[10, 12, 10, 12, 10, 12, 0, 11, 13, 40]),
            6 => self.spoil_context(random),
            7 => {
                let (start, offset) = (random.next() as u16, random.next() as u16);
                let small = Checksum::Partial { start: start % 200, offset: offset % 64 };
                self.checksum =
                    random.pick(&[Checksum::Complete, small, Checksum::Partial { start, offset }]);
            }
            8 => self.cut(random),
            9 => self.sent = random.pick(&[0, 0, 1, 2, random.0 as u32]),
            10 => self.gso = None,
            _ => self.frame.truncate(random.within(0, 2 * self.frame.len() + 1)),
        }
    }

    fn spoil_byte(&mut self, random: &mut Random) {
        let end = self.frame.len().min(140);
        if end > 0 {
            let at = random.within(0, end - 1);
            self.frame[at] =
                random.pick(&[0, 1, 0x45, 0x60, 0x86, 0x88, 6, 17, 43, 44, 0xff, random.0 as u8]);
        }
    }

    fn spoil_context(&mut self, random: &mut Random) {
        let Some(gso) = &mut self.gso else { return };
        match random.within(0, 4) {
            0 => gso.kind = random.pick(&KINDS),
            1 => gso.header_len = random.pick(&[0, gso.header_len.wrapping_add(1), random.0 as u16]),
            2 => gso.segment_size = random.pick(&[0, 1, 7, 8, 1448, u16::MAX, random.0 as u16]),
            3 => gso.network_offset = random.pick(&[0, 14, 18, random.0 as u16]),
            _ => gso.transport_offset = random.pick(&[0, 34, 54, random.0 as u16]),
        }
        // Trains of many thousand segments cost time and show nothing more.
        gso.segment_size = gso.segment_size.max((self.frame.len() / 200) as u16);
    }

    fn cut(&mut self, random: &mut Random) {
        let count = random.pick(&[0, 0, 1, 2, 3, 5, 18, 40]);
        self.cuts = (0..count).map(|_| random.pick(&[0, 1, 2, 13, 14, 20, 33, 54, 100, 700])).collect();
    }

    /// The bytes of a form, and where they are cut.
    fn bytes(&self, with_header: bool) -> Vec<u8> {
        let header = if with_header { &self.header[..] } else { &[] };
        header.iter().chain(&self.frame).copied().collect()
    }

    fn lengths(&self, total: usize) -> Vec<usize> {
        let mut left = total;
        let mut lengths: Vec<_> = self
            .cuts
            .iter()
            .map(|len| {
                let len = (*len).min(left);
                left -= len;
                len
            })
            .collect();
        lengths.push(left);
        lengths
    }
}

impl Inputs {
    fn transmit(&self, lane: &Lane, input: &Input, random: &mut Random) {
        let with_header = random.one_in(2);
        let bytes = input.bytes(with_header);
        let lengths = input.lengths(bytes.len());
        let raw = random.one_in(2) && bytes.len() <= ROOM;
        let mut session = lane.backend.begin_transmit().expect("nobody else sends");
        let result = if raw {
            bytes
                .iter()
                .zip(self.memory.iter())
                .for_each(|(byte, cell)| cell.store(*byte, Ordering::Relaxed));
            let slices = raw_slices(&self.memory, &lengths);
            match (with_header, input.sent) {
                // SAFETY: the slices lie in `self.memory`, which outlives the call and is reached by atomic accesses only.
                (false, 0) => unsafe { session.send_raw(&slices, input.gso, input.checksum) },
                // SAFETY: as above.
                (false, sent) => unsafe { session.resume_raw(&slices, input.gso, input.checksum, sent) },
                // SAFETY: as above.
                (true, 0) => unsafe { session.send_raw_with_header(&slices, input.header_len) },
                // SAFETY: as above.
                (true, sent) => unsafe { session.resume_raw_with_header(&slices, input.header_len, sent) },
            }
        } else {
            let slices = borrowed_slices(&bytes, &lengths);
            let frame = || {
                let frame = Frame::new(&slices).checksum(input.checksum);
                if let Some(gso) = input.gso { frame.gso(gso) } else { frame }
            };
            match (with_header, input.sent) {
                (false, 0) => session.send(&frame()),
                (false, sent) => session.resume(&frame(), sent),
                (true, 0) => session.send_with_header(&slices, input.header_len),
                (true, sent) => session.resume_with_header(&slices, input.header_len, sent),
            }
        };
        drop(session);
        let form = (lane.name, if raw { "raw" } else { "borrowed" }, with_header);
        judge(&result, form, input);
        if let Some(host) = &lane.host {
            let mut scratch = [0; 16];
            while host.recv(&mut scratch).is_ok() {}
        }
    }
}

fn borrowed_slices<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<IoSlice<'a>> {
    let mut rest = bytes;
    lengths
        .iter()
        .map(|len| {
            let (slice, behind) = rest.split_at(*len);
            rest = behind;
            IoSlice::new(slice)
        })
        .collect()
}

fn raw_slices(memory: &[AtomicU8], lengths: &[usize]) -> Vec<RawSlice> {
    let mut rest = memory;
    lengths
        .iter()
        .map(|len| {
            let (slice, behind) = rest.split_at(*len);
            rest = behind;
            RawSlice::new(slice.as_ptr().cast_mut().cast(), slice.len())
        })
        .collect()
}

/// What passed the crate is never refused by the kernel.
fn judge(result: &Result<(), TransmitError>, form: (&str, &str, bool), input: &Input) {
    let refused = REFUSED.swap(false, Ordering::Relaxed);
    if refused || matches!(result, Err(TransmitError::Io { .. })) {
        panic!("the kernel refused {form:?} with {result:?} (learned: {refused}):\n{input:x?}");
    }
}

/// The host's frame and header are no better.
fn receive(lane: &Lane, host: &UnixDatagram, input: &Input, random: &mut Random) {
    let frame = input.bytes(lane.backend.tap().offload().header_len > 0);
    if host.send(&frame).is_err() {
        return;
    }
    let mut memory = [0; 4096];
    let room = random.pick(&[0, 1, 13, 14, 60, 1514, 4096]);
    let mut rest = &mut memory[..room];
    let mut slices = Vec::new();
    for len in input.lengths(room) {
        let (slice, behind) = rest.split_at_mut(len);
        rest = behind;
        slices.push(IoSliceMut::new(slice));
    }
    let backend = &lane.backend;
    let form = random.within(0, 1);
    // Every outcome is counted; the sums are looked at after the round.
    for _ in 0..2 {
        let _ = if form == 0 {
            backend.receive(&mut slices).map(drop)
        } else {
            backend.receive_with_header(&mut slices).map(drop)
        };
    }
}

static REFUSED: AtomicBool = AtomicBool::new(false);

/// Notes when the crate says that the kernel refused what nothing had foretold.
struct Refusals;

impl Log for Refusals {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.args().to_string().contains("refuses") {
            REFUSED.store(true, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}
