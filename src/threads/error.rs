//! Why the threads could not do what was asked of them.

use std::io;

use thiserror::Error;

/// Says why the threads could not do what was asked of them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ThreadsError {
    /// A thread, or the pipe that wakes it, could not be had.
    #[error("starting a thread: {source}")]
    Start {
        /// The system's answer.
        source: io::Error,
    },
    /// Other threads drive the backend; stop them first.
    #[error("other threads drive this backend already: stop them first")]
    AlreadyDriven,
    /// A callback of the frontend held a thread too long.
    #[error("a callback of the frontend does not return")]
    Timeout,
    /// A callback of the frontend panicked; both threads have ended.
    #[error("the frontend panicked on the {thread} thread")]
    Panicked {
        /// `receive` or `transmit`.
        thread: &'static str,
    },
}
