//! Payments: transactions, rekeyed where the settings ask for it; their sums for each merchant and
//! minute, in two stages; fraud alerts.

pub mod topic;

use millrace_domain::codec::DecodedAnomaly;
use millrace_domain::{MerchantAggregate, Transaction, schema};

use self::topic::{
    AGGREGATES, AGGREGATES_CONTROL, AGGREGATES_KEYED_CONTROL, ANOMALIES, ANOMALIES_CONTROL,
    ANOMALIES_KEYED_CONTROL, DEAD_LETTER_REPLAYS, FRAUD_LABELS, FRAUD_RULES, KEYED, KEYED_CONTROL, LATE,
    LISTS, PARTIALS, PARTIALS_CONTROL, TRANSACTIONS,
};
use crate::{
    DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, Retention, RowsSpec, Service, StreamSpec, When, Writer,
};

/// The pipeline.
pub const PIPELINE: Pipeline = Pipeline {
    name: "payments",
    enabled_by: None,
    streams: STREAMS,
    jobs: &[REKEY, AGGREGATE_PARTIAL, AGGREGATE_MERGE, DETECT],
    documents: &[TRANSACTION_DOCUMENTS, AGGREGATE_DOCUMENTS, ANOMALY_DOCUMENTS],
    rows: &[
        RowsSpec::lake_events::<Transaction>(TRANSACTIONS, "transactions", "transactionTime"),
        RowsSpec::lake_bodies::<MerchantAggregate>(AGGREGATES, "transaction_aggregates", "windowStart")
            .with_money(&["minAmount", "maxAmount"]),
        RowsSpec::lake_bodies::<DecodedAnomaly>(ANOMALIES, "anomalies", "eventTime"),
        RowsSpec::cassandra(AGGREGATES),
        RowsSpec::cassandra(ANOMALIES),
    ],
};

const STREAMS: &[StreamSpec] = &[
    StreamSpec {
        log_append_time: true,
        value_schema: Some(schema::TRANSACTION),
        writer: Writer::Others,
        dead_letters: &[
            owner(When::NotRekeyed, AGGREGATE_PARTIAL.name),
            owner(When::Rekeyed, REKEY.name),
        ],
        ..StreamSpec::of_jobs(TRANSACTIONS, 5)
    },
    StreamSpec {
        value_schema: Some(schema::MERCHANT_AGGREGATE),
        dead_letters: &[owner(When::Always, Service::ElasticSink.name())],
        ..StreamSpec::of_jobs(AGGREGATES, 3)
    },
    StreamSpec {
        value_schema: Some(schema::ANOMALY),
        dead_letters: &[owner(When::Always, Service::ElasticSink.name())],
        ..StreamSpec::of_jobs(ANOMALIES, 3)
    },
    StreamSpec {
        value_schema: Some(schema::AGGREGATE_PARTIAL),
        dead_letters: &[owner(When::Always, AGGREGATE_MERGE.name)],
        ..StreamSpec::of_jobs(PARTIALS, 3)
    },
    StreamSpec {
        when: When::Rekeyed,
        in_place_of: Some(TRANSACTIONS),
        log_append_time: true,
        value_schema: Some(schema::TRANSACTION),
        dead_letters: &[owner(When::Rekeyed, AGGREGATE_PARTIAL.name)],
        ..StreamSpec::of_jobs(KEYED, 5)
    },
    StreamSpec {
        takes_copies: true,
        commands: &["verify", "dlq"],
        ..StreamSpec::of_jobs(LATE, 5)
    },
    StreamSpec {
        retention: Retention::Compacted,
        writer: Writer::Command("dlq"),
        commands: &["dlq"],
        ..StreamSpec::of_jobs(DEAD_LETTER_REPLAYS, 1)
    },
    StreamSpec {
        value_schema: Some(schema::FRAUD_LABEL),
        writer: Writer::Service(Service::Producer),
        commands: &["verify"],
        ..StreamSpec::of_jobs(FRAUD_LABELS, 1)
    },
    StreamSpec {
        retention: Retention::Compacted,
        value_schema: Some(schema::RULE_CHANGE),
        writer: Writer::Command("rules"),
        commands: &["rules"],
        ..StreamSpec::of_jobs(FRAUD_RULES, 1)
    },
    StreamSpec {
        retention: Retention::Compacted,
        value_schema: Some(schema::LIST_ENTRY),
        writer: Writer::Command("lists"),
        commands: &["lists", "rules"],
        ..StreamSpec::of_jobs(LISTS, 1)
    },
];

/// Puts each transaction into its user's partition.
pub const REKEY: JobSpec = JobSpec {
    name: "rekey",
    service: Service::Rekey,
    when: When::Rekeyed,
    input: TRANSACTIONS,
    control: KEYED_CONTROL,
    control_in_place: None,
    writes: &[KEYED],
};

/// The first stage of aggregation.
pub const AGGREGATE_PARTIAL: JobSpec = JobSpec {
    name: "aggregate-partial",
    service: Service::Aggregator,
    when: When::Always,
    input: TRANSACTIONS,
    control: AGGREGATES_CONTROL,
    control_in_place: Some(AGGREGATES_KEYED_CONTROL),
    writes: &[PARTIALS, LATE],
};

/// The second stage of aggregation.
pub const AGGREGATE_MERGE: JobSpec = JobSpec {
    name: "aggregate-merge",
    service: Service::Aggregator,
    when: When::Always,
    input: PARTIALS,
    control: PARTIALS_CONTROL,
    control_in_place: None,
    writes: &[AGGREGATES],
};

/// Fraud detection.
pub const DETECT: JobSpec = JobSpec {
    name: "detect",
    service: Service::Detector,
    when: When::Always,
    input: TRANSACTIONS,
    control: ANOMALIES_CONTROL,
    control_in_place: Some(ANOMALIES_KEYED_CONTROL),
    writes: &[ANOMALIES],
};

/// Transactions, all or a sample.
pub const TRANSACTION_DOCUMENTS: DocumentSpec = DocumentSpec {
    stream: TRANSACTIONS,
    service: Service::ElasticSink,
    index: "millrace-transactions",
    mapping: include_str!("../../mappings/transactions.json"),
};

/// Aggregates.
pub const AGGREGATE_DOCUMENTS: DocumentSpec = DocumentSpec {
    stream: AGGREGATES,
    service: Service::ElasticSink,
    index: "millrace-aggregates",
    mapping: include_str!("../../mappings/aggregates.json"),
};

/// Fraud alerts.
pub const ANOMALY_DOCUMENTS: DocumentSpec = DocumentSpec {
    stream: ANOMALIES,
    service: Service::ElasticSink,
    index: "millrace-anomalies",
    mapping: include_str!("../../mappings/anomalies.json"),
};

const fn owner(when: When, name: &'static str) -> DeadLetterOwner {
    DeadLetterOwner { when, name }
}
