//! A quick round of each fault of `make chaos`: nothing is lost, invented, corrupted or out of order,
//! and nothing is there twice where theory does not allow it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: a panic is how a test fails"
)]

use tests::chaos::faults::{FAULTS, fault};
use tests::chaos::round;
use tests::chaos::scene::Length;

/// Tests that run a round of a fault with a seed. The seed's remainder by 4 says which QoS and which
/// version: 0 is QoS 1 with MQTT 3.1.1, 1 is QoS 2 with 3.1.1, 2 is QoS 1 with 5, 3 is QoS 2 with 5.
macro_rules! rounds {
    ($($sentence:ident: $name:literal, $seed:literal;)*) => {
        $(
            #[test]
            fn $sentence() {
                survives($name, $seed);
            }
        )*

        const NAMES: &[&str] = &[$($name),*];
    };
}

rounds! {
    a_kafka_that_is_killed_costs_nothing: "kafka-kill", 4;
    a_kafka_that_is_killed_before_it_answers_costs_duplicates_at_most: "kafka-kill-swallow", 5;
    a_kafka_that_forgets_its_producers_costs_duplicates_at_most: "kafka-kill-old", 6;
    a_kafka_that_stands_still_costs_nothing: "kafka-stop", 7;
    a_kafka_that_is_restarted_costs_nothing: "kafka-term", 6;
    a_kafka_that_is_away_for_long_costs_nothing: "kafka-away", 5;
    a_host_that_starts_without_kafka_loses_nothing: "kafka-absent", 4;
    a_bad_network_to_kafka_costs_nothing: "kafka-net", 4;
    brokers_that_are_killed_in_turn_cost_nothing: "cluster", 5;
    a_full_disk_of_kafka_costs_nothing: "disk-full", 6;
    a_topic_that_is_made_anew_costs_nothing: "topic-recreate", 7;
    a_topic_that_gets_partitions_costs_nothing: "partitions-added", 4;
    refused_timestamps_disturb_no_other_message: "poison-timestamp", 5;
    refused_keys_disturb_no_other_message: "poison-key", 6;
    a_limit_that_is_lowered_disturbs_no_smaller_message: "limit-lowered", 7;
    records_that_are_too_large_disturb_no_other_message: "too-large", 4;
    a_dead_letter_topic_that_is_missing_is_waited_for: "no-dead-letter", 5;
    a_killed_mqtt_server_makes_host_lose_nothing: "mqtt-kill", 7;
    an_mqtt_server_from_an_older_snapshot_makes_host_lose_nothing: "mqtt-snapshot", 5;
    an_mqtt_server_that_forgets_everything_makes_host_lose_nothing: "mqtt-fresh", 4;
    an_mqtt_server_that_is_restarted_costs_no_duplicates_at_qos_2: "mqtt-term", 7;
    a_bad_network_to_the_mqtt_server_costs_no_duplicates_at_qos_2: "mqtt-net", 5;
    more_waiting_messages_than_packet_ids_make_host_lose_nothing: "mqtt-backlog", 5;
    packet_ids_that_are_given_twice_make_host_lose_nothing: "mqtt-ids", 5;
    a_killed_host_loses_nothing: "host-kill", 6;
    a_host_that_is_killed_at_any_point_of_the_path_loses_nothing: "host-kill-points", 7;
    a_host_that_is_killed_while_kafka_is_away_loses_nothing: "host-kill-outage", 7;
    a_host_that_is_restarted_costs_nothing: "host-term", 6;
    a_host_that_is_stopped_while_kafka_is_away_loses_nothing: "host-term-outage", 4;
    a_host_that_stands_still_costs_no_duplicates_at_qos_2: "host-stop", 7;
    a_client_that_takes_over_costs_no_duplicates_at_qos_2: "host-take-over", 5;
    a_plugin_that_traps_disturbs_no_other_message: "plugin-trap", 5;
    plugins_that_change_while_host_is_killed_cost_duplicates_at_most: "plugin-swap", 6;
    a_host_without_descriptors_loses_nothing: "fd-limit", 7;
    output_that_nobody_reads_stops_nothing: "stdout-stuck", 4;
    output_that_is_closed_stops_nothing: "stdout-closed", 7;
    a_log_that_nobody_reads_stops_nothing: "stderr-stuck", 6;
    a_closed_standard_error_stops_nothing: "stderr-closed", 5;
    one_fault_after_the_other_makes_host_lose_nothing: "mixed", 7;
}

fn survives(name: &str, seed: u64) {
    let outcome = round::run(fault(name).unwrap(), seed, Length::Quick);
    let again = format!("make chaos FAULT={name} ROUNDS=1 SEED={seed} ARGS=--quick");
    assert!(outcome.is_good(), "{outcome}\nto repeat it: {again}");
}

#[test]
fn every_fault_has_a_quick_round() {
    let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(NAMES, names);
}
