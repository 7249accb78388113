//! What is told on standard output: one JSON object a line.

use std::io::{Write, stdout};

use serde_json::{Map, Value, json};
use tap_plumb::{Offload, Statistics};

use crate::counts::Counts;
use crate::pair::Pair;

/// Prints one line. That nobody reads it any more is no reason to end a guest's network.
fn print(value: &Value) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// An event without particulars.
pub fn event(name: &str) {
    print(&json!({ "event": name }));
}

/// The socket is there.
pub fn listening(path: &str, interface: Option<&str>, queues: usize) {
    print(&json!({ "event": "listening", "path": path, "interface": interface, "queues": queues }));
}

/// What a guest agreed to, and what the TAP does for it.
pub fn features(acknowledged: u64, pairs: &[Pair]) {
    let offload = pairs.first().map(|pair| offload(pair.backend.tap().offload()));
    print(&json!({ "event": "features", "acked": format!("{acknowledged:#x}"), "offload": offload }));
}

fn offload(offload: Offload) -> Value {
    json!({
        "header_len": offload.header_len,
        "checksum": offload.checksum,
        "tcp4": offload.tcp4,
        "tcp6": offload.tcp6,
        "tcp_ecn": offload.tcp_ecn,
        "udp": offload.udp,
    })
}

/// Every counter: of each queue, and added up.
pub fn statistics(pairs: &[Pair]) {
    let queues: Vec<Queue> =
        pairs.iter().map(|pair| Queue::of(&pair.backend.statistics(), &pair.counts)).collect();
    let mut total = Queue::default();
    for queue in &queues {
        total.add(queue);
    }
    // The host counts for the interface, whichever queue is asked.
    let dropped_by_host = pairs.first().and_then(|pair| pair.backend.statistics().dropped_by_host);
    print(&json!({
        "event": "statistics",
        "transmit": total.transmit,
        "receive": total.receive,
        "dropped_by_host": dropped_by_host,
        "queues": queues.iter().map(|queue| json!({ "transmit": queue.transmit, "receive": queue.receive })).collect::<Vec<_>>(),
    }));
}

/// The counters of one queue by name.
#[derive(Default)]
struct Queue {
    transmit: Map<String, Value>,
    receive: Map<String, Value>,
}

impl Queue {
    fn of(statistics: &Statistics, counts: &Counts) -> Self {
        let mut queue = Self::default();
        let transmit = statistics.transmit.entries().into_iter().chain(counts.transmit.entries());
        let receive = statistics.receive.entries().into_iter().chain(counts.receive.entries());
        queue.transmit.extend(transmit.map(named));
        queue.receive.extend(receive.map(named));
        queue.transmit.extend([named(("not_agreed", counts.transmit_not_agreed.get()))]);
        let more = [
            ("not_agreed", &counts.receive_not_agreed),
            ("segments_cut", &counts.receive_segments_cut),
            ("waits", &counts.receive_waits),
        ];
        queue.receive.extend(more.map(|(name, count)| named((name, count.get()))));
        queue
    }

    fn add(&mut self, other: &Self) {
        for (sum, part) in [(&mut self.transmit, &other.transmit), (&mut self.receive, &other.receive)] {
            for (name, value) in part {
                let before = sum.get(name).and_then(Value::as_u64).unwrap_or(0);
                sum.insert(name.clone(), json!(before + value.as_u64().unwrap_or(0)));
            }
        }
    }
}

fn named((name, value): (&'static str, u64)) -> (String, Value) {
    (name.to_owned(), json!(value))
}
