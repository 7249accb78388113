//! When the terminate program runs: exactly when it is owed, once, last.

use tap_plumb::{AttachError, Config, DetachError, ProgramError, Tap};

use super::programs::Programs;

/// Tells in the file `seen` whether the interface is still there. It looks more than once: a program that another test
/// starts at this moment holds copies of all descriptors until its exec closes them.
const LOOK: &str = "for try in 1 2 3 4 5 6 7 8 9; do \
    ip link show dev \"$1\" > /dev/null 2>&1 || { echo gone >> \"$here/seen\"; exit 0; }; sleep 0.02; done; \
    echo there >> \"$here/seen\"";

fn detach(tap: Tap) {
    tap.detach().unwrap();
}

pub(crate) fn hazard_26_terminate_runs_exactly_when_it_is_owed() {
    let setups = [None, Some("exit 0"), Some("exit 1")];
    // Refused at once; claimed and then refused an MTU; attached.
    let attaches: [(&str, fn() -> Config, bool); 3] = [
        ("lo", Config::new, false),
        ("vm1", || Config::new().mtu(1_000_000), false),
        ("vm1", || Config::new().mtu(1400), true),
    ];
    let ends: [(&str, fn(Tap)); 2] = [("drop", drop::<Tap>), ("detach", detach)];
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

pub(crate) fn f38_terminate_finds_the_interface_gone() {
    for finish in [drop::<Tap>, detach] {
        let programs = Programs::new("gone");
        let config = Config::new().name("vm2").up().terminate_program(programs.recorder("terminate", LOOK));
        finish(config.attach().unwrap());
        assert_eq!(programs.text("seen"), "gone\n");
    }
}

pub(crate) fn f38_terminate_runs_once_after_the_last_queue() {
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

pub(crate) fn f38_queues_dropped_at_once_owe_one_run() {
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

pub(crate) fn b40_a_failing_terminate_program_is_an_error_of_detach() {
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

pub(crate) fn hazard_24_neither_program_leaves_a_zombie() {
    let programs = Programs::new("zombies");
    let config = Config::new().name("vm8").setup_program(programs.recorder("setup", ""));
    drop(config.terminate_program(programs.recorder("terminate", "")).attach().unwrap());
    assert!(!programs.lives("setup.pid"));
    assert!(!programs.lives("terminate.pid"));
}
