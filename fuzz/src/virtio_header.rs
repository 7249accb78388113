//! Any virtio-net header before any frame.

use tap_plumb::Frame;

use super::exercise::{exercise, scatter};

/// How the frame is scattered, the header's length, the header; then the frame.
pub(crate) fn virtio_header(data: &[u8]) {
    let Some((&[first, second, header_len], rest)) = data.split_first_chunk::<3>() else { return };
    let (header, bytes) = rest.split_at(rest.len().min(usize::from(header_len % 14)));
    let slices = scatter(bytes, first, second);
    if let Ok(frame) = Frame::from_virtio(header, &slices) {
        assert_eq!(frame.validate(), Ok(()), "what was read from the frame fits it");
        exercise(&frame, None);
    }
}
