//! Asks an illumos or Solaris machine what the library and the model of its kernel take for granted, and prints the
//! answers as lines of JSON. `ci/illumos-facts` compares them with the model's.
//!
//! `{"fact": NAME, "value": ...}` is to be the same on every machine, `{"measured": ...}` need not.

#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod machine;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod questions;

#[cfg(any(target_os = "illumos", target_os = "solaris"))]
fn main() -> std::process::ExitCode {
    machine::run()
}

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
fn main() {
    eprintln!("skipped: only illumos and Solaris have what is asked about");
}
