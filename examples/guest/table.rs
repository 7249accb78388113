//! What was counted, as a table; and whether it adds up.

use std::fmt::{self, Display, Formatter};

use tap_plumb::Statistics;

use crate::machine::HostCounters;

/// The statistics of one run, with the host's own.
pub(crate) struct Table {
    statistics: Statistics,
    host: Option<HostCounters>,
}

/// One sum that must hold: what it says, and its two sides.
struct Sum {
    text: &'static str,
    left: u64,
    right: u64,
}

impl Table {
    pub(crate) fn new(statistics: Statistics, host: Option<HostCounters>) -> Self {
        Self { statistics, host }
    }

    pub(crate) fn print(&self) {
        println!("{:<34}transmit (guest to host)", "receive (host to guest)");
        let (receive, transmit) = (self.statistics.receive.entries(), self.statistics.transmit.entries());
        for row in 0..receive.len().max(transmit.len()) {
            println!("{}    {}", cell(receive.get(row)), cell(transmit.get(row)));
        }
        for sum in self.sums() {
            println!("{sum}");
        }
        if let Some(dropped) = self.statistics.dropped_by_host {
            println!("dropped by the kernel, for want of reading: {dropped}");
        }
    }

    /// Fails when a frame is not accounted for.
    pub(crate) fn check(&self) -> Result<(), String> {
        let wrong = self.sums().into_iter().find(|sum| sum.left != sum.right);
        wrong.map_or(Ok(()), |sum| Err(sum.to_string()))
    }

    fn sums(&self) -> Vec<Sum> {
        let Statistics { receive, transmit, .. } = &self.statistics;
        let accounted = receive.frames_delivered + receive.dropped();
        let mut sums = vec![
            Sum {
                text: "received = delivered + every drop",
                left: receive.frames_received,
                right: accounted,
            },
            Sum {
                text: "offered = sent + every drop",
                left: transmit.frames_offered,
                right: transmit.frames_sent + transmit.dropped(),
            },
        ];
        if let Some(host) = self.host {
            let handed_over = "the kernel handed over = delivered + every drop";
            sums.push(Sum { text: handed_over, left: host.handed_over, right: accounted });
            sums.push(Sum {
                text: "the kernel took = sent",
                left: host.taken,
                right: transmit.segments_sent,
            });
        }
        sums
    }
}

fn cell(entry: Option<&(&str, u64)>) -> String {
    entry.map_or_else(|| " ".repeat(30), |(name, count)| format!("  {name:<18}{count:>10}"))
}

impl Display for Sum {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.left == self.right { "=" } else { "is not" };
        write!(f, "{}: {} {sign} {}", self.text, self.left, self.right)
    }
}
