//! Prints the public items of a crate, one a line, sorted: `api DOC.json`, where the file is what rustdoc writes with
//! `--output-format json`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: api DOC.json");
        return ExitCode::from(2);
    };
    // An impl for all types says nothing of this crate.
    match public_api::Builder::from_rustdoc_json(&path).omit_blanket_impls(true).build() {
        Ok(api) => {
            print!("{api}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            eprintln!(
                "if the compiler is newer than the crate public-api: raise its version in ci/api/Cargo.toml"
            );
            ExitCode::FAILURE
        }
    }
}
