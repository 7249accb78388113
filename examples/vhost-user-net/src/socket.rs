//! The listening socket, and the lock that says whose it is.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::{debug, warn};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use thiserror::Error;

use crate::stop::Stop;

/// How long a connection that could not be taken is left waiting.
const PAUSE: Duration = Duration::from_millis(100);

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
    /// Another daemon listens there, or is about to.
    #[error("listening at {}: another daemon holds {}", path.display(), lock.display())]
    Locked {
        /// The socket's path.
        path: PathBuf,
        /// The lock's.
        lock: PathBuf,
    },
    /// Waiting for a connection failed.
    #[error("waiting for a connection: {0}")]
    Wait(#[source] io::Error),
}

/// A listening socket, whose path goes with it.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of what was made at the path.
    made: Option<(u64, u64)>,
    _lock: Lock,
}

impl Socket {
    /// Listens at `path`. A socket that a dead process left there is replaced; one that somebody listens at is not touched, nor
    /// even called.
    ///
    /// # Errors
    /// [`ServeError::Listen`], [`ServeError::Locked`].
    pub fn listen(path: &Path) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { path: path.to_owned(), source };
        let locked = |lock| ServeError::Locked { path: path.to_owned(), lock };
        let lock_path = beside(path);
        let lock = Lock::take(&lock_path).map_err(failed)?.ok_or_else(|| locked(lock_path))?;
        let listener = remove_stale(path).and_then(|()| UnixListener::bind(path)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), made: identity(path), _lock: lock })
    }

    /// Waits for a connection; `None` when the end was asked for instead. One that cannot be taken, for want of descriptors say,
    /// waits until it can.
    ///
    /// # Errors
    /// [`ServeError::Wait`].
    pub fn accept(&self, stop: &Stop) -> Result<Option<UnixStream>, ServeError> {
        let mut said = None;
        while stop.wait_readable(self.listener.as_fd()).map_err(ServeError::Wait)? {
            match self.take(stop) {
                Ok(stream) => return Ok(Some(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    if said != error.raw_os_error() {
                        warn!("taking a connection: {error}");
                        said = error.raw_os_error();
                    }
                    stop.wait(PAUSE).map_err(ServeError::Wait)?;
                }
            }
        }
        Ok(None)
    }

    fn take(&self, stop: &Stop) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(false)?;
        stop.guard(Some(stream.try_clone()?));
        Ok(stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What somebody else has put there is his.
        if self.made.is_some()
            && identity(&self.path) == self.made
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            debug!("removing {}: {error}", self.path.display());
        }
    }
}

/// Device and inode of what is at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

/// Removes a socket that nobody listens at, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    // A datagram socket cannot connect to a listener, and the listener does not notice the try. The error tells whether there
    // is a listener.
    let answer = UnixDatagram::unbound()?.connect(path);
    match answer {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

/// The lock's path: the socket's with an ending.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

/// A locked file, removed when dropped.
struct Lock {
    _file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// `None` when another process holds it.
    fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = open(path, flags, Mode::RUSR | Mode::WUSR)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
                Ok(()) => {}
            }
            // Its last holder may have removed it between the two calls: then it is nobody's.
            let status = fstat(&file)?;
            if identity(path) == Some((status.st_dev, status.st_ino)) {
                return Ok(Some(Self { _file: file, path: path.to_owned() }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The daemon removes the file while it holds the lock, so it removes only its own file.
        if let Err(error) = std::fs::remove_file(&self.path) {
            debug!("removing {}: {error}", self.path.display());
        }
    }
}
