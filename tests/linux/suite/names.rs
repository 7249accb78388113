//! The rule for names is the kernel's own: what passes it is accepted, what breaks it would be refused or cut.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tap_plumb::{AttachError, Config};

use super::raw_tap::{self, BARE, TAP};

/// Row B30.
pub(crate) fn the_rule_for_names_is_the_kernels() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() });
    // Few letters and many troublemakers, so that most names are near an edge of the rule.
    let name = proptest::collection::vec(
        prop_oneof![
            3 => "[a-z0-9]{1,5}".prop_map(String::from),
            2 => proptest::sample::select(vec![".", "/", ":", " ", "%", "%d", "%s", "\t", "\u{b}", "\n", "-", "é", "à"]).prop_map(String::from),
            1 => any::<char>().prop_map(|letter| letter.to_string()),
        ],
        0..5,
    );
    runner
        .run(&name.prop_map(|parts| parts.concat()), |name| {
            compare(&name);
            Ok(())
        })
        .unwrap();
}

/// Row B30.
pub(crate) fn names_the_kernel_keeps_for_itself() {
    for name in [".", "..", "all", "default", "lo", "a23456789012345", "a234567890123456", "%d", "x%d%d"] {
        compare(name);
    }
}

fn compare(name: &str) {
    let ours = Config::new().name(name).attach();
    if ours.is_ok() {
        drop(ours);
        let kernels = raw_tap::bind_patiently(raw_tap::open(), name.as_bytes(), TAP | BARE);
        let cut = kernels.as_ref().is_ok_and(|given| !name.contains("%d") && given != name);
        assert!(kernels.is_ok() && !cut, "{name:?}: {kernels:?}");
        return;
    }
    if let Err(AttachError::BadName { .. }) = ours {
        // An empty name is the kernel's choice, which has a method of its own here; a NUL ends the name.
        if name.is_empty() || name.contains('\0') {
            return;
        }
        let kernels = raw_tap::bind_patiently(raw_tap::open(), name.as_bytes(), TAP | BARE);
        // A name that was cut inside U+FFFD looks the same when it is shown.
        let cut = name.len() > 15;
        assert!(kernels.as_ref().map_or(true, |given| cut || given != name), "{name:?}: {kernels:?}");
        return;
    }
    // What exists and is no TAP is told apart later.
    assert_eq!(name, "lo", "{ours:?}");
}
