//! Measures tap-plumb beside what it is built on. Run it by `ci/bench`.

mod frames;
mod measure;
mod report;
mod rig;

use std::process::ExitCode;

use report::Report;
use rig::Rig;

fn main() -> ExitCode {
    match run() {
        Ok(report) if report.missed.is_empty() => ExitCode::SUCCESS,
        Ok(report) => {
            eprintln!("bounds missed: {}", report.missed.join(" "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Report, Box<dyn std::error::Error>> {
    rig::enter_namespace()?;
    rig::pin();
    let rig = Rig::new(0)?;
    let mut report = Report::default();
    for len in [1514, 60] {
        frames::transmit(&rig, len, &mut report);
        frames::receive(&rig, len, &mut report);
    }
    Ok(report)
}
