//! What the kernel answers, as far as the crate relies on it. Asserted on Linux 6; elsewhere a difference is printed.

use std::fmt::Debug;
use std::io;

use nix::sys::utsname::uname;

/// Compares facts with what this kernel does.
#[derive(Default)]
pub(crate) struct Facts {
    differences: Vec<String>,
}

/// The errno of a result, 0 for success.
pub(crate) fn errno<T>(result: Result<T, impl Into<io::Error>>) -> i32 {
    result.map_or_else(|error| error.into().raw_os_error().unwrap_or(-1), |_| 0)
}

impl Facts {
    pub(crate) fn check<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.differences.push(format!("{what}: {found:?} where {expected:?} was expected"));
        }
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        if self.differences.is_empty() || std::thread::panicking() {
            return;
        }
        let release = uname().unwrap().release().to_string_lossy().into_owned();
        let text = format!("Linux {release} differs:\n{}", self.differences.join("\n"));
        assert!(!release.starts_with("6."), "{text}");
        eprintln!("{text}");
    }
}
