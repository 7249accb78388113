//! Attach, adopt and control of TAPs against the running Linux kernel.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
