//! Replays records of what the real code did against the model: of plumbing or of data links, told apart by what is in
//! them. Prints each line that does not come out right, with what was observed and what the model gives.
//!
//! Ends with 0 when no line is wrong, with 1 when one is, with 2 when a file cannot be read or is no record.

#[path = "../tests/support/caller.rs"]
mod caller;
#[path = "../tests/replay/mod.rs"]
mod replay;

use std::process::ExitCode;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: replay FILE...");
        return ExitCode::from(2);
    }
    // A panic of the model is the verdict of a line, and told with it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut code = 0;
    for file in files {
        let name = file.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).map_err(|error| format!("cannot be read: {error}"));
        match text.and_then(|text| replay::run(&text)) {
            Ok(report) => {
                println!("{name}: {report}");
                code = code.max(u8::from(!report.wrong.is_empty()));
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                code = 2;
            }
        }
    }
    ExitCode::from(code)
}
