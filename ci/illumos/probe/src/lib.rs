//! The probe's tests are ordinary tests of std, libc and nix. They pass on Linux; that they pass as illumos programs
//! too is what they are for.
//!
//! ```
//! // documentation's examples are built, linked and run as well
//! assert_eq!(illumos_probe::system(), std::env::consts::OS);
//! ```

/// The system the probe was built for.
pub fn system() -> &'static str {
    std::env::consts::OS
}
