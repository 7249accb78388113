//! A frame, and the ways to send it.

// UNSAFETY: the raw forms are among what is tested; each borrows its memory for the whole call.
#![expect(unsafe_code, reason = "the raw forms of send and receive")]

use std::io::IoSlice;
use std::ops::Deref;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tap_plumb::{
    Backend, Checksum, Config, Frame, Gso, GsoKind, Offload, RawSlice, Session, TransmitError,
    TransmitStatistics,
};

use crate::frames::keep;
use crate::frames::{Recipe, is_tcp};

pub(crate) fn backend(offload: Offload) -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    let tap = Config::new().inherited(ours.into()).offload(offload).attach().unwrap();
    (Arc::new(Backend::new(tap)), host)
}

pub(crate) fn drain(host: &UnixDatagram) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 80_000];
    std::iter::from_fn(|| host.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec())).collect()
}

pub(crate) fn assert_adds_up(all: &TransmitStatistics) {
    assert_eq!(all.frames_offered, all.frames_sent + all.dropped(), "{all:?}");
}

/// A way to send a frame, and to go on with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Slices,
    Header,
    Raw,
    RawHeader,
}

pub(crate) const FORMS: [Form; 4] = [Form::Slices, Form::Header, Form::Raw, Form::RawHeader];

/// A frame as each form wants it.
pub(crate) struct Sample {
    bytes: Vec<u8>,
    gso: Option<Gso>,
    checksum: Checksum,
    /// A virtio driver's header that says the same, 12 bytes, and the frame.
    with_header: Vec<u8>,
}

impl Sample {
    pub(crate) fn new(kind: GsoKind, payload: usize, size: u16) -> Self {
        let (bytes, gso) = Recipe::plain(kind, payload, size).build();
        let offset: u8 = if is_tcp(kind) { 16 } else { 6 };
        let kind = match kind {
            GsoKind::Tcp4 => 1,
            GsoKind::Tcp6 => 4,
            GsoKind::Udp4Fragments | GsoKind::Udp6Fragments => 3,
            _ => 5,
        };
        let [sl, sh] = size.to_le_bytes();
        let header = [1, kind, 0, 0, sl, sh, gso.transport_offset as u8, 0, offset, 0, 0, 0];
        let checksum = Checksum::Partial { start: gso.transport_offset, offset: offset.into() };
        Self { with_header: [&header[..], &bytes].concat(), bytes, gso: Some(gso), checksum }
    }

    /// A frame that leaves its checksum alone to be done.
    pub(crate) fn partial() -> Self {
        let mut sample = Self::new(GsoKind::Tcp4, 100, 100);
        sample.with_header[1] = 0;
        Self { gso: None, ..sample }
    }

    pub(crate) fn whole() -> Self {
        let mut sample = Self::partial();
        sample.with_header[..12].fill(0);
        Self { checksum: Checksum::Complete, ..sample }
    }

    pub(crate) fn send<B: Deref<Target = Backend>>(
        &self,
        session: &mut Session<B>,
        form: Form,
        sent: Option<u32>,
    ) -> Result<(), TransmitError> {
        let slices = [IoSlice::new(&self.bytes)];
        let behind = [IoSlice::new(&self.with_header)];
        let frame = Frame::new(&slices).checksum(self.checksum);
        let frame = self.gso.map_or(frame, |gso| frame.gso(gso));
        let raw = |bytes: &[u8]| [RawSlice::new(bytes.as_ptr().cast_mut(), bytes.len())];
        let (gso, checksum) = (self.gso, self.checksum);
        match (form, sent) {
            (Form::Slices, None) => session.send(&frame),
            (Form::Slices, Some(sent)) => session.resume(&frame, sent),
            (Form::Header, None) => session.send_with_header(&behind, 12),
            (Form::Header, Some(sent)) => session.resume_with_header(&behind, 12, sent),
            // SAFETY: the slice lies in a `Vec` of this sample, which is borrowed and not written to during the call.
            (Form::Raw, None) => unsafe { session.send_raw(&raw(&self.bytes), gso, checksum) },
            // SAFETY: as above.
            (Form::Raw, Some(sent)) => unsafe { session.resume_raw(&raw(&self.bytes), gso, checksum, sent) },
            // SAFETY: as above.
            (Form::RawHeader, None) => unsafe { session.send_raw_with_header(&raw(&self.with_header), 12) },
            // SAFETY: as above.
            (Form::RawHeader, Some(sent)) => unsafe {
                session.resume_raw_with_header(&raw(&self.with_header), 12, sent)
            },
        }
    }

    /// What comes out when it is cut here.
    pub(crate) fn segments(&self, header: usize) -> Vec<Vec<u8>> {
        let slices = [IoSlice::new(&self.bytes)];
        let frame = Frame::new(&slices).checksum(self.checksum);
        let mut segments = Vec::new();
        self.gso.map_or(frame, |gso| frame.gso(gso)).carve(0, keep(&mut segments)).unwrap();
        segments.iter().map(|segment| [&vec![0; header], &segment[..]].concat()).collect()
    }
}
