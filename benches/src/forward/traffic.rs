//! TCP through a forwarder, by iperf3. Client, server and forwarder share one processor: what the whole path costs decides,
//! and not who is asleep on another one when a frame comes.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::contenders::Contender;
use super::far::Far;
use crate::measure::Cost;
use crate::rig::{Outcome, WORKER};

/// So little that no queue overflows: what TCP makes of losses is a matter of luck.
const WINDOW: &str = "512K";
/// What a client may need until it finds the server listening.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// The server in the far namespace.
pub struct Server(Child);

impl Server {
    pub fn start(far: &Far) -> Outcome<Self> {
        let child = far.run(|| {
            let mut command = Command::new("iperf3");
            command.args(["--server", "--affinity", &WORKER.to_string()]).stdout(Stdio::null());
            command.spawn().map_err(|error| format!("iperf3 (Debian: iperf3): {error}").into())
        })?;
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds a gigabyte, and the seconds of processor time that this process spent on each.
pub fn run(contender: &Contender, bytes: u64) -> Outcome<Cost<2>> {
    let mut last = None;
    for _ in 0..TRIES {
        match once(contender, bytes) {
            Ok(cost) => return Ok(cost),
            // The server listens anew after each client.
            Err(error) => last = Some(error),
        }
        sleep(PAUSE);
    }
    Err(last.unwrap_or_else(|| "never tried".into()))
}

fn once(contender: &Contender, bytes: u64) -> Outcome<Cost<2>> {
    let before = processor_seconds()?;
    let output = Command::new("timeout")
        .args(["10", "iperf3", "--json", "--connect-timeout", "3000", "--window", WINDOW])
        .args(["--affinity", &WORKER.to_string(), "--bytes", &bytes.to_string()])
        .args(["--client", &contender.server])
        .output()?;
    let used = processor_seconds()? - before;
    let result: Value = serde_json::from_slice(&output.stdout)?;
    let received = &result["end"]["sum_received"];
    match (received["bits_per_second"].as_f64(), received["bytes"].as_f64()) {
        (Some(rate), Some(bytes)) if rate > 0.0 => Ok([8e9 / rate, used * 1e9 / bytes]),
        _ => Err(format!("iperf3 to {}: {}", contender.name, result["error"]).into()),
    }
}

/// Of this process alone: the forwarder that is measured is the only one of its threads that works.
fn processor_seconds() -> Outcome<f64> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?).as_secs_f64())
}
