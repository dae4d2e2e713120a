//! Every topic of records has a table in the lake, or a reason not to.

use std::collections::BTreeMap;

use millrace_catalog::{Installation, PIPELINES, Retention, Service, is_between_jobs, rows_of};

/// Topics that people's commands write and read, or the generator: none of them is a stream's.
const OF_COMMANDS: [&str; 2] = ["dead_letter_replays", "fraud_labels"];

#[test]
fn every_topic_of_records_has_a_table_or_a_reason_not_to() {
    let tables: Vec<_> = rows_of(Service::LakeSink, Installation::ALL).collect();
    let mut without = BTreeMap::new();
    for stream in PIPELINES.iter().flat_map(|pipeline| pipeline.streams) {
        let name = stream.name;
        if tables.contains(&name) {
            continue;
        }
        let reasons = [
            (
                is_between_jobs(name),
                "it is between two stages, and its sums are in their result",
            ),
            (stream.takes_copies, "its records are copies of another topic's"),
            (
                stream.in_place_of.is_some(),
                "its records are another topic's, in other places",
            ),
            (
                stream.retention == Retention::Compacted,
                "its records go, so that no file can be compared",
            ),
            (OF_COMMANDS.contains(&name), "it is no stream's"),
        ];
        let reason = reasons
            .into_iter()
            .find_map(|(holds, reason)| holds.then_some(reason));
        let reason =
            reason.unwrap_or_else(|| panic!("{name} has no table in the lake, and no reason is known"));
        without.insert(name, reason);
    }
    let states = millrace_catalog::iot::topic::STATES;
    assert!(without.contains_key(states), "{without:?}");
    assert_eq!(
        tables.len() + without.len(),
        PIPELINES.iter().map(|it| it.streams.len()).sum::<usize>()
    );
}

#[test]
fn each_table_is_of_one_stream_and_has_a_name_of_its_own() {
    let rows = PIPELINES.iter().flat_map(|pipeline| pipeline.rows);
    let mut names = BTreeMap::new();
    for rows in rows {
        assert_eq!(
            rows.table.is_some(),
            rows.service == Service::LakeSink,
            "{}",
            rows.stream
        );
        let Some(table) = rows.table else { continue };
        assert_eq!(
            names.insert(table.name, rows.stream),
            None,
            "two tables are called {}",
            table.name
        );
        let mut streams = PIPELINES.iter().flat_map(|pipeline| pipeline.streams);
        let stream = streams.find(|stream| stream.name == rows.stream);
        let schema = stream.and_then(|stream| stream.value_schema);
        assert_eq!(
            schema,
            Some(table.records.schema),
            "{} is read by another schema",
            table.name
        );
    }
}
