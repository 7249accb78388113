//! What the kernel answers, as far as the crate relies on it. Each fact was seen on Debian's kernels from 5.10 to 7.3, or says
//! on which; it is asserted on those, and elsewhere a difference is printed.

use std::fmt::Debug;
use std::io;
use std::ops::RangeInclusive;

use nix::sys::utsname::uname;

/// The first two numbers of a kernel's release.
type Release = (u32, u32);

/// Where all facts were looked at.
const SEEN: RangeInclusive<Release> = (5, 10)..=(7, 3);

/// Compares facts with what this kernel does.
#[derive(Default)]
pub(crate) struct Facts {
    differences: Vec<String>,
}

/// The errno of a result, 0 for success.
pub(crate) fn errno<T>(result: Result<T, impl Into<io::Error>>) -> i32 {
    result.map_or_else(|error| error.into().raw_os_error().unwrap_or(-1), |_| 0)
}

/// The running kernel's release, in numbers.
pub(crate) fn release() -> Release {
    let release = name();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).expect("a release begins with two numbers");
    (next(), next())
}

fn name() -> String {
    uname().unwrap().release().to_string_lossy().into_owned()
}

impl Facts {
    pub(crate) fn check<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.differences.push(format!("{what}: {found:?} where {expected:?} was expected"));
        }
    }

    /// A fact that changed with `release`.
    pub(crate) fn check_since<T: PartialEq + Debug>(
        &mut self,
        release: Release,
        what: &str,
        found: T,
        (before, after): (T, T),
    ) {
        self.check(what, found, if self::release() < release { before } else { after });
    }

    /// A fact that some updates of a release changed and others did not: each answer, with the kernels that gave it.
    pub(crate) fn check_any<T: PartialEq + Debug>(&mut self, what: &str, found: T, answers: &[(T, &str)]) {
        match answers.iter().find(|(answer, _)| *answer == found) {
            Some((_, kernels)) => println!("{what}: {found:?}, as on {kernels}"),
            None => {
                self.differences.push(format!("{what}: {found:?}, which no kernel gave: {answers:?}"));
            }
        }
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        if self.differences.is_empty() || std::thread::panicking() {
            return;
        }
        let text = format!("Linux {} differs:\n{}", name(), self.differences.join("\n"));
        assert!(!SEEN.contains(&release()), "{text}");
        eprintln!("{text}");
    }
}
