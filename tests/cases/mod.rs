//! The tests, by the part they are about.

mod acknowledged;
mod anew;
mod batches;
mod cassandra;
mod changes;
mod clickstream;
mod commerce;
mod corrupt;
mod dead_letters;
mod early;
mod end_to_end;
mod explain;
mod faults;
mod gateway;
mod incidents;
mod init;
mod instances;
mod iot;
mod lake;
mod lists;
mod long_ids;
mod lost_groups;
mod misplaced;
mod moved;
mod object_store;
mod ownership;
mod partitions;
mod positions;
mod refused;
mod registry;
mod rekeying;
mod replay;
mod retention;
mod rule_changes;
mod sink;
mod time;
mod tls;
mod tokens;
mod unreadable;
mod upgrade;
mod verification;
mod writers;

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;
use millrace_tests::TestContext;

/// A test: it owns its context, and fails by its error.
pub(crate) type Case = Box<dyn Fn(TestContext) -> Pin<Box<dyn Future<Output = Result<()>>>> + Send>;

/// Names a test, says whether it needs the servers for itself, and boxes it.
macro_rules! case {
    ($module:ident::$name:ident) => {
        case!($module::$name, false)
    };
    ($module:ident::$name:ident alone) => {
        case!($module::$name, true)
    };
    ($module:ident::$name:ident, $alone:literal) => {
        (
            concat!(stringify!($module), "::", stringify!($name)),
            $alone,
            Box::new(|context: TestContext| {
                Box::pin($module::$name(context)) as Pin<Box<dyn Future<Output = Result<()>>>>
            }) as Case,
        )
    };
}

/// Run by `cargo test -p millrace-tests -- --include-ignored`; docs/reliability.md has their
/// results.
pub(crate) const TOO_LONG_FOR_CI: [&str; 2] = [
    "faults::too_few_replicas_are_waited_for",
    "faults::rekeying_workers_die",
];

/// Those that take minutes and little of the processors, of all that do not run alone; and one that
/// runs for minutes under load. More of such at once would run into the limits of each other.
pub(crate) const LONGEST: [&str; 3] = [
    "positions::lost_offsets_are_recovered_and_set_ones_refused",
    "changes::hold_from_where_they_say",
    "faults::members_come_and_go",
];

