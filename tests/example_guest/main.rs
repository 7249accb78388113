//! The guest example, run as its users run it.

#[cfg(target_os = "linux")]
mod suite {
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[path = "../../support/programs.rs"]
    mod programs;

    mod ending;
    mod guest;
    mod proof;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        namespace::run(tests![
            proof::a_guest_answers_ping_and_http_and_every_frame_is_accounted_for,
            proof::a_host_without_ping_sends_its_own_echo_request,
            proof::an_inherited_descriptor_serves_as_well,
            proof::without_an_address_the_interface_is_left_as_it_is,
            proof::attach_only_runs_both_programs_in_every_cycle,
            ending::an_ordinary_user_is_told_what_to_do,
            ending::a_wrong_option_is_one_sentence,
            ending::ctrl_c_detaches_cleanly,
            ending::a_removed_interface_ends_the_guest,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
