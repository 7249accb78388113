//! The examples, as their users run them.

use std::path::PathBuf;
use std::process::Command;

/// The folder of the built examples, beside the test binaries. Under cargo they are brought up to date first:
/// `cargo test --test NAME` builds none.
pub(crate) fn build(names: &[&str]) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = profile.ends_with("release").then_some("--release");
        let wanted = names.iter().flat_map(|name| ["--example", name]);
        let build = Command::new(cargo).arg("build").args(wanted).args(release).output().unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    }
    let folder = profile.join("examples");
    for name in names {
        assert!(folder.join(name).exists(), "{name} is not built: cargo build --example {name}");
    }
    folder
}
