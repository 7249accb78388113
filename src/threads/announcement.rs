//! The frame that tells switches where a migrated guest is now.

use std::io::IoSlice;
use std::thread;
use std::time::Duration;

use log::{info, warn};

use crate::backend::Backend;
use crate::segmentation::Frame;

/// Shortest Ethernet frame without FCS (IEEE 802.3).
const LEN: usize = 60;
/// How often a busy transmit session is asked for, and the pause between two tries.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Sends one announcement from the guest's address; without one, says that none was sent.
pub(super) fn send(backend: &Backend) {
    let Some(address) = backend.tap().guest_address() else {
        info!("no announcement for {backend:?}: Config::guest_address was not given");
        return;
    };
    let frame = build(address);
    // The virtual machine is paused at this moment. If a session is open all the same, it lasts for one call only.
    let session = (0..TRIES).find_map(|_| {
        backend.begin_transmit().or_else(|| {
            thread::sleep(PAUSE);
            None
        })
    });
    match session.map(|mut session| session.send(&Frame::new(&[IoSlice::new(&frame)]))) {
        Some(Ok(())) => {}
        Some(Err(error)) => warn!("announcement for {backend:?}: {error}"),
        None => warn!("announcement for {backend:?}: the device does not end its transmit session"),
    }
}

/// A broadcast RARP request for the guest's own address (RFC 903), which switches learn from and hosts ignore.
fn build(address: [u8; 6]) -> [u8; LEN] {
    let mut frame = [0; LEN];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&address);
    frame[12..14].copy_from_slice(&0x8035_u16.to_be_bytes());
    // Ethernet and IPv4 addresses of 6 and 4 bytes, operation 3: reverse request.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 3]);
    frame[22..28].copy_from_slice(&address);
    frame[32..38].copy_from_slice(&address);
    frame
}

#[cfg(test)]
mod tests {
    use super::build;

    /// Row S5.
    #[test]
    fn announcement_is_a_rarp_request_from_the_guest() {
        let frame = build([2, 0, 0, 0, 0, 7]);
        assert_eq!(frame.len(), 60);
        assert_eq!(&frame[..6], &[0xff; 6]);
        assert_eq!(&frame[6..12], &[2, 0, 0, 0, 0, 7]);
        assert_eq!(&frame[12..22], &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
        assert_eq!((&frame[22..28], &frame[32..38]), (&frame[6..12], &frame[6..12]));
        assert!(frame[28..32].iter().chain(&frame[38..]).all(|byte| *byte == 0));
    }
}
