//! Every kind of frame, sent in every way, into every kind of TAP, over a bridge of the running kernel and out of another
//! TAP: all of it must arrive, as the crate's own carving says, to the byte. The counts are printed for `ci/kernels`.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
