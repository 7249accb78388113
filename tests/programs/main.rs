//! Setup and terminate programs around the attach of a real TAP.

#[cfg(target_os = "linux")]
mod suite {
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[path = "../../support/programs.rs"]
    mod programs;

    mod owed;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        namespace::run(tests![
            owed::a_setup_program_makes_the_interface_and_a_terminate_program_removes_it,
            owed::the_interface_gets_the_printed_name,
            owed::a_terminate_program_is_told_the_name_the_kernel_chose,
            owed::programs_are_told_the_name_of_an_inherited_descriptor,
            owed::terminate_runs_exactly_when_it_is_owed,
            owed::terminate_finds_the_interface_gone,
            owed::terminate_runs_once_after_the_last_queue,
            owed::queues_dropped_at_once_owe_one_run,
            owed::programs_being_started_do_not_keep_an_interface_alive,
            owed::a_failing_terminate_program_is_an_error_of_detach,
            owed::neither_program_leaves_a_zombie,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
