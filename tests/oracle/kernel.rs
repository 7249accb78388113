//! The running kernel and this crate cut the same random frames, byte for byte alike.

use std::collections::BTreeMap;
use std::io::IoSlice;

use tap_plumb::{Frame, GsoKind};

use crate::frames::{KINDS, Random, Recipe};
use crate::oracle::{Oracle, Verdict, in_own_namespace, kernel_has_uso};
use crate::{
    UDP_DATAGRAMS, carve, compare, cut_what_came, guest_frame, kernel_is_known_to_fail, known_to_the_kernel,
    offload, rounds,
};

/// Where the kernel counts the extension headers of a fragment as data, so that the fragments leave gaps.
fn kernel_garbles_fragments(recipe: &Recipe) -> bool {
    recipe.kind == GsoKind::Udp6Fragments && !recipe.extensions.is_empty()
}

/// Rows B4 and F7.
#[test]
fn kernel_and_crate_cut_alike() {
    if in_own_namespace("kernel::kernel_and_crate_cut_alike") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7031);
    let kinds = known_to_the_kernel(&KINDS[..6]);
    let (mut segments, mut compared) = (0, vec![0; kinds.len()]);
    while compared.iter().sum::<usize>() < rounds() {
        let place = random.within(0, kinds.len() - 1);
        let recipe = Recipe::random(kinds[place], &mut random);
        let (frame, header) = guest_frame(&recipe);
        let slices = [IoSlice::new(&frame)];
        let ours = carve(&Frame::from_virtio(&header, &slices).unwrap());
        if kernel_is_known_to_fail(&header, ours.len()) || kernel_garbles_fragments(&recipe) {
            continue;
        }
        let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
        compare(&recipe, &theirs, &ours);
        compared[place] += 1;
        segments += ours.len();
    }
    eprintln!("frames of each kind: {compared:?}, {segments} segments");
}

/// What a host with offloads is handed, headers with wrong lengths and checksums included, comes out of it as the crate
/// would have cut it itself.
/// Row B3.
#[test]
fn what_is_left_to_the_kernel_comes_out_the_same() {
    if in_own_namespace("kernel::what_is_left_to_the_kernel_comes_out_the_same") != Some(true) {
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
/// Row B16.
#[test]
fn super_frames_of_the_kernel_are_cut_like_any() {
    if in_own_namespace("kernel::super_frames_of_the_kernel_are_cut_like_any") != Some(true) {
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
        whole += usize::from(cut_what_came(&mut oracle, &recipe, &frame));
    }
    assert!(whole > rounds() / 2, "the kernel cut all but {whole} frames itself");
}

/// Random changes to a good frame and its header: what the validator passes the kernel takes, and what the kernel
/// refuses or drops the validator refuses.
/// Row B1.
#[test]
fn kernel_takes_what_the_validator_passes() {
    if in_own_namespace("kernel::kernel_takes_what_the_validator_passes") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7033);
    let (mut both, mut neither, mut stricter) = (0, 0, BTreeMap::new());
    let (kinds, uso) = (known_to_the_kernel(&KINDS[..6]), kernel_has_uso());
    for _ in 0..rounds() {
        let mut recipe = Recipe::random(random.pick(&kinds), &mut random);
        recipe.payload_len = recipe.payload_len.min(3000);
        let (mut frame, mut header) = guest_frame(&recipe);
        spoil(&mut frame, &mut header, &mut random);
        if header[1] & 0x7f == UDP_DATAGRAMS && !uso {
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
