//! The engine on a real TAP, each test in a network namespace of its own.

#[cfg(target_os = "linux")]
mod suite {
    #[path = "../../engine/device.rs"]
    mod device;
    #[expect(dead_code, reason = "a part of it is for other tests")]
    #[path = "../../support/host.rs"]
    mod host_side;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[expect(dead_code, reason = "a part of it is for other tests")]
    #[path = "../../support/process.rs"]
    mod process;
    #[expect(dead_code, reason = "used in parts here")]
    #[path = "../../support/seccomp.rs"]
    mod seccomp;

    mod host;
    mod icmp;
    mod idle;
    mod link;
    mod loops;
    mod macvtap;
    mod offload;
    mod removal;
    mod sandbox;
    mod traffic;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        process::play(sandbox::ROLES);
        namespace::run(tests![
            traffic::a_million_frames_each_way_arrive_equal_and_in_order,
            traffic::frames_that_were_not_read_in_time_are_in_the_hosts_own_count,
            traffic::frame_of_a_raised_mtu_is_not_cut_to_the_old_buffer,
            idle::threads_that_have_nothing_to_do_sleep_in_every_state,
            link::carrier_follows_the_guests_link_and_frames_stop,
            link::an_interface_that_is_bound_again_shows_the_guests_link,
            link::interface_down_parks_transmission_until_it_is_up,
            link::rename_and_another_namespace_do_not_disturb_traffic,
            removal::removal_is_one_event_without_spinning,
            removal::reattach_binds_the_same_descriptor_and_counters_survive,
            removal::reattach_under_traffic_both_ways,
            removal::a_frame_that_waited_when_the_interface_went_is_asked_for_after_the_reattach,
            removal::in_a_loop_of_your_own_removal_is_an_outcome,
            sandbox::read_readv_write_and_writev_are_all_calls_whatever_the_outcome,
            sandbox::a_host_without_buffers_costs_no_other_call,
            traffic::what_is_counted_is_what_the_kernel_counts,
            traffic::a_frame_whose_header_finds_no_room_is_counted_as_cut,
            icmp::what_icmp_says_of_an_earlier_datagram_costs_no_later_one,
            icmp::what_icmp_says_while_a_frame_waits_is_no_end,
            icmp::a_datagram_of_ipv6_may_be_longer_than_one_of_ipv4,
            macvtap::the_end_of_a_macvtap_is_found,
            link::queued_frames_are_dropped_on_resume_and_counted,
            link::migration_announces_the_guest,
            link::every_call_is_legal_in_every_state,
            link::reset_drops_the_pending_frame_and_keeps_running,
            offload::oversized_frame_crosses_the_host_whole,
            offload::host_cuts_for_a_receiver_that_cannot,
            offload::software_and_host_give_the_same_segments,
            offload::guest_gets_oversized_frames_whole_or_as_segments,
            offload::header_passes_through_untouched_when_asked_for,
            loops::level_edge_and_one_shot_pollers_see_every_frame,
            loops::sixty_four_taps_on_one_thread,
            loops::sixty_four_quiet_taps_do_not_wake_anybody,
            loops::an_edge_poller_is_told_of_an_interface_that_comes_up_once_it_has_asked_by_poll,
            loops::a_frame_that_comes_in_tells_an_edge_poller_of_writability_too,
            loops::a_duplicate_takes_a_second_interest,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
