//! The guest's web server: `/` greets, `/bytes/N` is N bytes of [`pattern`].

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

pub(crate) const PORT: u16 = 80;
pub(crate) const GREETING: &str = "Hello from the guest.\n";
const LONGEST_REQUEST: usize = 4096;
const LONGEST_PATTERN: usize = 64 << 20;

/// `len` bytes that repeat at no power of two, so that a frame that is lost, doubled or moved shows.
pub(crate) fn pattern(len: usize) -> impl Iterator<Item = u8> {
    (0..251).cycle().take(len)
}

/// Serves one connection at a time.
pub(crate) struct Server {
    handle: SocketHandle,
    request: Vec<u8>,
    /// The answer, and how much of it is sent; `None` until the request is complete.
    answer: Option<(Vec<u8>, usize)>,
}

impl Server {
    pub(crate) fn new(sockets: &mut SocketSet<'_>) -> Self {
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let handle = sockets.add(Socket::new(buffer(LONGEST_REQUEST), buffer(65536)));
        let mut server = Self { handle, request: Vec::new(), answer: None };
        // Listens before the first frame is looked at, which may be a request already.
        server.serve(sockets);
        server
    }

    /// Does what can be done now.
    pub(crate) fn serve(&mut self, sockets: &mut SocketSet<'_>) {
        let socket = sockets.get_mut::<Socket<'_>>(self.handle);
        if !socket.is_open() {
            self.request.clear();
            self.answer = None;
            // The port is not 0 and the socket not open, which is all that can be wrong.
            let _ = socket.listen(PORT);
        }
        if self.answer.is_none() {
            self.read(socket);
        }
        self.write(socket);
    }

    fn read(&mut self, socket: &mut Socket<'_>) {
        while socket.can_recv() {
            let _ = socket.recv(|bytes| {
                self.request.extend_from_slice(bytes);
                (bytes.len(), ())
            });
        }
        match answer(&self.request) {
            Some(answer) => self.answer = Some((answer, 0)),
            // The client has gone before its request was complete.
            None if socket.state() == State::CloseWait => socket.close(),
            None => {}
        }
    }

    fn write(&mut self, socket: &mut Socket<'_>) {
        let Some((answer, sent)) = &mut self.answer else { return };
        if socket.can_send() {
            *sent += socket.send_slice(&answer[*sent..]).unwrap_or(0);
            if *sent == answer.len() {
                socket.close();
            }
        }
    }
}

/// The answer to a request, or `None` while it is incomplete.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(status) if status.is_complete() => Some(route(parsed.method?, parsed.path?)),
        Ok(_) if request.len() < LONGEST_REQUEST => None,
        Ok(_) | Err(_) => Some(page("400 Bad Request", b"Bad request.\n".to_vec())),
    }
}

fn route(method: &str, path: &str) -> Vec<u8> {
    let len = path.strip_prefix("/bytes/").and_then(|len| len.parse().ok());
    match (method, path, len) {
        ("GET", "/", _) => page("200 OK", GREETING.into()),
        ("GET", _, Some(len)) if len <= LONGEST_PATTERN => page("200 OK", pattern(len).collect()),
        ("GET", ..) => page("404 Not Found", b"Not found.\n".to_vec()),
        _ => page("405 Method Not Allowed", b"Only GET.\n".to_vec()),
    }
}

fn page(status: &str, body: Vec<u8>) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}
