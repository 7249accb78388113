//! Measures tap-plumb beside what it is built on. Run it by `ci/bench`.

mod checksum;
mod frames;
mod gso;
mod measure;
mod report;
mod rig;

use std::process::ExitCode;

use report::Report;
use rig::Rig;
use tap_plumb::Offload;

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
    let which = std::env::args().nth(1).unwrap_or_else(|| "quick".into());
    rig::enter_namespace()?;
    rig::pin();
    let mut report = Report::default();
    if matches!(&*which, "quick" | "all") {
        let rig = Rig::new(0, Offload::NONE)?;
        for len in [1514, 60] {
            frames::transmit(&rig, len, &mut report);
            frames::receive(&rig, len, &mut report);
        }
    }
    if matches!(&*which, "gso" | "all") {
        gso::carve(&mut report);
        gso::super_frame(&Rig::new(1, Offload::ALL)?.backend, &mut report);
        checksum::all(&mut report);
    }
    Ok(report)
}
