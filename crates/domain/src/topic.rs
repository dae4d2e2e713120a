//! The topics: names, partitions, retention and schemas, in one table.

use crate::schema;

/// Transactions, keyed by user.
pub const TRANSACTIONS: &str = "financial_transactions";
/// What the job that rekeys makes of [`TRANSACTIONS`], where the settings ask for it: each of them
/// in one form, keyed by user, in the partition of murmur2. The other jobs then read it in place of
/// [`TRANSACTIONS`].
pub const KEYED: &str = "financial_transactions.keyed";
/// Final aggregates, keyed by merchant.
pub const AGGREGATES: &str = "transaction_aggregates";
/// Fraud alerts, keyed by entity.
pub const ANOMALIES: &str = "transaction_anomalies";
/// Internal: partial aggregates, keyed by merchant, and the sources' watermarks.
pub const PARTIALS: &str = "transaction_aggregates.partials";
/// Internal: advances of idle source partitions and changes of the first stage's settings, one
/// partition for each of [`TRANSACTIONS`].
pub const AGGREGATES_CONTROL: &str = "transaction_aggregates.control";
/// Internal: changes of the second stage's settings, one partition for each of [`PARTIALS`].
pub const PARTIALS_CONTROL: &str = "transaction_aggregates.partials.control";
/// Internal: changes of the detector's settings, one partition for each of [`TRANSACTIONS`].
pub const ANOMALIES_CONTROL: &str = "transaction_anomalies.control";
/// Internal: changes of the rekeying job's settings, one partition for each of [`TRANSACTIONS`].
pub const KEYED_CONTROL: &str = "financial_transactions.keyed.control";
/// Internal: as [`AGGREGATES_CONTROL`], of a first stage that reads [`KEYED`]: its offsets are of
/// another log.
pub const AGGREGATES_KEYED_CONTROL: &str = "transaction_aggregates.keyed.control";
/// Internal: as [`ANOMALIES_CONTROL`], of a detector that reads [`KEYED`].
pub const ANOMALIES_KEYED_CONTROL: &str = "transaction_anomalies.keyed.control";
/// Each control topic, with the topic that its job reads: it has at least as many partitions.
pub const CONTROLS: [(&str, &str); 3] = [
    (AGGREGATES_CONTROL, TRANSACTIONS),
    (PARTIALS_CONTROL, PARTIALS),
    (ANOMALIES_CONTROL, TRANSACTIONS),
];
/// As [`CONTROLS`], of those that there are where transactions are rekeyed.
pub const CONTROLS_OF_REKEYING: [(&str, &str); 3] = [
    (KEYED_CONTROL, TRANSACTIONS),
    (AGGREGATES_KEYED_CONTROL, KEYED),
    (ANOMALIES_KEYED_CONTROL, KEYED),
];
/// Transactions that came after their window had closed.
pub const LATE: &str = "financial_transactions.late";
/// Reference data of merchants.
pub const MERCHANTS: &str = "merchants";
/// Which dead letters and late records were sent again.
pub const DEAD_LETTER_REPLAYS: &str = "dead_letter_replays";
/// Run-time fraud rules.
pub const FRAUD_RULES: &str = "fraud_rules";
/// Ground truth of injected fraud.
pub const FRAUD_LABELS: &str = "fraud_labels";

/// Bytes that a record on a topic of dead letters or late records may have: what a topic of Kafka's
/// own default takes (1,048,588), and room for the headers of a copy.
pub const MAX_COPY_BYTES: u32 = 1_048_588 + 65_536;

/// The dead-letter topic of `topic`.
#[must_use]
pub fn dead_letter(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// What a topic is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name, before any prefix.
    pub name: &'static str,
    /// Number of partitions that it is made with. All but compacted topics may have more.
    pub partitions: i32,
    /// Whether the log keeps the newest record of each key for ever, in place of a retention time.
    pub compacted: bool,
    /// Whether the broker stamps records as it appends them. The source topic does: its time is
    /// then part of the log, and a producer with a wrong clock cannot mislead the bound on
    /// far-future events.
    pub log_append_time: bool,
    /// Whether it has copies of other topics' records: then it takes larger ones than these topics
    /// do.
    pub takes_copies: bool,
    /// The Avro schema of `<name>-value`, where the topic has one.
    pub value_schema: Option<&'static str>,
    /// Whether others write it and Millrace reads: then each version of its schema must be readable
    /// as every other one, as Millrace reads with its own.
    pub is_written_by_others: bool,
}

const fn spec(name: &'static str, partitions: i32, value_schema: Option<&'static str>) -> TopicSpec {
    TopicSpec {
        name,
        partitions,
        compacted: false,
        log_append_time: false,
        takes_copies: false,
        value_schema,
        is_written_by_others: false,
    }
}

const fn copies(name: &'static str, partitions: i32) -> TopicSpec {
    TopicSpec {
        takes_copies: true,
        ..spec(name, partitions, None)
    }
}

/// The topic of this name, before any prefix.
#[must_use]
pub fn spec_of(name: &str) -> Option<&'static TopicSpec> {
    ALL.iter().find(|spec| spec.name == name)
}

/// Every topic of the suite. Dead-letter topics are named for the topics that services read.
pub const ALL: [TopicSpec; 17] = [
    TopicSpec {
        log_append_time: true,
        is_written_by_others: true,
        ..spec(TRANSACTIONS, 5, Some(schema::TRANSACTION))
    },
    spec(AGGREGATES, 3, Some(schema::MERCHANT_AGGREGATE)),
    spec(ANOMALIES, 3, Some(schema::ANOMALY)),
    spec(PARTIALS, 3, Some(schema::AGGREGATE_PARTIAL)),
    spec(AGGREGATES_CONTROL, 5, None),
    spec(PARTIALS_CONTROL, 3, None),
    spec(ANOMALIES_CONTROL, 5, None),
    copies(LATE, 5),
    TopicSpec {
        compacted: true,
        ..spec(MERCHANTS, 1, None)
    },
    TopicSpec {
        compacted: true,
        ..spec(FRAUD_RULES, 1, None)
    },
    TopicSpec {
        compacted: true,
        ..spec(DEAD_LETTER_REPLAYS, 1, None)
    },
    spec(FRAUD_LABELS, 1, Some(schema::FRAUD_LABEL)),
    copies("financial_transactions.dlq", 1),
    copies("transaction_aggregates.dlq", 1),
    copies("transaction_anomalies.dlq", 1),
    copies("transaction_aggregates.partials.dlq", 1),
    copies("financial_transactions.late.dlq", 1),
];

/// The topics that there are beside [`ALL`] where transactions are rekeyed.
pub const OF_REKEYING: [TopicSpec; 5] = [
    TopicSpec {
        log_append_time: true,
        ..spec(KEYED, 5, Some(schema::TRANSACTION))
    },
    spec(KEYED_CONTROL, 5, None),
    spec(AGGREGATES_KEYED_CONTROL, 5, None),
    spec(ANOMALIES_KEYED_CONTROL, 5, None),
    copies("financial_transactions.keyed.dlq", 1),
];

/// Every topic of an installation, with those of rekeying where it does that.
#[must_use]
pub fn all(rekeys: bool) -> Vec<TopicSpec> {
    let mut all = ALL.to_vec();
    all.extend(OF_REKEYING.into_iter().filter(|_| rekeys));
    all
}
