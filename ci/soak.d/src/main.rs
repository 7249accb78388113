//! Runs the crate for a long time under everything that can happen to it; `ci/soak` builds and starts it.
//!
//! The supervisor runs one group after the other, each in processes of its own, so that a crash or a hang is seen from
//! outside. A group works in rounds; the seed of a round decides everything in it that chance decides.

mod callers;
mod child;
mod exhaustion;
mod faults;
#[path = "../../../tests/support/frames.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod frames;
mod inputs;
mod kill;
mod supervise;
mod traffic;

use std::process::ExitCode;

use supervise::Plan;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("--child") => child::run(&words[1..]),
        Some("--victim") => kill::victim(&words[1]),
        Some("--scarce-threads") => exhaustion::scarce_threads(),
        _ => match Plan::of(&words) {
            Ok(plan) => supervise::run(&plan),
            Err(complaint) => {
                eprintln!(
                    "{complaint}\nusage: ci/soak [minutes] [--seconds NUMBER] [--group NAME] [--seed NUMBER] [--rounds NUMBER]"
                );
                ExitCode::from(2)
            }
        },
    }
}
