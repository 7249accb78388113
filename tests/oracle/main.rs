//! The running kernel as the judge of segments and checksums: the same frame goes through it and through the crate, and what
//! comes out is compared.
#![cfg(target_os = "linux")]

#[path = "../support/frames.rs"]
mod frames;
#[path = "../support/oracle.rs"]
mod oracle;

mod families;
mod kernel;

use std::io::IoSlice;

use frames::{Recipe, is_tcp, keep};
use oracle::{HEADER_LEN, Oracle, Verdict, kernel_has_uso};
use tap_plumb::{CarveError, Completion, Frame, GsoKind};

/// `VIRTIO_NET_HDR_GSO_UDP_L4`.
const UDP_DATAGRAMS: u8 = 5;

fn rounds() -> usize {
    std::env::var("TAP_PLUMB_ORACLE_FRAMES").ok().map_or(1000, |text| text.parse().expect("a number"))
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
        GsoKind::Udp4Fragments | GsoKind::Udp6Fragments => 3,
        _ => UDP_DATAGRAMS,
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

/// What a kernel hands out whole, it or its pieces, comes out cut here as the frame itself does. Tells whether it was whole.
fn cut_what_came(oracle: &mut Oracle, recipe: &Recipe, frame: &Frame<'_>) -> bool {
    let Verdict::Frames(received) = offload(oracle, frame) else { panic!("refused: {recipe:#?}") };
    let mut segments = Vec::new();
    for received in &received {
        let (header, frame) = received.split_at(HEADER_LEN);
        let slices = [IoSlice::new(frame)];
        segments.extend(carve(&Frame::from_virtio(header, &slices).unwrap()));
    }
    compare(recipe, &Verdict::Frames(segments), &carve(frame));
    received.len() == 1
}

fn compare(recipe: &Recipe, theirs: &Verdict, ours: &[Vec<u8>]) {
    let Verdict::Frames(theirs) = theirs else { panic!("{theirs:?} for {recipe:#?}") };
    assert_eq!(theirs.len(), ours.len(), "{recipe:#?}");
    for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        let (mut theirs, mut ours) = (theirs.clone(), ours.clone());
        if recipe.kind == GsoKind::Udp6Fragments {
            // Each takes a number of its own for the fragments.
            [&mut theirs, &mut ours].into_iter().for_each(|fragment| {
                let _ = clear_number(fragment);
            });
        }
        assert!(theirs == ours, "segment {at}\nkernel {theirs:02x?}\n  ours {ours:02x?}\n{recipe:#?}");
    }
}

/// Clears the identification of an IPv6 fragment; what is none stays as it is.
fn clear_number(fragment: &mut [u8]) -> Option<()> {
    let mut at = 12;
    while fragment.get(at..at + 2)? != [0x86, 0xdd] {
        at += 4;
    }
    let (mut byte, mut at) = (at + 2 + 6, at + 2 + 40);
    while !matches!(fragment.get(byte)?, 17 | 44) {
        byte = at;
        at += 8 * (1 + usize::from(*fragment.get(at + 1)?));
    }
    if fragment[byte] == 44 {
        fragment.get_mut(at + 4..at + 8)?.fill(0);
    }
    Some(())
}
