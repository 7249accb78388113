//! The sandbox table of the guide, held against the kernel: every method makes the calls of its row, and all of them.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod suite {
    #[expect(dead_code, unused_imports, reason = "a part of it is for other tests")]
    #[path = "../../linux/suite/tap/host.rs"]
    mod host;
    #[expect(dead_code, reason = "a part of it is for other tests")]
    #[path = "../../support/host.rs"]
    mod host_side;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[expect(dead_code, reason = "processes are started by the tracer")]
    #[path = "../../support/process.rs"]
    mod process;
    #[path = "../../support/frames.rs"]
    #[expect(dead_code, reason = "one plain frame is enough here")]
    mod recipes;

    mod attach;
    mod frames;
    mod sandbox;
    mod scenarios;
    mod settings;
    mod tracer;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        process::play(scenarios::ROLES);
        namespace::run(tests![
            scenarios::the_table_has_a_row_for_each_scenario_and_the_other_way_round,
            scenarios::every_method_stands_in_the_table,
            scenarios::a_call_that_is_not_in_the_row_kills,
            scenarios::frames_are_moved_by_four_calls,
            scenarios::every_step_makes_the_calls_of_its_rows_and_its_own_row_has_no_other,
            scenarios::every_step_lives_in_the_sandbox_of_its_rows,
        ])
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    suite::run()
}

/// It asks what each stop of ptrace(2) is, by declarations that libc has for glibc alone.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {}
