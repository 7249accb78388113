//! The list of tests; each file is about one behaviour.

#[path = "../../support/namespace.rs"]
mod namespace;

mod attach;

use namespace::tests;

pub(crate) fn run() -> std::process::ExitCode {
    namespace::run(tests![
        attach::by_name_settings_are_applied_and_read_back,
        attach::the_kernel_chooses_a_name_or_a_number,
        attach::a_socket_pair_is_a_tap_without_a_name,
    ])
}
