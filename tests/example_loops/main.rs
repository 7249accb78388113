//! The examples of event loops, run as their users run them.

#[cfg(target_os = "linux")]
mod suite {
    #[expect(dead_code, reason = "used in parts here")]
    #[path = "../../support/host.rs"]
    mod host;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[path = "../../support/programs.rs"]
    mod programs;

    mod life;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        namespace::run(tests![
            life::a_host_answers_and_the_interface_goes_with_the_program,
            life::an_interface_that_comes_up_is_noticed_without_any_other_frame,
            life::a_removed_interface_ends_the_one_and_is_made_again_by_the_other,
            life::a_wrong_command_line_is_one_sentence,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
