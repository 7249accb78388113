//! Hypervisors call, one after the other.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log::{info, warn};

use crate::message::ProtocolError;
use crate::pair::Pair;
use crate::report;
use crate::revive::Reviver;
use crate::session::Session;
use crate::socket::{ServeError, Socket};
use crate::stop::Stop;
use crate::worker::Workers;

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
    /// [`ServeError`]. What a hypervisor does wrong, and what is missing for it, ends its own connection only.
    pub fn run(&self, socket: &Socket) -> Result<(), ServeError> {
        while let Some(stream) = socket.accept(&self.stop)? {
            info!("a hypervisor has connected");
            if let Err(error) = self.connection(Arc::new(stream)) {
                warn!("setting up a connection: {error}");
            }
            self.stop.guard(None);
            report::event("disconnected");
            if self.once {
                break;
            }
        }
        Ok(())
    }

    fn connection(&self, stream: Arc<UnixStream>) -> io::Result<()> {
        let workers = Workers::start(&self.pairs, &self.reviver, &stream)?;
        match Session::new(&stream, &self.pairs, self.features).run() {
            Ok(()) => {}
            Err(ProtocolError::Socket(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => warn!("the connection ended: {error}"),
        }
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
        drop(workers);
        Ok(())
    }
}
