//! What programs are told, and when the terminate program is owed.

use std::os::fd::OwnedFd;
use std::path::Path;

use tap_plumb::{AttachError, Config, DetachError, ProgramError, Tap};

use super::programs::Programs;

// Which name a program is told, and which name comes from it.

/// Row F36.
pub(crate) fn a_setup_program_makes_the_interface_and_a_terminate_program_removes_it() {
    let programs = Programs::new("makes");
    let setup =
        programs.recorder("setup", "ip tuntap add dev \"$1\" mode tap && ip link set \"$1\" up mtu 1400");
    let terminate = programs.recorder("terminate", "ip link del dev \"$1\"");
    let config = Config::new().name("vm5").must_exist().setup_program(setup).terminate_program(terminate);
    let tap = config.attach().unwrap();
    assert_eq!(tap.mtu().unwrap(), 1400);
    assert!(tap.is_up().unwrap());
    tap.detach().unwrap();
    assert_eq!(programs.calls(), ["setup:1:vm5", "terminate:1:vm5"]);
    assert!(Config::new().name("vm5").must_exist().attach().is_err(), "the interface is left");
}

/// Row F37.
pub(crate) fn the_interface_gets_the_printed_name() {
    let programs = Programs::new("printed");
    let setup = programs.recorder("setup", "echo ' vm7\r'; echo more");
    let config = Config::new().setup_program(setup).terminate_program(programs.recorder("terminate", ""));
    let tap = config.attach().unwrap();
    assert_eq!(tap.name().unwrap().as_str(), Some("vm7"));
    drop(tap);
    assert_eq!(programs.calls(), ["setup:0:", "terminate:1:vm7"]);
}

/// Row B29.
pub(crate) fn a_terminate_program_is_told_the_name_the_kernel_chose() {
    let programs = Programs::new("chosen");
    let terminate = programs.recorder("terminate", "");
    drop(Config::new().terminate_program(&terminate).attach().unwrap());
    drop(Config::new().name("vm%d").terminate_program(&terminate).attach().unwrap());
    assert_eq!(programs.calls(), ["terminate:1:tap0", "terminate:1:vm0"]);
}

/// Row B29.
pub(crate) fn programs_are_told_the_name_of_an_inherited_descriptor() {
    let programs = Programs::new("inherited");
    let fd: OwnedFd = Config::new().name("vm3").attach().unwrap().into_fd().unwrap();
    let config = Config::new().inherited(fd).setup_program(programs.recorder("setup", "echo other"));
    let tap = config.terminate_program(programs.recorder("terminate", "")).attach().unwrap();
    assert_eq!(programs.calls(), ["setup:1:vm3"]);
    let tap = tap.into_fd().expect_err("the terminate program is owed");
    drop(tap);
    assert_eq!(programs.calls(), ["setup:1:vm3", "terminate:1:vm3"]);
}

// When the terminate program runs: exactly when it is owed, once, last.

/// Tells in the file `seen` whether the interface is still there. One look: the tests beside this one start programs
/// too, and each of those holds a copy of the descriptor between its fork and its exec.
const LOOK: &str =
    "ip link show dev \"$1\" > /dev/null 2>&1 && echo there >> \"$here/seen\" || echo gone >> \"$here/seen\"";

fn detach(tap: Tap) {
    tap.detach().unwrap();
}

