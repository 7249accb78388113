//! Hypervisors call, one after the other.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use log::{debug, info, warn};
use thiserror::Error;
use vhost::vhost_user::{Error as ProtocolError, Listener};
use vhost_user_backend::{Error as DaemonError, VhostUserDaemon};
use vmm_sys_util::epoll::EventSet;

use crate::device::Device;
use crate::pair::Pair;
use crate::relay;
use crate::report;
use crate::revive::Reviver;
use crate::stop::Stop;

/// Why no hypervisor can be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The socket could not be made.
    #[error("listening at {}: {source}; is its directory there and writable, and nobody else at that path?", path.display())]
    Listen {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A connection could not be taken.
    #[error("taking a connection: {0}")]
    Accept(#[source] io::Error),
    /// A thread or a descriptor for the connection could not be had.
    #[error("setting up a connection: {0}")]
    SetUp(#[source] io::Error),
    /// The library could not be started.
    #[error("starting the device: {0}")]
    Device(DaemonError),
}

/// A listening socket, whose path goes with it.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`. A socket that a dead process left there is replaced.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn listen(path: &Path) -> Result<Self, ServeError> {
        let listener = remove_stale(path).and_then(|()| UnixListener::bind(path));
        match listener {
            Ok(listener) => Ok(Self { listener, path: path.to_owned() }),
            Err(source) => Err(ServeError::Listen { path: path.to_owned(), source }),
        }
    }

    /// Waits for a connection; `None` when the end was asked for instead.
    ///
    /// # Errors
    /// [`ServeError::Accept`].
    pub fn accept(&self, stop: &Stop) -> Result<Option<UnixStream>, ServeError> {
        if !stop.wait_readable(self.listener.as_fd()).map_err(ServeError::Accept)? {
            return Ok(None);
        }
        let (stream, _) = self.listener.accept().map_err(ServeError::Accept)?;
        let guarded = stream.try_clone().map_err(ServeError::Accept)?;
        stop.guard(Some(guarded));
        Ok(Some(stream))
    }
}

/// Removes a socket that nobody listens at, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    // A file of any other kind refuses connections just the same.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    match UnixStream::connect(path) {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            debug!("removing {}: {error}", self.path.display());
        }
    }
}

/// What every connection is served with.
pub struct Service {
    /// The queues.
    pub pairs: Arc<[Pair]>,
    /// The feature bits to offer.
    pub features: u64,
    /// Told of a removed interface.
    pub reviver: Arc<Reviver>,
    /// The wish to end.
    pub stop: Arc<Stop>,
    /// End after the first connection.
    pub once: bool,
}

impl Service {
    /// Serves one hypervisor after the other, until the end is asked for.
    ///
    /// # Errors
    /// [`ServeError`]. What a hypervisor does wrong ends its own connection only.
    pub fn run(&self, socket: &Socket) -> Result<(), ServeError> {
        let inner = inner(&socket.path);
        // A path that is too long by this much is better found out now than by the first hypervisor.
        SocketAddr::from_pathname(&inner)
            .map_err(|source| ServeError::Listen { path: inner.clone(), source })?;
        while let Some(stream) = socket.accept(&self.stop)? {
            info!("a hypervisor has connected");
            let served = self.connection(&inner, stream);
            self.stop.guard(None);
            self.pairs.iter().for_each(Pair::rest);
            served?;
            report::event("disconnected");
            if self.once {
                break;
            }
        }
        Ok(())
    }

    fn connection(&self, inner: &Path, hypervisor: UnixStream) -> Result<(), ServeError> {
        let device = Arc::new(Device::new(Arc::clone(&self.pairs), self.features, Arc::clone(&self.reviver)));
        let mut daemon = VhostUserDaemon::new("vhost-user".to_owned(), Arc::clone(&device), device.memory())
            .map_err(ServeError::Device)?;
        let near = start(&mut daemon, inner)?;
        listen(&daemon, &device, &self.pairs).map_err(ServeError::SetUp)?;
        let relay = thread::Builder::new().name("relay".to_owned());
        let relay = relay.spawn(move || relay::run(&hypervisor, &near)).map_err(ServeError::SetUp)?;
        match daemon.wait() {
            Ok(()) => {}
            Err(DaemonError::HandleRequest(ProtocolError::Disconnected | ProtocolError::PartialMessage)) => {}
            Err(error) => warn!("the connection ended: {error}"),
        }
        // It cannot panic, and ends with the connection.
        let _ = relay.join();
        Ok(())
    }
}

type Daemon = VhostUserDaemon<Arc<Device>>;

/// Where the library takes our connection, beside the hypervisor's socket.
fn inner(path: &Path) -> PathBuf {
    let mut inner = path.as_os_str().to_owned();
    inner.push(".inner");
    inner.into()
}

/// Starts the library on a connection of ours; it takes one only from a listener.
fn start(daemon: &mut Daemon, inner: &Path) -> Result<UnixStream, ServeError> {
    let socket = Socket::listen(inner)?;
    let near = UnixStream::connect(&socket.path).map_err(ServeError::SetUp)?;
    let listener = socket.listener.try_clone().map_err(ServeError::SetUp)?;
    daemon.start(&mut Listener::from(listener)).map_err(ServeError::Device)?;
    Ok(near)
}

/// Adds the TAP's descriptors and the pairs' wake-ups to the library's event loops. The TAP reports edges: each batch drains
/// what it can, and what stops it is something that an event ends.
fn listen(daemon: &Daemon, device: &Device, pairs: &[Pair]) -> io::Result<()> {
    for (handler, pair) in daemon.get_epoll_handlers().iter().zip(pairs) {
        let edges = EventSet::IN | EventSet::OUT | EventSet::EDGE_TRIGGERED;
        handler.register_listener(pair.backend.as_fd().as_raw_fd(), edges, device.tap_event())?;
        handler.register_listener(pair.wake.as_fd().as_raw_fd(), EventSet::IN, device.wake_event())?;
    }
    Ok(())
}
