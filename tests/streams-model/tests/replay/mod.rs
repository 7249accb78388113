//! Replays the record of what the real code was seen to do, line by line.

mod calls;
mod data;
mod datalink;
mod hidden;
mod interfaces;
pub(crate) mod line;
mod macros;
mod rounds;
pub(crate) mod run;
mod threads;

use std::collections::BTreeMap;
use std::time::Duration;

use streams_model::{Call, Lifreq, Outcome, Privileges, Service, Ticket};

use crate::caller::Caller;
use line::{Line, Verdict};

/// How the reason begins where the replay has no rule for a line.
const UNKNOWN: &str = "the replay does not know";

/// What a line gives: right, or why not.
type Checked = Result<(), String>;

/// One case of the record, from a freshly booted machine on.
pub(crate) struct Replay {
    caller: Caller,
    /// The structure of the last naming or flags call: some lines pass it on as it is.
    lifreq: Lifreq,
    ticket: Option<Ticket>,
    threads: BTreeMap<String, Outcome>,
    up_at: Duration,
    controls: BTreeMap<u32, i32>,
    last_control: i32,
    last_opened: i32,
    address_given: bool,
}

impl Replay {
    pub(crate) fn new(case: &str) -> Self {
        let mut caller = Caller::default();
        caller.kernel.allow_muxid_all();
        caller.kernel.allow_transparent_arp_name();
        let late = case.starts_with("C.late-service");
        caller.kernel.set_service(if late { Service::Late } else { Service::Prompt });
        caller.kernel.set_privileges(Privileges {
            net_rawaccess: case != "B.no-net_rawaccess",
            sys_ip_config: case != "B.no-sys_ip_config",
            open_tap: true,
        });
        Self {
            caller,
            lifreq: Lifreq::default(),
            ticket: None,
            threads: BTreeMap::new(),
            up_at: Duration::ZERO,
            controls: BTreeMap::new(),
            last_control: -1,
            last_opened: -1,
            address_given: false,
        }
    }

    /// Makes the call of a line and compares everything the line tells.
    pub(crate) fn line(&mut self, line: &Line) -> Verdict {
        self.hidden_steps(line);
        self.caller.kernel.take_console();
        if !line.call.starts_with("(messages") {
            self.caller.kernel.take_downward();
        }
        let console = |replay: &mut Self| -> Checked {
            let seen: Vec<_> =
                replay.caller.kernel.take_console().iter().map(|line| line.trim().to_owned()).collect();
            let observed = line.console();
            if seen == observed { Ok(()) } else { Err(format!("console {observed:?}, the model's {seen:?}")) }
        };
        let checked = if line.call.starts_with('(') { self.macro_line(line) } else { self.call_line(line) };
        match checked.and_then(|()| console(self)) {
            Ok(()) => Verdict::Right,
            Err(difference) if difference.starts_with(UNKNOWN) => Verdict::NotCovered(difference),
            Err(difference) => Verdict::Wrong(difference),
        }
    }

    fn close(&mut self, fd: i32) -> Outcome {
        self.caller.call(Call::Close { fd })
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, observed: T, model: T) -> Checked {
    if observed == model {
        Ok(())
    } else {
        Err(format!("{what}: observed {observed:?}, the model gives {model:?}"))
    }
}
