use millrace_contract::topic::ControlTopic;

use crate::payments::{self, topic};
use crate::{
    DeadLetterOwner, Installation, PIPELINES, Pipeline, Service, StreamSpec, TopicSpec, When, Writer, check,
    controls, groups, is_between_jobs, owns_dead_letters, topics,
};

#[test]
fn the_table_is_in_order() {
    let services = Service::ALL.map(|service| *service.spec());
    assert_eq!(check::of_services(&services), [""; 0]);
    for rekeys in [false, true] {
        assert_eq!(check::of_pipelines(PIPELINES, rekeys), [""; 0]);
        assert_eq!(
            check::of_topics(&topics(Installation::ALL.rekeying(rekeys))),
            [""; 0]
        );
    }
    // What is always there needs nothing of what can be left out.
    let always: Vec<_> = PIPELINES
        .iter()
        .filter(|it| it.enabled_by.is_none())
        .copied()
        .collect();
    assert_eq!(check::of_pipelines(&always, false), [""; 0]);
}

fn rekeying(rekeys: bool) -> Installation {
    Installation::default().rekeying(rekeys)
}

#[test]
fn a_service_with_the_name_or_port_of_another_is_found() {
    let [producer, aggregator, ..] = Service::ALL.map(|service| *service.spec());
    let mut other = aggregator;
    other.port = producer.port;
    assert_eq!(
        check::of_services(&[producer, aggregator, other]),
        [
            "producer and aggregator have port 9101",
            "two services are called aggregator"
        ]
    );
}

#[test]
fn of_the_jobs_that_read_a_stream_one_keeps_its_dead_letters() {
    let [rekey, partial, merge, detect] = *payments::PIPELINE.jobs else {
        panic!("other jobs");
    };
    for rekeys in [false, true] {
        let owns = |job| owns_dead_letters(job, rekeys);
        assert!(owns(&partial) && owns(&merge) && !owns(&detect));
        assert_eq!(owns(&rekey), rekeys, "where it runs");
    }
}

/// What is found of a pipeline of one stream, that nobody rekeys.
fn found(stream: StreamSpec, documents: &'static [crate::DocumentSpec]) -> Vec<String> {
    let pipeline = Pipeline {
        name: "one",
        enabled_by: None,
        streams: Vec::leak(vec![stream]),
        jobs: &[],
        documents,
        rows: &[],
    };
    check::of_pipelines(&[&pipeline], false)
}

#[test]
fn an_index_whose_months_are_those_of_another_is_found() {
    const OTHER: crate::DocumentSpec = crate::DocumentSpec {
        index: "millrace-transactions-late",
        ..payments::TRANSACTION_DOCUMENTS
    };
    const DOCUMENTS: &[crate::DocumentSpec] = &[payments::TRANSACTION_DOCUMENTS, OTHER];
    let problems = found(StreamSpec::of_events(topic::TRANSACTIONS, "", &[]), DOCUMENTS);
    let expected = "millrace-transactions-* are the months of millrace-transactions, and of millrace-transactions-late too";
    assert!(problems.contains(&expected.to_owned()), "{problems:?}");
}

#[test]
fn a_stream_that_nobody_reads_writes_or_answers_for_is_found() {
    const SINK: &[DeadLetterOwner] = &[DeadLetterOwner {
        when: When::Always,
        name: "elastic-sink",
    }];
    const DOCUMENTS: &[crate::DocumentSpec] = &[payments::TRANSACTION_DOCUMENTS];
    let good = StreamSpec {
        writer: Writer::Others,
        dead_letters: SINK,
        ..StreamSpec::of_jobs(topic::TRANSACTIONS, 5)
    };
    assert_eq!(found(good, DOCUMENTS), [""; 0]);
    let unread = StreamSpec {
        dead_letters: &[],
        ..good
    };
    assert_eq!(found(unread, &[]), ["nobody reads financial_transactions"]);
    let unwritten = StreamSpec {
        writer: Writer::Jobs,
        ..good
    };
    assert_eq!(
        found(unwritten, DOCUMENTS),
        ["financial_transactions is said to be written by Jobs, and a job writes it: false"]
    );
    let unowned = "financial_transactions has 0 owners of its dead letters";
    assert_eq!(found(unread, DOCUMENTS), [unowned]);
    let of_another = StreamSpec {
        dead_letters: &[DeadLetterOwner {
            when: When::Always,
            name: "detect",
        }],
        ..good
    };
    assert_eq!(
        found(of_another, DOCUMENTS),
        ["detect owns the dead letters of financial_transactions, and does not read it"]
    );
    let elsewhere = StreamSpec {
        name: "other",
        ..good
    };
    let problems = found(elsewhere, DOCUMENTS);
    assert!(
        problems.contains(&"elastic-sink reads financial_transactions, which there is not".to_owned()),
        "{problems:?}"
    );
}

