//! The guest's user on the host: pings it and fetches pages from it, by the host's own network stack.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::{Event, Os, echo, web};

/// What the guest has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for some hundred frames.
const BYTES: usize = 300_000;

/// Proves that the guest answers ping and HTTP; each proof is a line of output.
pub(crate) fn prove(guest: Ipv4Addr, events: &Receiver<Event>) -> Result<(), Box<dyn Error>> {
    for proof in [ping, greeting, bytes] {
        println!("{}", proof(guest)?);
        if let Ok(event) = events.try_recv() {
            return Err(event.into());
        }
    }
    Ok(())
}

/// Runs the first `ping` there is; where there is none, sends echo requests itself.
fn ping(guest: Ipv4Addr) -> Result<String, Box<dyn Error>> {
    for line in Os::PINGS {
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).arg(guest.to_string()).stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => {
                // Its last lines: how many were answered, and how fast.
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                let summary = lines[lines.len().saturating_sub(2)..].join("; ");
                return Ok(format!("ping {guest} by {program}: {summary}"));
            }
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                return Err(format!("{program}: {}", String::from_utf8_lossy(&text).trim()).into());
            }
            // A search path with a folder that this user may not look into gives `PermissionDenied`.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(format!("{program}: {error}").into()),
        }
    }
    let time = echo::ping(guest, PATIENCE).map_err(|error| format!("ping {guest}: {error}"))?;
    Ok(format!("ping {guest}, as no program ping is here: answered after {time:?}"))
}

fn greeting(guest: Ipv4Addr) -> Result<String, Box<dyn Error>> {
    let body = get(guest, "/")?;
    if body != web::GREETING.as_bytes() {
        return Err(format!("GET / answered {:?}", String::from_utf8_lossy(&body)).into());
    }
    Ok(format!("GET http://{guest}/: {}", web::GREETING.trim()))
}

fn bytes(guest: Ipv4Addr) -> Result<String, Box<dyn Error>> {
    let start = Instant::now();
    let path = format!("/bytes/{BYTES}");
    let body = get(guest, &path)?;
    if !body.iter().copied().eq(web::pattern(BYTES)) {
        return Err(format!("GET {path} answered {} bytes that differ", body.len()).into());
    }
    Ok(format!("GET http://{guest}{path}: all bytes as sent, in {:.1?}", start.elapsed()))
}

/// Fetches a page; anything but a whole answer with status 200 is an error.
fn get(guest: Ipv4Addr, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let failed = |error: io::Error| format!("GET {path}: {error}");
    let whole = exchange((guest, web::PORT).into(), path).map_err(failed)?;
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(&whole)? else {
        return Err(format!("GET {path}: the answer ends in its head").into());
    };
    let body = &whole[head..];
    let length = answer.headers.iter().find(|header| header.name == "Content-Length");
    let length: Option<usize> =
        length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    match (answer.code, length) {
        (Some(200), Some(length)) if body.len() == length => Ok(body.to_vec()),
        (code, length) => {
            Err(format!("GET {path}: status {code:?}, {} of {length:?} bytes", body.len()).into())
        }
    }
}

fn exchange(server: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole)?;
    Ok(whole)
}