/// The interface, what is asked of it, and whether the attach succeeds.
type Attach = (&'static str, fn() -> Config, bool);
/// A way to end an attach, by name.
type End = (&'static str, fn(Tap));

/// Row hazard 26.
pub(crate) fn terminate_runs_exactly_when_it_is_owed() {
    let setups = [None, Some("exit 0"), Some("exit 1")];
    // Refused at once; claimed and then refused an MTU; attached.
    let attaches: [Attach; 3] = [
        ("lo", Config::new, false),
        ("vm1", || Config::new().mtu(1_000_000), false),
        ("vm1", || Config::new().mtu(1400), true),
    ];
    let ends: [End; 2] = [("drop", drop::<Tap>), ("detach", detach)];
    for setup in setups {
        for (name, config, attaches) in attaches {
            for (end, finish) in ends {
                let setup_fails = setup == Some("exit 1");
                let owed = if setup.is_some() { !setup_fails } else { attaches };
                let case = format!("setup {setup:?}, {name} attaches: {attaches}, {end}");
                assert_eq!(terminated(setup, config().name(name), finish), usize::from(owed), "{case}");
            }
        }
    }
}

/// Attaches and ends; counts the runs of the terminate program.
fn terminated(setup: Option<&str>, mut config: Config, finish: fn(Tap)) -> usize {
    let programs = Programs::new("matrix");
    if let Some(body) = setup {
        config = config.setup_program(programs.script("setup", body));
    }
    match config.terminate_program(programs.recorder("terminate", LOOK)).attach() {
        Ok(tap) => {
            assert_eq!(programs.calls().len(), 0, "too early");
            finish(tap);
        }
        Err(AttachError::Program(_)) => assert_eq!(setup, Some("exit 1")),
        Err(_) => {}
    }
    // `lo` is not ours to remove.
    let calls = programs.calls();
    assert!(
        calls.iter().all(|call| call == "terminate:1:lo" || programs.text("seen") == "gone\n"),
        "{calls:?}"
    );
    calls.len()
}

/// Row F38.
pub(crate) fn terminate_finds_the_interface_gone() {
    for finish in [drop::<Tap>, detach] {
        let programs = Programs::new("gone");
        let config = Config::new().name("vm2").up().terminate_program(programs.recorder("terminate", LOOK));
        finish(config.attach().unwrap());
        assert_eq!(programs.text("seen"), "gone\n");
    }
}

/// Row F38.
pub(crate) fn terminate_runs_once_after_the_last_queue() {
    let programs = Programs::new("queues");
    let config = Config::new().name("vm4").terminate_program(programs.recorder("terminate", LOOK));
    let mut queues = config.attach_queues(3).unwrap();
    drop(queues.pop());
    queues.pop().unwrap().detach().unwrap();
    assert_eq!(programs.calls(), [] as [&str; 0]);
    queues.pop().unwrap().detach().unwrap();
    assert_eq!(programs.calls(), ["terminate:1:vm4"]);
    assert_eq!(programs.text("seen"), "gone\n");
}

/// Row F38.
pub(crate) fn queues_dropped_at_once_owe_one_run() {
    for round in 0..20 {
        let programs = Programs::new("at once");
        let config = Config::new().name("vm6").terminate_program(programs.recorder("terminate", LOOK));
        let queues = config.attach_queues(4).unwrap();
        std::thread::scope(|scope| {
            for (index, queue) in queues.into_iter().enumerate() {
                scope.spawn(move || if index % 2 == 0 { drop(queue) } else { detach(queue) });
            }
        });
        assert_eq!(programs.calls(), ["terminate:1:vm6"], "round {round}");
        assert_eq!(programs.text("seen"), "gone\n", "round {round}");
    }
}

/// Row F38.
pub(crate) fn programs_being_started_do_not_keep_an_interface_alive() {
    let programs = Programs::new("beside");
    // `/proc/net/dev` is read without the lock under which interfaces are removed, so it shows the moment as it is.
    let look = programs.script("terminate", "! grep -q \"$1:\" /proc/net/dev");
    let setup = programs.script("setup", "");
    std::thread::scope(|scope| {
        for name in ["vm1", "vm2", "vm3", "vm4"] {
            let (setup, look) = (&setup, &look);
            scope.spawn(move || (0..25).for_each(|round| detach_alone(name, round, setup, look)));
        }
    });
}

fn detach_alone(name: &str, round: usize, setup: &Path, look: &Path) {
    let config = Config::new().name(name).setup_program(setup).terminate_program(look);
    let detached = config.attach().unwrap().detach();
    assert!(detached.is_ok(), "{name} is still there in round {round}: {detached:?}");
}

/// Row B40.
pub(crate) fn a_failing_terminate_program_is_an_error_of_detach() {
    let programs = Programs::new("fails");
    let tap = Config::new().terminate_program(programs.recorder("terminate", "exit 5")).attach().unwrap();
    match tap.detach() {
        Err(DetachError::Program(ProgramError::Status { program, status: 5 })) => {
            assert!(program.ends_with("terminate"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(programs.calls().len(), 1, "a failure is not repeated");
    // A drop has nobody to tell, and goes on.
    drop(Config::new().terminate_program(programs.script("again", "exit 5")).attach().unwrap());
}

/// Row hazard 24.
pub(crate) fn neither_program_leaves_a_zombie() {
    let programs = Programs::new("zombies");
    let config = Config::new().name("vm8").setup_program(programs.recorder("setup", ""));
    drop(config.terminate_program(programs.recorder("terminate", "")).attach().unwrap());
    assert!(!programs.lives("setup.pid"));
    assert!(!programs.lives("terminate.pid"));
}