fn kind(topic: &TopicSpec) -> &'static str {
    match topic {
        TopicSpec { compacted: true, .. } => "compacted",
        TopicSpec {
            takes_copies: true, ..
        } => "copies",
        TopicSpec {
            value_schema: Some(_),
            ..
        } => "records",
        _ => "control",
    }
}

/// The names are a contract: clusters have them. In the order in which `init` tells of them.
#[test]
fn payments_have_these_topics() {
    let found = |rekeys| -> Vec<_> {
        let all = topics(rekeying(rekeys)).into_iter();
        all.map(|topic| (topic.name, topic.partitions, kind(&topic)))
            .collect()
    };
    let all = [
        ("financial_transactions", 5, "records"),
        ("transaction_aggregates", 3, "records"),
        ("transaction_anomalies", 3, "records"),
        ("transaction_aggregates.partials", 3, "records"),
        ("transaction_aggregates.control", 5, "control"),
        ("transaction_aggregates.partials.control", 3, "control"),
        ("transaction_anomalies.control", 5, "control"),
        ("financial_transactions.late", 5, "copies"),
        ("dead_letter_replays", 1, "compacted"),
        ("fraud_labels", 1, "records"),
        ("fraud_rules", 1, "compacted"),
        ("lists", 1, "compacted"),
        ("financial_transactions.dlq", 1, "copies"),
        ("transaction_aggregates.dlq", 1, "copies"),
        ("transaction_anomalies.dlq", 1, "copies"),
        ("transaction_aggregates.partials.dlq", 1, "copies"),
    ];
    let of_rekeying = [
        ("financial_transactions.keyed", 5, "records"),
        ("financial_transactions.keyed.control", 5, "control"),
        ("transaction_aggregates.keyed.control", 5, "control"),
        ("transaction_anomalies.keyed.control", 5, "control"),
        ("financial_transactions.keyed.dlq", 1, "copies"),
    ];
    assert_eq!(found(false), all);
    assert_eq!(found(true), [&all[..], &of_rekeying].concat());
    let stamped = topics(rekeying(true))
        .into_iter()
        .filter(|topic| topic.log_append_time);
    let stamped: Vec<_> = stamped.map(|topic| topic.name).collect();
    assert_eq!(stamped, [topic::TRANSACTIONS, topic::KEYED]);
    let by_others = topics(rekeying(true))
        .into_iter()
        .filter(|topic| topic.is_written_by_others);
    let by_others: Vec<_> = by_others.map(|topic| topic.name).collect();
    assert_eq!(by_others, [topic::TRANSACTIONS]);
}

#[test]
fn control_topics_follow_what_their_jobs_read() {
    let pairs = |rekeys| -> Vec<_> {
        let all = controls(rekeying(rekeys)).into_iter();
        all.map(|ControlTopic { topic, input }| (topic, input)).collect()
    };
    let all = [
        (topic::AGGREGATES_CONTROL, topic::TRANSACTIONS),
        (topic::PARTIALS_CONTROL, topic::PARTIALS),
        (topic::ANOMALIES_CONTROL, topic::TRANSACTIONS),
    ];
    let of_rekeying = [
        (topic::KEYED_CONTROL, topic::TRANSACTIONS),
        (topic::AGGREGATES_KEYED_CONTROL, topic::KEYED),
        (topic::ANOMALIES_KEYED_CONTROL, topic::KEYED),
    ];
    assert_eq!(pairs(false), all);
    assert_eq!(pairs(true), [&all[..], &of_rekeying].concat());
}

