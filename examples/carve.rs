//! Cuts the frames of a file into segments: one JSON object a line in, one a line out, in order.
//!
//! ```text
//! cargo run --release --example carve < vectors.jsonl
//! ```
//!
//! In: `name`, `frame` (hex), and either `gso` {`kind`, `network_offset`, `transport_offset`, `header_len`, `segment_size`}
//! or `virtio_net_hdr` (hex). Kinds: tcp4, tcp6, udp4-fragments, udp4-datagrams, udp6-fragments,
//! udp6-datagrams, tcp6-in-4, udp6-in-4.
//! `case` = `complete` puts lengths and checksums of the whole frame right instead; `checksum` says how: `complete` or
//! `pseudo`. With `frame_len` and no frame the context alone is checked.
//!
//! Out: `name` and `segments` [hex], `completed` (hex), `valid` (bool), or `error` (text; with `valid` = false where the
//! frame or its context is at fault).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, BufRead, IoSlice, Write};

use serde::{Deserialize, Serialize};
use tap_plumb::{CarveError, Completion, Frame, Gso, GsoKind, RejectReason};

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    name: serde_json::Value,
    case: Option<String>,
    frame: Option<String>,
    frame_len: Option<usize>,
    gso: Option<Context>,
    virtio_net_hdr: Option<String>,
    checksum: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
struct Context {
    kind: Kind,
    network_offset: u16,
    transport_offset: u16,
    header_len: u16,
    segment_size: u16,
}

#[derive(Clone, Copy, Deserialize)]
enum Kind {
    #[serde(rename = "tcp4")]
    Tcp4,
    #[serde(rename = "tcp6")]
    Tcp6,
    #[serde(rename = "udp4-fragments")]
    Udp4Fragments,
    #[serde(rename = "udp4-datagrams")]
    Udp4Datagrams,
    #[serde(rename = "udp6-fragments")]
    Udp6Fragments,
    #[serde(rename = "udp6-datagrams")]
    Udp6Datagrams,
    #[serde(rename = "tcp6-in-4")]
    Tcp6In4,
    #[serde(rename = "udp6-in-4")]
    Udp6In4,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    name: serde_json::Value,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Segments(Vec<String>),
    Completed(String),
    Valid(bool),
    Error(String),
    #[serde(untagged)]
    Rejected {
        valid: bool,
        error: String,
    },
}

impl From<String> for Outcome {
    fn from(error: String) -> Self {
        Self::Error(error)
    }
}

impl From<&str> for Outcome {
    fn from(error: &str) -> Self {
        Self::Error(error.to_owned())
    }
}

impl From<RejectReason> for Outcome {
    fn from(reason: RejectReason) -> Self {
        Self::Rejected { valid: false, error: reason.to_string() }
    }
}

impl From<CarveError<Infallible>> for Outcome {
    fn from(error: CarveError<Infallible>) -> Self {
        match error {
            CarveError::Rejected(reason) => reason.into(),
            other => other.to_string().into(),
        }
    }
}

fn main() -> io::Result<()> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        serde_json::to_writer(&mut output, &answer(&line))?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

pub(crate) fn answer(line: &[u8]) -> Answer {
    match serde_json::from_slice::<Vector>(line) {
        Ok(vector) => Answer { outcome: vector.run().unwrap_or_else(|outcome| outcome), name: vector.name },
        Err(error) => {
            // Even a line of the wrong shape may have a name to answer to.
            let name = serde_json::from_slice::<serde_json::Value>(line)
                .ok()
                .and_then(|value| value.get("name").cloned())
                .unwrap_or_default();
            Answer { name, outcome: Outcome::Error(error.to_string()) }
        }
    }
}

impl Vector {
    fn run(&self) -> Result<Outcome, Outcome> {
        let Some(frame) = &self.frame else {
            let gso = self.gso.ok_or("neither a frame nor a context")?;
            let len = self.frame_len.ok_or("neither a frame nor its length")?;
            return Ok(Outcome::Valid(Gso::from(gso).check_layout(len).is_ok()));
        };
        let bytes = from_hex(frame)?;
        let slices = [IoSlice::new(&bytes)];
        let frame = self.frame(&slices)?;
        let completion = match (self.case.as_deref(), self.checksum.as_deref()) {
            (Some("complete"), Some("pseudo")) => Completion::Pseudo,
            (Some("complete"), None | Some("complete" | "full")) => Completion::Full,
            (Some("complete"), Some(other)) => return Err(format!("unknown checksum {other:?}").into()),
            (Some("validate"), _) => {
                return frame.validate().map(|()| Outcome::Valid(true)).map_err(Outcome::from);
            }
            _ => return carve(&frame),
        };
        complete(&frame, completion)
    }

    fn frame<'a>(&self, slices: &'a [IoSlice<'a>]) -> Result<Frame<'a>, Outcome> {
        match (&self.gso, &self.virtio_net_hdr) {
            (Some(gso), None) => Ok(Frame::new(slices).gso((*gso).into())),
            (None, Some(header)) => Ok(Frame::from_virtio(&from_hex(header)?, slices)?),
            _ => Err("a frame needs either gso or virtio_net_hdr".into()),
        }
    }
}

impl From<Context> for Gso {
    fn from(context: Context) -> Self {
        let Context { kind, network_offset, transport_offset, header_len, segment_size } = context;
        let kind = match kind {
            Kind::Tcp4 => GsoKind::Tcp4,
            Kind::Tcp6 => GsoKind::Tcp6,
            Kind::Udp4Fragments => GsoKind::Udp4Fragments,
            Kind::Udp4Datagrams => GsoKind::Udp4Datagrams,
            Kind::Udp6Fragments => GsoKind::Udp6Fragments,
            Kind::Udp6Datagrams => GsoKind::Udp6Datagrams,
            Kind::Tcp6In4 => GsoKind::Tcp6In4,
            Kind::Udp6In4 => GsoKind::Udp6In4,
        };
        Self { kind, header_len, segment_size, network_offset, transport_offset }
    }
}

fn carve(frame: &Frame<'_>) -> Result<Outcome, Outcome> {
    let mut segments = Vec::new();
    frame.carve(0, |segment| keep(&mut segments, segment))?;
    Ok(Outcome::Segments(segments))
}

fn complete(frame: &Frame<'_>, completion: Completion) -> Result<Outcome, Outcome> {
    let mut whole = Vec::new();
    frame.complete(completion, |segment| keep(&mut whole, segment))?;
    Ok(Outcome::Completed(whole.concat()))
}

fn keep(segments: &mut Vec<String>, segment: &[IoSlice<'_>]) -> Result<(), Infallible> {
    segments.push(to_hex(segment));
    Ok(())
}

fn to_hex(slices: &[IoSlice<'_>]) -> String {
    let mut text = String::new();
    for byte in slices.iter().flat_map(|slice| slice.iter()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("hex with an odd number of digits".to_owned());
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    pairs.iter().map(byte).collect::<Option<_>>().ok_or_else(|| "not hex".to_owned())
}
