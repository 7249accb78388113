//! The running kernel as the judge of what is unusual: frames in one piece, routes, the longest packets, checksums anywhere.

use std::io::IoSlice;

use tap_plumb::{Checksum, Frame, GsoKind, RejectReason};

use crate::frames::{KINDS, Random, Recipe, is_fragments, is_tcp, keep, outer_is_ipv6};
use crate::oracle::{Oracle, Verdict, in_own_namespace};
use crate::{
    carve, compare, cut_what_came, guest_frame, kernel_is_known_to_fail, known_to_the_kernel, offload, rounds,
};

/// A frame without payload, or with less than a segment takes, goes through as it is.
/// Row X2.
#[test]
fn what_fits_in_one_segment_passes_the_kernel_and_the_crate_alike() {
    if in_own_namespace("families::what_fits_in_one_segment_passes_the_kernel_and_the_crate_alike")
        != Some(true)
    {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7035);
    let kinds = known_to_the_kernel(&KINDS[..6]);
    for round in 0..rounds() {
        let mut recipe = Recipe::random(random.pick(&kinds), &mut random);
        recipe.segment_size = random.within(8, 1500) as u16;
        recipe.payload_len =
            if round % 2 == 0 { 0 } else { random.within(0, usize::from(recipe.segment_size)) };
        if is_fragments(recipe.kind) {
            // The UDP header is part of what is cut.
            recipe.payload_len = recipe.payload_len.min(usize::from(recipe.segment_size & !7) - 8);
        }
        let (frame, header) = guest_frame(&recipe);
        let slices = [IoSlice::new(&frame)];
        let ours = Frame::from_virtio(&header, &slices).unwrap();
        let segments = carve(&ours);
        assert_eq!(segments.len(), 1, "{recipe:#?}");
        compare(&recipe, &offload(&mut oracle, &ours), &segments);
        // The kernel takes TCP's options for payload, and drops what is too long with them.
        if !is_tcp(recipe.kind) || recipe.payload_len + recipe.tcp_options <= usize::from(recipe.segment_size)
        {
            let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
            compare(&recipe, &theirs, &segments);
        }
    }
}

/// A route of the sender's: the sum of the pseudo header covers another address than the header's, and is taken as it is.
/// Row X3.
#[test]
fn frames_with_a_route_are_cut_as_the_kernel_cuts_them() {
    if in_own_namespace("families::frames_with_a_route_are_cut_as_the_kernel_cuts_them") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7036);
    let mut cut = 0;
    let kinds = known_to_the_kernel(&KINDS[..4]);
    for _ in 0..rounds() {
        let recipe = Recipe::random(random.pick(&kinds), &mut random);
        let Some((frame, header)) = routed(recipe.clone(), &mut random) else { continue };
        let slices = [IoSlice::new(&frame)];
        let ours = Frame::from_virtio(&header, &slices).unwrap();
        let segments = carve(&ours);
        compare(&recipe, &offload(&mut oracle, &ours), &segments);
        if !kernel_is_known_to_fail(&header, segments.len()) {
            let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
            compare(&recipe, &theirs, &segments);
            cut += 1;
        }
        // Without an unfinished sum nothing tells the addresses.
        let whole = Frame::from_virtio(&[&[0], &header[1..]].concat(), &slices).map(drop);
        let reason =
            if is_tcp(recipe.kind) { RejectReason::SourceRouted } else { RejectReason::UdpWithoutChecksum };
        assert_eq!(whole, Err(reason), "{recipe:#?}");
    }
    assert!(cut > rounds() / 4, "only {cut} of {}", rounds());
}

/// Makes a guest's frame go by a route, with a sum in its checksum that the header's addresses do not give. `None` for a recipe
/// that has no place for one.
fn routed(mut recipe: Recipe, random: &mut Random) -> Option<(Vec<u8>, [u8; 12])> {
    if outer_is_ipv6(recipe.kind) {
        recipe.extensions.retain(|(kind, _)| *kind == 0);
        let first = recipe.extensions.len();
        recipe.extensions.push((random.pick(&[43, 60]), random.within(0, 6) as u8));
        recipe.extensions.extend([(60, 0), (43, 1)].iter().take(random.within(0, 2)));
        let (mut frame, mut header) = guest_frame(&recipe);
        let mut at = 14 + 4 * recipe.tags.len() + 40;
        for (_, units) in &recipe.extensions[..first] {
            at += 8 * (1 + usize::from(*units));
        }
        match recipe.extensions[first].0 {
            // Any kind of routing header, segment routing too: its segments left.
            43 => frame[at + 2..at + 4]
                .copy_from_slice(&[random.pick(&[0, 2, 3, 4]), random.within(1, 9) as u8]),
            _ => frame[at + 2] = 0xc9,
        }
        restate(&mut frame, &mut header, random);
        return Some((frame, header));
    }
    if recipe.ip_options < 8 {
        return None;
    }
    let (mut frame, mut header) = guest_frame(&recipe);
    let at = 14 + 4 * recipe.tags.len() + 20;
    // Two that do nothing, then a route whose pointer is at its first address.
    let len = recipe.ip_options as u8 - 2;
    frame[at..at + 5].copy_from_slice(&[1, 1, random.pick(&[131, 137]), len, 4]);
    let slices = [IoSlice::new(&frame)];
    let mut sums = Vec::new();
    Frame::new(&slices).ipv4_checksum().carve(0, keep(&mut sums)).unwrap();
    frame = sums.concat();
    restate(&mut frame, &mut header, random);
    Some((frame, header))
}