#[test]
fn groups_read_what_stands_in_the_place_of_their_input() {
    let found = |rekeys| -> Vec<_> {
        let all = groups(rekeying(rekeys)).into_iter();
        all.map(|group| (group.name, group.topics)).collect()
    };
    assert_eq!(
        found(false),
        [
            (
                "millrace-aggregate-partial".to_owned(),
                vec!["financial_transactions"]
            ),
            (
                "millrace-aggregate-merge".to_owned(),
                vec!["transaction_aggregates.partials"]
            ),
            ("millrace-detect".to_owned(), vec!["financial_transactions"]),
            (
                "millrace-elastic-sink".to_owned(),
                vec![
                    "financial_transactions",
                    "transaction_aggregates",
                    "transaction_anomalies"
                ]
            ),
        ]
    );
    assert_eq!(
        found(true),
        [
            ("millrace-rekey".to_owned(), vec!["financial_transactions"]),
            (
                "millrace-aggregate-partial".to_owned(),
                vec!["financial_transactions.keyed"]
            ),
            (
                "millrace-aggregate-merge".to_owned(),
                vec!["transaction_aggregates.partials"]
            ),
            ("millrace-detect".to_owned(), vec!["financial_transactions.keyed"]),
            (
                "millrace-elastic-sink".to_owned(),
                vec![
                    "financial_transactions.keyed",
                    "transaction_aggregates",
                    "transaction_anomalies"
                ]
            ),
        ]
    );
}

/// A row says where its record is: it must not be in another log once transactions are rekeyed.
#[test]
fn rows_are_of_streams_as_they_were_written() {
    let found = |installation: Installation| -> Vec<_> {
        let all = groups(installation.rekeying(true)).into_iter();
        all.filter(|group| [Service::LakeSink, Service::CassandraSink].contains(&group.service))
            .map(|group| (group.name, group.topics))
            .collect()
    };
    let none = Installation::default();
    assert_eq!(found(none), [], "the sinks are not enabled");
    let both = none
        .with(Service::LakeSink, true)
        .with(Service::CassandraSink, true);
    let lake = |more: &[&'static str]| {
        let all = [&[topic::TRANSACTIONS, topic::AGGREGATES, topic::ANOMALIES], more].concat();
        ("millrace-lake-sink".to_owned(), all)
    };
    let cassandra = |more: &[&'static str]| {
        let all = [&[topic::AGGREGATES, topic::ANOMALIES], more].concat();
        ("millrace-cassandra-sink".to_owned(), all)
    };
    assert_eq!(found(both), [lake(&[]), cassandra(&[])]);
    let with_page_views = both.with(Service::Clickstream, true);
    assert_eq!(
        found(with_page_views),
        [
            lake(&["clickstream", "page_views", "sessions"]),
            cassandra(&["page_views"])
        ]
    );
}

