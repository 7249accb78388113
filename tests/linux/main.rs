//! TAPs of the running Linux kernel: their attach, adoption and control, and the engine on one.

#[cfg(target_os = "linux")]
mod suite {
    #[path = "../../support/host.rs"]
    mod host;
    #[path = "../../support/namespace.rs"]
    mod namespace;
    #[path = "../../support/process.rs"]
    mod process;
    #[path = "../../support/raw_tap.rs"]
    mod raw_tap;
    #[path = "../../support/seccomp.rs"]
    mod seccomp;

    mod addresses;
    mod adopt;
    mod attach;
    mod busy;
    mod datalink;
    mod descriptors;
    mod facts;
    mod facts_requests;
    mod fewest;
    mod interface;
    mod jail;
    mod offload;
    mod queues;
    mod refusals;
    mod removal;
    mod roles;
    mod tap;

    use namespace::tests;

    pub(crate) fn run() -> std::process::ExitCode {
        process::play(&[roles::ROLES, tap::sandbox::ROLES].concat());
        namespace::run(tests![
            // The longest comes first.
            tap::traffic::a_million_frames_each_way_arrive_equal_and_in_order,
            addresses::a_listing_in_a_busy_namespace_is_right_or_an_error,
            addresses::an_address_that_is_there_among_others_changes_nothing,
            addresses::an_address_that_no_host_has_is_refused_before_anything_is_asked,
            addresses::an_address_with_another_end_is_left_alone,
            addresses::an_ipv6_address_can_be_used_at_once,
            addresses::another_prefix_takes_the_place_of_the_old_one_alone,
            addresses::each_call_of_the_setter_adds_one,
            addresses::every_prefix_is_left_as_ip_leaves_it,
            adopt::a_tap_that_takes_pages_only_is_named,
            adopt::flags_are_kept_and_two_are_added,
            adopt::a_filter_of_somebody_else_stays,
            adopt::a_kernel_that_does_not_answer_is_not_trusted,
            adopt::a_refusal_at_a_late_step_gives_the_header_back,
            adopt::every_other_kind_is_named,
            adopt::a_socket_is_not_said_to_have_lost_its_interface,
            adopt::a_socket_without_a_cable_is_not_told_to_be_connected,
            adopt::packet_info_is_found_out_in_every_mode,
            adopt::the_check_of_packet_info_sends_no_frame,
            adopt::a_tap_is_adopted_and_given_out_again,
            adopt::the_descriptor_is_closed_once_and_only_by_its_owner,
            adopt::the_limit_of_a_socket_is_its_send_buffers,
            adopt::headers_of_an_inherited_tap,
            adopt::an_adopted_descriptor_moves_above_the_standard_streams,
            attach::a_socket_pair_is_a_tap_without_a_name,
            attach::the_descriptor_is_non_blocking_and_close_on_exec,
            attach::by_name_settings_are_applied_and_read_back,
            attach::the_kernel_chooses_a_name_or_a_number,
            busy::a_killed_owner_is_waited_for,
            busy::an_owner_of_another_kind_is_waited_for,
            busy::the_holder_is_named_after_the_deadline,
            busy::the_holder_of_a_namesake_elsewhere_is_not_named,
            busy::this_process_is_named_too_and_without_waiting_when_told_so,
            attach::either_takes_what_is_there_and_makes_what_is_not,
            attach::exclusive_takes_nothing_that_is_there,
            attach::must_exist_makes_nothing,
            attach::must_exist_needs_the_name_of_one_interface,
            datalink::a_macvtap_is_opened_by_its_name,
            datalink::several_descriptors_of_a_macvtap_are_its_queues,
            datalink::a_queue_of_a_macvtap_is_detached_and_attached_at_run_time,
            datalink::what_is_no_macvtap_is_named,
            datalink::the_node_of_a_macvtap_on_a_nodev_mount_is_told_apart_from_a_closed_one,
            datalink::an_mtu_above_the_nics_has_a_remedy_that_is_true_of_a_macvtap,
            descriptors::an_error_bears_the_name_that_the_kernel_chose,
            descriptors::nothing_is_left_by_any_request_that_fails,
            descriptors::nothing_is_left_when_descriptors_run_out,
            descriptors::three_hundred_attaches_leave_nothing,
            descriptors::no_descriptor_takes_the_number_of_a_standard_stream,
            descriptors::a_program_has_standard_streams_also_where_its_parent_has_none,
            interface::what_did_not_fit_in_the_queue_is_counted,
            facts::a_blocked_read_ends_when_the_interface_goes,
            facts::a_buffer_shorter_than_the_header_eats_the_frame,
            facts::an_interface_is_made_where_the_node_was_opened,
            facts::headers_are_checked_against_the_frame,
            facts::one_read_takes_one_frame_and_cuts_it,
            facts::poll_tells_the_state,
            facts::writes_are_checked_for_the_ethernet_header_only,
            facts_requests::a_persistent_tap_of_nobody,
            facts_requests::an_interface_that_is_up_is_renamed,
            facts_requests::an_unbound_descriptor_can_do_nothing,
            facts_requests::binding,
            facts_requests::numbers_that_are_refused,
            facts_requests::offloads_that_are_refused,
            facts_requests::orders_of_undoing,
            facts_requests::other_descriptors_do_not_know_the_requests,
            facts_requests::queues_are_detached_once,
            interface::addresses_of_both_kinds,
            interface::addresses_are_given_later_too,
            fewest::a_child_inherits_what_it_is_to,
            fewest::a_fresh_tap_is_bound_and_given_its_header_and_nothing_else,
            fewest::a_persistent_tap_is_somebodys,
            fewest::facts_of_an_attach,
            fewest::queues_are_added_to_a_tap_in_use,
            fewest::the_filter_of_a_tap_that_is_found_stays_when_it_is_to,
            fewest::the_header_is_changed_before_the_first_frame,
            fewest::the_holder_is_not_looked_for_when_it_is_not_to_be,
            fewest::the_state_of_a_duplicate_stays_its_owners,
            fewest::what_was_made_is_told_from_what_was_found,
            interface::an_interface_elsewhere_is_not_mistaken_for_a_namesake,
            interface::a_renamed_interface_is_followed,
            interface::carrier_is_a_signal_to_the_host,
            interface::up_and_down_change_no_other_flag,
            jail::everything_works_without_proc,
            jail::what_is_ready_is_used_without_proc_and_without_a_right,
            jail::frames_flow_and_a_removed_interface_comes_back_without_proc,
            jail::frames_flow_without_proc_and_without_a_right,
            attach::names_the_kernel_keeps_for_itself,
            attach::the_rule_for_names_is_the_kernels,
            offload::a_failed_change_leaves_what_was_recorded,
            offload::offloads_are_turned_off_and_on_at_run_time,
            offload::a_buffer_is_as_large_as_the_offloads_need,
            offload::a_kernel_that_lacks_an_offload_grants_the_rest,
            offload::the_headers_length_stays,
            offload::what_cannot_be_had_is_left_out_and_said,
            refusals::an_unprivileged_process_is_told_what_it_lacks,
            queues::a_further_queue_of_another_mode_is_refused,
            queues::what_one_interface_lacks_is_not_said_of_the_system,
            queues::a_duplicate_is_no_second_queue_of_an_interface_with_a_single_one,
            queues::a_queue_of_an_interface_that_is_elsewhere_is_no_interface_here,
            queues::a_queue_is_detached_and_attached_at_run_time,
            queues::all_queues_are_of_one_interface_which_goes_with_the_last,
            queues::several_inherited_descriptors_are_queues_of_one_interface,
            queues::too_many_queues_are_refused_by_the_kernel_and_undone,
            refusals::the_node_cannot_be_opened,
            refusals::there_is_no_node,
            refusals::a_policy_that_closes_an_open_node_is_thought_of,
            refusals::what_is_no_tap_is_named,
            refusals::a_node_on_a_nodev_mount_is_told_apart_from_a_closed_one,
            refusals::options_that_contradict_are_refused_before_anything_is_asked,
            refusals::settings_that_the_kernel_refuses_name_the_step,
            refusals::somebody_elses_tap_is_told_apart_from_a_new_one,
            refusals::what_a_setting_lacks_is_named,
            removal::a_failed_reattach_can_be_tried_again,
            removal::a_reattach_cannot_change_the_header,
            removal::a_reattach_does_not_take_one_interface_for_another,
            removal::a_socket_cannot_be_bound_again,
            removal::several_queues_come_back_as_one_interface,
            removal::an_interface_that_is_bound_again_outlives_its_descriptors_where_that_is_asked_for,
            removal::the_same_descriptor_is_bound_again,
            descriptors::threads_that_cannot_be_had_leave_nothing,
            descriptors::a_pipe_that_cannot_be_had_leaves_nothing,
            descriptors::the_pipes_of_threads_leave_the_numbers_of_the_standard_streams_alone,
            offload::a_spoilt_tap_gets_header_and_offloads_as_asked,
            offload::an_inherited_taps_carrier_and_send_buffer_are_set,
            offload::short_write_is_an_error_and_no_second_frame,
            offload::no_frame_comes_unfinished_or_is_filtered_away,
            tap::traffic::frames_that_were_not_read_in_time_are_in_the_hosts_own_count,
            tap::traffic::frame_of_a_raised_mtu_is_not_cut_to_the_old_buffer,
            tap::idle::threads_that_have_nothing_to_do_sleep_in_every_state,
            tap::link::carrier_follows_the_guests_link_and_frames_stop,
            tap::link::an_interface_that_is_bound_again_shows_the_guests_link,
            tap::link::interface_down_parks_transmission_until_it_is_up,
            tap::link::rename_and_another_namespace_do_not_disturb_traffic,
            tap::removal::removal_is_one_event_without_spinning,
            tap::removal::reattach_binds_the_same_descriptor_and_counters_survive,
            tap::removal::reattach_under_traffic_both_ways,
            tap::removal::a_frame_that_waited_when_the_interface_went_is_asked_for_after_the_reattach,
            tap::removal::in_a_loop_of_your_own_removal_is_an_outcome,
            tap::sandbox::read_readv_write_and_writev_are_all_calls_whatever_the_outcome,
            tap::sandbox::a_host_without_buffers_costs_no_other_call,
            tap::traffic::what_is_counted_is_what_the_kernel_counts,
            tap::traffic::a_frame_whose_header_finds_no_room_is_counted_as_cut,
            tap::icmp::what_icmp_says_of_an_earlier_datagram_costs_no_later_one,
            tap::icmp::what_icmp_says_while_a_frame_waits_is_no_end,
            tap::icmp::a_datagram_of_ipv6_may_be_longer_than_one_of_ipv4,
            tap::macvtap::the_end_of_a_macvtap_is_found,
            tap::link::queued_frames_are_dropped_on_resume_and_counted,
            tap::link::migration_announces_the_guest,
            tap::link::every_call_is_legal_in_every_state,
            tap::link::reset_drops_the_pending_frame_and_keeps_running,
            tap::offload::oversized_frame_crosses_the_host_whole,
            tap::offload::host_cuts_for_a_receiver_that_cannot,
            tap::offload::software_and_host_give_the_same_segments,
            tap::offload::guest_gets_oversized_frames_whole_or_as_segments,
            tap::offload::header_passes_through_untouched_when_asked_for,
            tap::loops::level_edge_and_one_shot_pollers_see_every_frame,
            tap::loops::sixty_four_taps_on_one_thread,
            tap::loops::sixty_four_quiet_taps_do_not_wake_anybody,
            tap::loops::an_edge_poller_is_told_of_an_interface_that_comes_up_once_it_has_asked_by_poll,
            tap::loops::a_frame_that_comes_in_tells_an_edge_poller_of_writability_too,
            tap::loops::a_duplicate_takes_a_second_interest,
        ])
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
