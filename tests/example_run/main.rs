//! The example that runs a command with a TAP, run as its users run it.

#[cfg(target_os = "linux")]
mod suite {
    #[expect(dead_code, reason = "a part of it is for other tests")]
    #[path = "../../support/host.rs"]
    mod host;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[expect(dead_code, reason = "a part of it is for other tests")]
    #[path = "../../support/process.rs"]
    mod process;
    #[path = "../../support/programs.rs"]
    mod programs;

    mod command;
    mod ending;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        command::play();
        process::play(command::ROLES);
        namespace::run(tests![
            command::a_program_moves_frames_by_the_descriptor_it_is_given,
            command::every_queue_has_a_descriptor_and_none_is_left_over,
            command::a_virtio_header_is_there_when_asked_for,
            command::an_ordinary_user_runs_a_command_on_a_tap_made_beforehand,
            command::words_arrive_as_they_are,
            ending::what_cannot_be_run_is_told_before_or_after_the_attach,
            ending::a_terminate_program_is_run_when_the_command_has_ended,
            ending::signals_and_the_status_go_through,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
