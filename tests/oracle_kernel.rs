//! The running kernel and this crate cut the same random frames, byte for byte alike.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod collect;
    #[expect(dead_code, reason = "all frames are random here")]
    pub(crate) mod frames;
    pub(crate) mod oracle;
}

use std::collections::BTreeMap;
use std::io::IoSlice;

use support::collect::keep;
use support::frames::{KINDS, Random, Recipe, is_tcp};
use support::oracle::{HEADER_LEN, Oracle, Verdict, in_own_namespace, kernel_has_uso};
use tap_plumb::{CarveError, Completion, Frame, GsoKind};

/// Oversized UDP as a virtio header calls it.
const DATAGRAMS: u8 = 5;

fn rounds() -> usize {
    std::env::var("TAP_PLUMB_ORACLE_FRAMES").ok().map_or(5000, |text| text.parse().expect("a number"))
}

/// Those of `kinds` that the running kernel can cut; it is said which it cannot.
fn known_to_the_kernel(kinds: &[GsoKind]) -> Vec<GsoKind> {
    let datagrams = |kind: &GsoKind| matches!(kind, GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams);
    let uso = kernel_has_uso();
    if !uso {
        println!("not tried: oversized UDP against the kernel: this one does not know it (Linux 6.2 does)");
    }
    kinds.iter().copied().filter(|kind| uso || !datagrams(kind)).collect()
}

/// All of the frame's segments, each in one piece.
fn carve(frame: &Frame<'_>) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    frame.carve(0, keep(&mut segments)).unwrap();
    segments
}

/// As a guest would send it: lengths and pseudo-header sum right, one context in the header.
fn guest_frame(recipe: &Recipe) -> (Vec<u8>, [u8; 12]) {
    let (raw, gso) = recipe.build();
    let slices = [IoSlice::new(&raw)];
    let mut whole = Vec::new();
    Frame::new(&slices).gso(gso).complete(Completion::Pseudo, keep(&mut whole)).unwrap();
    let kind = match recipe.kind {
        GsoKind::Tcp4 => 1,
        GsoKind::Tcp6 => 4,
        GsoKind::Udp4Fragments => 3,
        _ => DATAGRAMS,
    };
    let ecn = if is_tcp(recipe.kind) && recipe.seed.is_multiple_of(2) { 0x80 } else { 0 };
    let [sl, sh] = gso.segment_size.to_le_bytes();
    let [cl, ch] = gso.transport_offset.to_le_bytes();
    let offset = if is_tcp(recipe.kind) { 16 } else { 6 };
    (whole.concat(), [1, kind | ecn, 0, 0, sl, sh, cl, ch, offset, 0, 0, 0])
}

/// Where the kernel drops, refuses or garbles what a guest may well ask for. The crate does better: these frames come out
/// right by the header that it writes itself.
fn kernel_is_known_to_fail(header: &[u8; 12], segments: usize) -> bool {
    let size = u16::from_le_bytes([header[4], header[5]]);
    match header[1] & 0x7f {
        0 => false,
        // A mark inside the kernel has the same value.
        _ if size == 0xffff => true,
        // Kernels with a certain update (6.1.192, 6.12.117, 7.2.13, 7.3.4) cut into no less than 8 bytes.
        1 | 4 if size < 8 => true,
        // A frame that needs no cutting, but is longer by its TCP options than the kernel takes into account, is dropped.
        1 | 4 => segments == 1,
        // Fragments that overlap.
        3 => !size.is_multiple_of(8),
        _ => segments > 128,
    }
}

#[test]
fn b04_f07_kernel_and_crate_cut_alike() {
    if in_own_namespace("b04_f07_kernel_and_crate_cut_alike") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7031);
    let kinds = known_to_the_kernel(&KINDS[..5]);
    let (mut segments, mut compared) = (0, vec![0; kinds.len()]);
    while compared.iter().sum::<usize>() < rounds() {
        let place = random.within(0, kinds.len() - 1);
        let recipe = Recipe::random(kinds[place], &mut random);
        let (frame, header) = guest_frame(&recipe);
        let slices = [IoSlice::new(&frame)];
        let ours = carve(&Frame::from_virtio(&header, &slices).unwrap());
        if kernel_is_known_to_fail(&header, ours.len()) {
            continue;
        }
        let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
        compare(&recipe, &theirs, &ours);
        compared[place] += 1;
        segments += ours.len();
    }
    eprintln!("frames of each of {kinds:?}: {compared:?}, {segments} segments");
}

/// What a host with offloads is handed, headers with wrong lengths and checksums included, comes out of it as the crate
/// would have cut it itself.
#[test]
fn b03_what_is_left_to_the_kernel_comes_out_the_same() {
    if in_own_namespace("b03_what_is_left_to_the_kernel_comes_out_the_same") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7032);
    let kinds = known_to_the_kernel(&KINDS);
    for _ in 0..rounds() {
        let recipe = Recipe::random(random.pick(&kinds), &mut random);
        let (bytes, gso) = recipe.build();
        let slices = [IoSlice::new(&bytes)];
        let frame = Frame::new(&slices).gso(gso);
        compare(&recipe, &offload(&mut oracle, &frame), &carve(&frame));
    }
}

