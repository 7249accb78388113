//! The running kernel and this crate cut the same random frames, byte for byte alike.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod frames;
    pub(crate) mod oracle;
}

use std::convert::Infallible;
use std::io::IoSlice;

use support::frames::{KINDS, Random, Recipe, is_tcp};
use support::oracle::{Oracle, Verdict, in_own_namespace};
use tap_plumb::{Completion, Frame, GsoKind};

fn rounds() -> usize {
    std::env::var("TAP_PLUMB_ORACLE_FRAMES").ok().map_or(5000, |text| text.parse().expect("a number"))
}

/// All of the frame's segments, each in one piece.
fn carve(frame: &Frame<'_>) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    frame.carve(0, |segment| Ok::<(), Infallible>(segments.push(flat(segment)))).unwrap();
    segments
}

fn flat(slices: &[IoSlice<'_>]) -> Vec<u8> {
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// As a guest would send it: lengths and pseudo-header sum right, one context in the header.
fn guest_frame(recipe: &Recipe) -> (Vec<u8>, [u8; 12]) {
    let (raw, gso) = recipe.build();
    let slices = [IoSlice::new(&raw)];
    let mut frame = Vec::new();
    Frame::new(&slices)
        .gso(gso)
        .complete(Completion::Pseudo, |whole| Ok::<(), Infallible>(frame = flat(whole)))
        .unwrap();
    let kind = match recipe.kind {
        GsoKind::Tcp4 => 1,
        GsoKind::Tcp6 => 4,
        GsoKind::Udp4Fragments => 3,
        _ => 5,
    };
    let ecn = if is_tcp(recipe.kind) && recipe.seed.is_multiple_of(2) { 0x80 } else { 0 };
    let [sl, sh] = gso.segment_size.to_le_bytes();
    let [cl, ch] = gso.transport_offset.to_le_bytes();
    let offset = if is_tcp(recipe.kind) { 16 } else { 6 };
    (frame, [1, kind | ecn, 0, 0, sl, sh, cl, ch, offset, 0, 0, 0])
}

/// Where the kernel drops, refuses or garbles a guest's own header, and this crate is right to do better: those frames
/// must come out right by the header that the crate writes.
fn kernel_is_known_to_fail(recipe: &Recipe) -> bool {
    let (size, len) = (usize::from(recipe.segment_size), recipe.payload_len);
    let datagrams = matches!(recipe.kind, GsoKind::Udp4Datagrams | GsoKind::Udp6Datagrams);
    size == 0xffff
        || datagrams && len.div_ceil(size) > 128
        || is_tcp(recipe.kind) && len <= size && size < len + recipe.tcp_options
        || recipe.kind == GsoKind::Udp4Fragments && size % 8 != 0
}

#[test]
fn b04_f07_kernel_and_crate_cut_alike() {
    if in_own_namespace("b04_f07_kernel_and_crate_cut_alike") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7031);
    let (mut segments, mut compared) = (0, [0; 7]);
    for _ in 0..rounds() {
        let place = random.within(0, 4);
        let recipe = Recipe::random(KINDS[place], &mut random);
        let (frame, header) = guest_frame(&recipe);
        let slices = [IoSlice::new(&frame)];
        let ours = carve(&Frame::from_virtio(&header, &slices).unwrap());
        if !kernel_is_known_to_fail(&recipe) {
            let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
            compare(&recipe, &theirs, &ours);
            compared[place] += 1;
        }
        segments += ours.len();
    }
    eprintln!("{} frames compared of kinds {compared:?}, {segments} segments", compared.iter().sum::<usize>());
}

fn compare(recipe: &Recipe, theirs: &Verdict, ours: &[Vec<u8>]) {
    let Verdict::Frames(theirs) = theirs else { panic!("{theirs:?} for {recipe:#?}") };
    assert_eq!(theirs.len(), ours.len(), "{recipe:#?}");
    for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        assert!(theirs == ours, "segment {at}\nkernel {theirs:02x?}\n  ours {ours:02x?}\n{recipe:#?}");
    }
}
