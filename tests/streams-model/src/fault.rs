//! The fault plan: which call fails, how, and before or after it took effect.

use std::fmt;

use crate::abi::Errno;
use crate::call::Record;
use crate::kernel::Kernel;

/// Picks calls by their decoded record; the outcome in it is not known yet.
pub type Predicate = Box<dyn Fn(&Record) -> bool + Send>;

/// Which call a fault hits.
pub enum When {
    /// The call with this number, counted from 1 over all modelled calls since the kernel was made.
    Call(usize),
    /// The nth call, from 1, that the predicate picks, counted from when the fault was planned.
    Nth(usize, Predicate),
    /// Every call the predicate picks.
    Every(Predicate),
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(number) => write!(f, "Call({number})"),
            Self::Nth(number, _) => write!(f, "Nth({number}, ..)"),
            Self::Every(_) => f.write_str("Every(..)"),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The call fails with this error number.
    Errno(Errno),
    /// The call returns this value: another PPA, a mux id of 0, a pop that never runs out.
    Answer(i64),
    /// `SIOCGLIFMUXID` gives the two ids the wrong way round; other calls are left alone.
    SwapMuxIds,
    /// The call stores this number where a 32-bit result belongs: the first mux id, the MTU, the PPA of a lifreq.
    StoreNumber(u32),
    /// `poll` returns with these events on its first descriptor of the model.
    Events(i16),
    /// A primitive on a data link is not carried out; a `DL_ERROR_ACK` answers it, with this DLPI error and, for
    /// `DL_SYSERR`, error number. Of other calls this and the next two leave all as it is.
    Refuse {
        /// `dl_errno`
        error: u32,
        /// `dl_unix_errno`
        unix: u32,
    },
    /// A primitive on a data link is lost: no answer ever comes.
    NoAnswer,
    /// A primitive on a data link is not carried out; these bytes answer it, ahead of the frames.
    Reply(&'static [u8]),
}

/// Whether the call takes effect all the same. A close always does: its descriptor is gone whatever it returns. A call
/// that makes a descriptor never does: nobody would know the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened.
    Before,
    /// It has happened, as `EINTR` and `ETIME` leave it open.
    After,
}

/// One planned fault.
#[derive(Debug)]
pub struct Fault {
    /// Which call.
    pub when: When,
    /// What.
    pub trouble: Trouble,
    /// In what state the kernel is left.
    pub moment: Moment,
}

/// What somebody else does to the machine just before a call.
pub(crate) type Deed = Box<dyn FnOnce(&mut Kernel) + Send>;

/// The deeds still to be done.
#[derive(Default)]
pub(crate) struct Deeds(Vec<(When, usize, Deed)>);

impl fmt::Debug for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(when, ..)| when)).finish()
    }
}

impl Deeds {
    pub(crate) fn add(&mut self, when: When, deed: Deed) {
        self.0.push((when, 0, deed));
    }

    /// Takes out what is to be done before this call.
    pub(crate) fn take_due(&mut self, record: &Record) -> Vec<Deed> {
        let (due, kept) = std::mem::take(&mut self.0).into_iter().fold(
            (Vec::new(), Vec::new()),
            |(mut due, mut kept), (when, mut seen, deed)| {
                if hits(&when, &mut seen, record) {
                    due.push(deed);
                } else {
                    kept.push((when, seen, deed));
                }
                (due, kept)
            },
        );
        self.0 = kept;
        due
    }

    /// Whether something is to be done before this call; counts nothing.
    pub(crate) fn any_due(&self, record: &Record) -> bool {
        self.0.iter().any(|(when, seen, _)| hits(when, &mut seen.clone(), record))
    }
}

/// The planned faults and how often they struck.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Vec<(Fault, usize)>,
    pub(crate) struck: usize,
}

impl Plan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The fault for this call, counted.
    pub(crate) fn strike(&mut self, record: &Record) -> Option<(Trouble, Moment)> {
        let mut struck = None;
        for (fault, seen) in &mut self.faults {
            if hits(&fault.when, seen, record) {
                struck.get_or_insert((fault.trouble, fault.moment));
            }
        }
        self.struck += usize::from(struck.is_some());
        struck
    }

    /// Whether the next such call would be hit; counts nothing.
    pub(crate) fn would_strike(&self, record: &Record) -> bool {
        self.faults.iter().any(|(fault, seen)| hits(&fault.when, &mut seen.clone(), record))
    }
}

fn hits(when: &When, seen: &mut usize, record: &Record) -> bool {
    match when {
        When::Call(number) => record.number == *number,
        When::Every(predicate) => predicate(record),
        When::Nth(number, predicate) => {
            let picked = predicate(record);
            *seen += usize::from(picked);
            picked && *seen == *number
        }
    }
}
