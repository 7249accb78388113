//! The trace: every call as a decoded line, and what looked wrong about it.

use std::fmt;

use crate::call::Outcome;

/// One system call, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1 over all calls.
    pub number: usize,
    /// `open`, `close`, `read`, ..., or the request of an ioctl: `I_STR`, `I_LINK`, `SIOCSLIFNAME`, ...
    pub operation: String,
    /// The request inside an `I_STR`, the path of an open, the module of a push: what the operation is about.
    pub subject: Option<String>,
    /// The descriptor the call was made on.
    pub fd: Option<i32>,
    /// The arguments between the parentheses of the line.
    pub arguments: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the fault plan made it end so.
    pub injected: bool,
}

impl Record {
    /// Whether it is this operation.
    pub fn is(&self, operation: &str) -> bool {
        self.operation == operation
    }

    /// Whether it is this operation about this subject: `("I_STR", "TUNNEWPPA")`, `("open", "/dev/tap")`.
    pub fn is_about(&self, operation: &str, subject: &str) -> bool {
        self.is(operation) && self.subject.as_deref() == Some(subject)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}) = {}", self.operation, self.arguments, self.outcome)
    }
}

/// A violation of an invariant that the real machine would bear, or bear with luck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Which invariant: 2 close-on-exec, 5 unlinking, 6 strioctl, 7 order of closing, 8 the use of a data link.
    pub invariant: u8,
    /// The number of the call.
    pub call: usize,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}, call {}: {}", self.invariant, self.call, self.what)
    }
}