#[test]
fn a_pipeline_that_is_enabled_brings_its_own_and_changes_no_other() {
    let (without, with) = (
        Installation::default(),
        Installation::default().with(Service::Clickstream, true),
    );
    let names = |installation| -> Vec<_> {
        let all = topics(installation).into_iter();
        all.map(|topic| (topic.name, topic.partitions, kind(&topic)))
            .collect()
    };
    let brought = [
        ("clickstream", 5, "records"),
        ("page_views", 3, "records"),
        ("page_views.partials", 3, "records"),
        ("sessions", 3, "records"),
        ("page_views.control", 5, "control"),
        ("page_views.partials.control", 3, "control"),
        ("sessions.control", 5, "control"),
        ("clickstream.late", 5, "copies"),
        ("clickstream.dlq", 1, "copies"),
        ("page_views.dlq", 1, "copies"),
        ("page_views.partials.dlq", 1, "copies"),
        ("sessions.dlq", 1, "copies"),
    ];
    assert_eq!(names(with), [&names(without)[..], &brought].concat());
    let groups: Vec<_> = groups(with)
        .into_iter()
        .filter(|it| it.is_job)
        .map(|it| it.name)
        .collect();
    assert_eq!(
        groups[3..],
        [
            "millrace-page-views-partial",
            "millrace-page-views-merge",
            "millrace-sessions"
        ]
    );
    assert_eq!(controls(with).len(), controls(without).len() + 3);
    let services: Vec<_> = Service::of(with)
        .filter(|it| !Service::of(without).any(|of| of == *it))
        .collect();
    assert_eq!(services, [Service::Clickstream]);
    assert_eq!(with.with(Service::Clickstream, false), without);
}

/// Incidents are made of another pipeline's stream: their control topic has its partitions.
#[test]
fn incidents_read_the_anomalies_of_payments() {
    let (without, with) = (
        Installation::default(),
        Installation::default().with(Service::Incidents, true),
    );
    let topics_of = |installation| topics(installation).into_iter();
    let brought: Vec<_> = topics_of(with)
        .skip(topics_of(without).count())
        .map(|topic| (topic.name, topic.partitions, kind(&topic)))
        .collect();
    assert_eq!(
        brought,
        [
            ("fraud_incidents", 3, "records"),
            ("fraud_incidents.control", 3, "control"),
            ("alert_feedback", 1, "compacted"),
            ("fraud_incidents.dlq", 1, "copies"),
        ]
    );
    let groups = groups(with).into_iter();
    let incidents: Vec<_> = groups
        .filter(|group| group.service == Service::Incidents)
        .map(|group| (group.name, group.topics))
        .collect();
    assert_eq!(
        incidents,
        [("millrace-incidents".to_owned(), vec![topic::ANOMALIES])]
    );
    assert!(
        !is_between_jobs(topic::ANOMALIES),
        "another pipeline's job reads it"
    );
}

#[test]
fn what_one_stage_sends_to_the_next_is_between_jobs() {
    let streams = PIPELINES.iter().flat_map(|pipeline| pipeline.streams);
    let between: Vec<_> = streams
        .map(|it| it.name)
        .filter(|it| is_between_jobs(it))
        .collect();
    assert_eq!(
        between,
        [
            topic::PARTIALS,
            crate::clickstream::topic::PARTIALS,
            crate::iot::topic::PARTIALS,
            crate::commerce::topic::REVENUE_PARTIALS,
            crate::commerce::topic::PRODUCT_SALES_PARTIALS,
        ]
    );
}

/// The catalog and the operators name the jobs alike: metrics and snapshots have the operators'.
#[test]
fn the_jobs_are_called_as_their_operators() {
    use millrace_clickstream::{ViewsPerPage, Visits};
    use millrace_engine::keyed::{Fold as _, Machine as _};
    use millrace_engine::windowed::Aggregation as _;

    let names = crate::clickstream::PIPELINE.jobs.iter().map(|job| job.name);
    assert!(names.eq([ViewsPerPage::PARTIAL, ViewsPerPage::MERGE, Visits::NAME]));

    use millrace_iot::{MinutesPerDevice, Watch};
    let names = crate::iot::PIPELINE.jobs.iter().map(|job| job.name);
    assert!(names.eq([MinutesPerDevice::PARTIAL, MinutesPerDevice::MERGE, Watch::NAME]));

    use millrace_commerce::{Funnels, Product, SalesBy, Segment};
    let names = crate::commerce::PIPELINE.jobs.iter().map(|job| job.name);
    assert!(names.eq([
        SalesBy::<Segment>::PARTIAL,
        SalesBy::<Segment>::MERGE,
        SalesBy::<Product>::PARTIAL,
        SalesBy::<Product>::MERGE,
        Funnels::NAME,
    ]));
}
