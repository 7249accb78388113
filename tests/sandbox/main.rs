//! The sandbox table of the guide, held against the kernel: every method makes the calls of its row, and all of them.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod suite;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    suite::run()
}

/// It asks what each stop of ptrace(2) is, by declarations that libc has for glibc alone.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {}