fn restate(frame: &mut [u8], header: &mut [u8; 12], random: &mut Random) {
    let start = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let field = start + usize::from(header[8]);
    frame[field..field + 2].copy_from_slice(&(random.within(1, 0xfffe) as u16).to_be_bytes());
}

/// The longest packet of each family, which IPv6 counts without its header.
/// Row X4.
#[test]
fn the_longest_packets_are_cut_as_the_kernel_cuts_them() {
    if in_own_namespace("families::the_longest_packets_are_cut_as_the_kernel_cuts_them") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let headers = [
        (GsoKind::Tcp4, 20 + 20),
        (GsoKind::Tcp6, 20),
        (GsoKind::Udp4Fragments, 28),
        (GsoKind::Udp6Fragments, 8),
    ];
    for (kind, headers) in headers {
        for (less, tags) in [(0, vec![]), (1, vec![]), (0, vec![0x88a8, 0x8100]), (40, vec![])] {
            let recipe = Recipe { tags, ..Recipe::plain(kind, 65_535 - headers - less, 1448) };
            let (frame, header) = guest_frame(&recipe);
            let slices = [IoSlice::new(&frame)];
            let ours = Frame::from_virtio(&header, &slices).unwrap();
            let segments = carve(&ours);
            compare(&recipe, &offload(&mut oracle, &ours), &segments);
            let theirs = oracle.pass(&[IoSlice::new(&header), IoSlice::new(&frame)]).unwrap();
            compare(&recipe, &theirs, &segments);
        }
    }
}

/// What a kernel delivers to a guest's device, which takes oversized frames: they are read as they were sent.
/// Row X3.
#[test]
fn routed_super_frames_of_the_kernel_are_cut_like_any() {
    if in_own_namespace("families::routed_super_frames_of_the_kernel_are_cut_like_any") != Some(true) {
        return;
    }
    let mut oracle = Oracle::offloading().unwrap();
    let mut random = Random(0x7461_7037);
    let mut whole = 0;
    let kinds = known_to_the_kernel(&KINDS[..4]);
    for _ in 0..rounds() / 2 {
        let recipe = Recipe::random(random.pick(&kinds), &mut random);
        let Some((frame, header)) = routed(recipe.clone(), &mut random) else { continue };
        let slices = [IoSlice::new(&frame)];
        let ours = Frame::from_virtio(&header, &slices).unwrap();
        whole += usize::from(cut_what_came(&mut oracle, &recipe, &ours));
    }
    assert!(whole > rounds() / 8, "the kernel cut all but {whole} frames itself");
}

/// The kernel counts the place of a checksum from the start of its own buffer, in 16 bits. Wherever it is, one answer.
/// Row X5.
#[test]
fn a_checksum_anywhere_in_a_frame_is_completed_alike() {
    if in_own_namespace("families::a_checksum_anywhere_in_a_frame_is_completed_alike") != Some(true) {
        return;
    }
    let mut oracle = Oracle::new().unwrap();
    let mut random = Random(0x7461_7038);
    // The longest frame without a mark that the bridge takes.
    let (bytes, _) = Recipe::plain(GsoKind::Tcp4, 65_535 - 54, 1448).build();
    let slices = [IoSlice::new(&bytes)];
    let near = |middle: usize, around: usize| middle - around..middle + around;
    let mut starts: Vec<usize> = near(65_471, 64).chain(near(1 << 15, 20)).chain(34..60).collect();
    starts.extend((0..200).map(|_| random.within(34, 65_535)));
    let (mut taken, mut refused) = (0, 0);
    for start in starts {
        for offset in [
            0,
            6,
            16,
            random.within(0, 65_535),
            32_766_usize.saturating_sub(start),
            65_533_usize.saturating_sub(start),
        ] {
            let checksum = Checksum::Partial { start: start as u16, offset: offset as u16 };
            let frame = Frame::new(&slices).checksum(checksum);
            if start + offset + 2 > bytes.len() {
                assert_eq!(frame.validate(), Err(RejectReason::ChecksumRange), "{checksum:?}");
                refused += 1;
                continue;
            }
            assert_eq!(offload(&mut oracle, &frame), Verdict::Frames(carve(&frame)), "{checksum:?}");
            taken += 1;
        }
    }
    assert!(taken > 800 && refused > 100, "{taken} taken, {refused} refused");
}