/// Every test with its name, and whether it runs alone.
#[allow(clippy::too_many_lines, reason = "a row a test")]
pub(crate) fn all() -> Vec<(&'static str, bool, Case)> {
    vec![
        case!(registry::registers_once),
        case!(registry::resolves_other_writers),
        case!(registry::refuses_a_field_less),
        case!(init::is_idempotent),
        case!(init::refuses_other_partitions),
        case!(init::leaves_topics_of_others_alone),
        case!(init::refuses_a_compacted_topic),
        case!(init::applies_a_retention_of_ones_own),
        case!(init::leaves_subjects_of_others_alone),
        case!(init::leaves_templates_of_others_alone),
        case!(init::leaves_edits_of_templates_alone),
        case!(init::gives_indices_new_fields),
        case!(init::trusts_whom_it_is_told_to),
        case!(replay::sums_up_to_the_file),
        case!(replay::refuses_what_would_be_late),
        case!(acknowledged::requests_wait_for_their_own_records),
        case!(acknowledged::what_cannot_be_sent_is_told),
        case!(gateway::takes_every_form),
        case!(gateway::nothing_is_lost_or_made_up alone),
        case!(batches::are_sent_once_in_order),
        case!(batches::go_where_they_are_named),
        case!(batches::follow_their_partitions),
        case!(dead_letters::keep_headers_and_time),
        case!(dead_letters::are_cut_and_never_the_end),
        case!(dead_letters::that_cannot_be_sent_are_told),
        case!(dead_letters::are_replayed_once),
        case!(refused::transactions_are_lost_until_they_are_taken),
        case!(refused::a_replay_does_what_was_done),
        case!(object_store::serves_a_recovery),
        case!(instances::any_port_makes_a_name),
        case!(instances::one_name_is_one_process),
        case!(ownership::is_found_for_every_partition),
        case!(changes::hold_from_where_they_say),
        case!(changes::thresholds_hold_after_retention),
        case!(misplaced::are_treated_as_their_time_says),
        case!(rule_changes::hold_while_it_runs),
        case!(rule_changes::need_two_keys),
        case!(rule_changes::that_are_wrong_are_refused),
        case!(explain::is_what_was_decided),
        case!(lists::hold_while_it_runs),
        case!(lists::that_are_wrong_are_refused),
        case!(lists::that_are_no_entries_are_passed_over),
        case!(partitions::are_added_while_it_runs),
        case!(partitions::are_refused_where_records_would_be),
        case!(clickstream::equals_an_offline_computation),
        case!(clickstream::generated_clicks_are_verified),
        case!(lost_groups::repeat_and_lose_nothing),
        case!(moved::offsets_set_forward_are_taken),
        case!(moved::a_topic_made_anew_is_told_apart),
        case!(moved::a_running_sink_goes_on_in_a_new_log),
        case!(anew::a_killed_detector_begins_the_new_log),
        case!(anew::a_running_detector_begins_the_new_log),
        case!(anew::the_rekeying_job_begins_the_new_log),
        case!(anew::the_lake_passes_over_no_new_log),
        case!(anew::elasticsearch_has_both_logs),
        case!(iot::equals_an_offline_computation),
        case!(iot::generated_readings_are_verified),
        case!(commerce::equals_the_raw_topic),
        case!(commerce::generated_events_are_verified),
        case!(incidents::an_attack_is_one_through_kills),
        case!(incidents::verdicts_hold_through_kills),
        case!(incidents::of_a_generated_stream_are_verified),
        case!(positions::lost_offsets_are_recovered_and_set_ones_refused),
        case!(positions::a_replay_waits_for_what_its_control_topic_hides),
        case!(unreadable::a_deleted_topic_holds_up_no_other),
        case!(unreadable::zstd_is_read_and_written),
        case!(unreadable::one_partition_holds_up_no_other),
        case!(corrupt::batches_are_no_records alone),
        case!(retention::a_lost_beginning_is_no_silent_loss),
        case!(retention::an_overtaken_sink_tells_what_it_missed),
        case!(verification::tells_the_truth),
        case!(verification::what_nobody_has_worked_off_is_not_finished),
        case!(sink::one_blocked_month_holds_up_no_other),
        case!(sink::the_clusters_state_is_no_documents_fault),
        case!(sink::vanished_indices_come_back_with_their_types),
        case!(sink::other_content_is_told),
        case!(sink::one_corrected_row_is_told),
        case!(sink::a_rolled_over_alias_doubles_nothing),
        case!(sink::no_room_for_shards_holds_up_new_months_alone),
        case!(sink::a_proxy_spoils_no_document),
        case!(upgrade::a_new_field_passes_through),
        case!(writers::are_read_or_named),
        case!(rekeying::copies_meet_in_one_partition),
        case!(rekeying::switching_over_a_run_is_refused),
        case!(rekeying::a_users_records_keep_their_order),
        case!(end_to_end::sums_to_the_cent),
        case!(lake::is_what_the_topics_are),
        case!(lake::has_every_stream alone),
        case!(cassandra::is_what_the_topics_are),
        case!(long_ids::come_back_in_full),
        case!(early::results_grow_to_the_final_sums),
        case!(tls::services_log_in),
        case!(tls::what_is_wrong_is_told),
        case!(tls::a_right_that_is_taken_is_told),
        case!(tokens::services_log_in_and_renew_their_tokens),
        case!(tokens::what_is_wrong_is_told),
        case!(time::idle_advances_are_repeated),
        case!(time::open_transactions_keep_windows_open),
        case!(time::producers_stamps_bound_nothing),
        case!(faults::workers_die),
        case!(faults::rekeying_workers_die alone),
        case!(faults::members_come_and_go),
        case!(faults::outages_are_waited_for alone),
        case!(faults::servers_die alone),
        case!(faults::too_few_replicas_are_waited_for alone),
    ]
}