/// What the kernel leaves to a guest's device is understood, and comes out as if the kernel had cut it.
#[test]
fn b16_super_frames_of_the_kernel_are_cut_like_any() {
    if in_own_namespace("b16_super_frames_of_the_kernel_are_cut_like_any") != Some(true) {
        return;
    }
    let mut oracle = Oracle::offloading().unwrap();
    let mut random = Random(0x7461_7034);
    let mut whole = 0;
    let kinds = known_to_the_kernel(&KINDS[..4]);
    for _ in 0..rounds() {
        let recipe = Recipe::random(random.pick(&kinds), &mut random);
        let (bytes, gso) = recipe.build();
        let slices = [IoSlice::new(&bytes)];
        let frame = Frame::new(&slices).gso(gso);
        let Verdict::Frames(received) = offload(&mut oracle, &frame) else { panic!("refused: {recipe:#?}") };
        whole += usize::from(received.len() == 1);
        let mut segments = Vec::new();
        for received in &received {
            let (header, frame) = received.split_at(HEADER_LEN);
            let slices = [IoSlice::new(frame)];
            segments.extend(carve(&Frame::from_virtio(header, &slices).unwrap()));
        }
        compare(&recipe, &Verdict::Frames(segments), &carve(&frame));
    }
    assert!(whole > rounds() / 2, "the kernel cut all but {whole} frames itself");
}

/// Random changes to a good frame and its header: what the validator passes the kernel takes, and what the kernel
/// refuses or drops the validator refuses.
#[test]
fn b01_kernel_takes_what_the_validator_passes() {
    if in_own_namespace("b01_kernel_takes_what_the_validator_passes") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7033);
    let (mut both, mut neither, mut stricter) = (0, 0, BTreeMap::new());
    let kinds = known_to_the_kernel(&KINDS[..5]);
    for _ in 0..rounds() {
        let mut recipe = Recipe::random(random.pick(&kinds), &mut random);
        recipe.payload_len = recipe.payload_len.min(3000);
        let (mut frame, mut header) = guest_frame(&recipe);
        spoil(&mut frame, &mut header, &mut random);
        if header[1] & 0x7f == DATAGRAMS && !kinds.contains(&GsoKind::Udp4Datagrams) {
            continue;
        }
        let slices = [IoSlice::new(&frame)];
        let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
        let taken = matches!(&theirs, Verdict::Frames(frames) if !frames.is_empty());
        let ours = Frame::from_virtio(&header, &slices).and_then(|frame| frame.validate().map(|()| frame));
        match ours {
            Ok(ours) => {
                let segments = carve(&ours);
                let left = offload(&mut oracle, &ours);
                assert!(matches!(left, Verdict::Frames(_)), "{left:?} for {header:?} {:02x?}", &frame[..64]);
                compare(&recipe, &left, &segments);
                let excused = kernel_is_known_to_fail(&header, segments.len());
                assert!(taken || excused, "{theirs:?} for {header:?} {:02x?} {recipe:#?}", &frame[..64]);
                both += 1;
            }
            Err(reason) if taken => *stricter.entry(reason.to_string()).or_insert(0) += 1,
            Err(_) => neither += 1,
        }
    }
    eprintln!("{both} taken by both, {neither} by neither, by the kernel alone: {stricter:#?}");
    assert!(both > rounds() / 20 && neither > rounds() / 20);
}

fn spoil(frame: &mut [u8], header: &mut [u8; 12], random: &mut Random) {
    for _ in 0..random.within(1, 3) {
        match random.within(0, 5) {
            0 => header[1] = random.pick(&[0, 1, 2, 3, 4, 5, 6, 0x80, 0x81, 0x83, 0x84, 0x85, 0x21]),
            1 => header[0] = random.pick(&[0, 1, 2, 3, 4, 0xff]),
            2 => header[random.within(4, 9)] = random.next() as u8,
            3 => header[random.pick(&[6, 8])] ^= 1 << random.within(0, 7),
            _ => {
                let at = random.within(12, frame.len().min(120) - 1);
                frame[at] = random.next() as u8;
            }
        }
    }
}

fn offload(oracle: &mut Oracle, frame: &Frame<'_>) -> Verdict {
    let mut all = Vec::new();
    let outcome = frame.offload(HEADER_LEN, 0, |slices| match oracle.pass(slices).unwrap() {
        Verdict::Frames(frames) => {
            all.extend(frames);
            Ok(())
        }
        refused => Err(refused),
    });
    match outcome {
        Ok(_) => Verdict::Frames(all),
        Err(CarveError::Sink { error, .. }) => error,
        Err(other) => panic!("{other:?}"),
    }
}

fn compare(recipe: &Recipe, theirs: &Verdict, ours: &[Vec<u8>]) {
    let Verdict::Frames(theirs) = theirs else { panic!("{theirs:?} for {recipe:#?}") };
    assert_eq!(theirs.len(), ours.len(), "{recipe:#?}");
    for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        assert!(theirs == ours, "segment {at}\nkernel {theirs:02x?}\n  ours {ours:02x?}\n{recipe:#?}");
    }
}
