//! What a guest on an event loop lives through.

use std::time::Duration;

use super::host::{exists, ip, vanishes};
use super::running::{LOOPS, Running, command};

/// More than any test waits for.
const ENDLESS: &str = "60000";

/// Keeps the host from sending anything of its own accord: a frame that comes in tells a poller more than that.
fn quiet() {
    for scope in ["all", "default"] {
        // A kernel without IPv6 has nothing to be silenced.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

pub(crate) fn a_host_answers_and_the_interface_goes_with_the_program() {
    for name in LOOPS {
        let running = Running::start(name, &["vm0", "192.0.2.1/24", "20"]);
        running.wait_for("answer 1");
        assert!(exists("vm0"));
        running.wait_for("answer 20");
        let output = running.end();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        vanishes("vm0");
    }
}

pub(crate) fn an_interface_that_comes_up_is_noticed_without_any_other_frame() {
    quiet();
    for name in LOOPS {
        let running = Running::start(name, &["vm0", "192.0.2.1/24", ENDLESS]);
        running.wait_for("answer");
        for _ in 0..3 {
            ip("link set vm0 down");
            running.wait_for("waits: the interface is down");
            std::thread::sleep(Duration::from_millis(100));
            running.forget();
            ip("link set vm0 up");
            running.wait_for("answer");
        }
    }
}

pub(crate) fn a_removed_interface_ends_the_one_and_is_made_again_by_the_other() {
    let running = Running::start("tokio", &["vm0", "192.0.2.1/24", ENDLESS]);
    running.wait_for("answer");
    ip("link del vm0");
    let output = running.end();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "tokio: the interface is gone\n");
    let running = Running::start("mio", &["vm0", "192.0.2.1/24", ENDLESS]);
    for _ in 0..3 {
        running.wait_for("answer");
        ip("link del vm0");
        running.wait_for("waits: the interface was removed");
        running.forget();
        running.wait_for("answer");
        assert!(exists("vm0"));
    }
}

pub(crate) fn a_wrong_command_line_is_one_sentence() {
    for name in LOOPS {
        for (arguments, expected) in [
            (&[][..], "usage: "),
            (&["vm0", "192.0.2.1"], "usage: "),
            (&["vm0", "192.0.2.1/24", "many"], "usage: "),
            (&["lo", "192.0.2.1/24"], "lo cannot be used"),
        ] {
            let output = command(name, arguments).output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(
                output.status.code() == Some(1) && text.lines().count() == 1,
                "{name} {arguments:?}: {text}"
            );
            assert!(text.contains(expected), "{name} {arguments:?}: {text}");
        }
    }
}
