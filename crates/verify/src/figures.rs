//! What is compared: the ledgers' figures, the topics', and Elasticsearch's.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use millrace_domain::TransactionId;

pub use super::once::Counted;
use super::totals::Windows;

/// What the producers' ledgers say, all runs added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Size of the windows here: those of the ledgers and the aggregator's fit into it.
    pub window_ms: i64,
    /// Number of runs.
    pub runs: u64,
    /// Those that go on.
    pub running: Vec<String>,
    /// Those whose process is gone without having ended its ledger: what it had acknowledged is
    /// this or more.
    pub killed: Vec<String>,
    /// Ledgers that could not be read, with the reason.
    pub unreadable: Vec<String>,
    /// How the ids of runs begin that have ended and whose ids no other run sends.
    pub vouched_ids: HashSet<[u8; 4]>,
    /// Number of the other runs: of files, of a repeatable stream, or not ended.
    pub other_runs: u64,
    /// Records acknowledged on the transactions' topic.
    pub acknowledged: u64,
    /// Records that may be there or not.
    pub failed: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged labels.
    pub labels: u64,
    /// Labels that may be there or not.
    pub failed_labels: u64,
    /// Windows that the ledgers had no room for.
    pub forgotten_windows: u64,
    /// Acknowledged transactions, each once a run.
    pub once: Windows,
    /// Acknowledged records that can be read, copies and all, of the runs of `vouched_ids`.
    pub vouched: Windows,
    /// The same of the other runs.
    pub others: Windows,
}

impl Expected {
    /// Whether this id is of a run that has ended and sends no other's.
    #[must_use]
    pub fn vouches_for(&self, id: &TransactionId) -> bool {
        let [a, b, c, d, ..] = *id.as_bytes();
        self.vouched_ids.contains(&[a, b, c, d])
    }

    /// Whether the ledgers alone say what is expected: each transaction is in one of them, once.
    #[must_use]
    pub fn are_ids_unique(&self) -> bool {
        self.runs > 0 && self.other_runs == 0 && self.unreadable.is_empty() && self.failed == 0
    }

    /// Whether the topics may have more than the ledgers say.
    #[must_use]
    pub fn is_least(&self) -> bool {
        !(self.running.is_empty() && self.killed.is_empty() && self.unreadable.is_empty())
    }
}

/// Dead letters of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeadLetters {
    /// Different source records.
    pub records: u64,
    /// Copies beyond the first of each.
    pub copies: u64,
    /// Whether the service writes in transactions, so that there must be no copies.
    pub exactly_once: bool,
}

/// What the transactions' topic holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Its transactions.
    pub counted: Counted,
    /// Records that the jobs have to refuse.
    pub refusable: u64,
    /// Records that `millrace dlq replay` has sent.
    pub replays: u64,
}

/// What retention, or somebody, has removed of the topics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// The topics that have lost their beginning.
    pub topics: Vec<String>,
    /// Transactions with a time after this are all there; in milliseconds since 1970, `None` where
    /// nothing was removed.
    pub source_until_ms: Option<i64>,
    /// Aggregates of windows that start after this are all there.
    pub aggregates_until_ms: Option<i64>,
    /// Late records that were written after this are all there.
    pub late_until_ms: Option<i64>,
    /// Late records that are gone, at most.
    pub late_removed: u64,
    /// Dead letters are missing.
    pub dead_letters: bool,
    /// Anomalies are missing.
    pub anomalies: bool,
    /// Labels are missing.
    pub labels: bool,
}

/// What the topics hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Size of the windows here, a multiple of the ledgers'.
    pub window_ms: i64,
    /// Records in the transactions' topic; `None` where retention has removed some.
    pub transactions: Option<u64>,
    /// What they are; `None` where the topic was not read, as the ledgers alone say it.
    pub source: Option<Source>,
    /// Records of it that lie elsewhere than those of their user, as far as it was read; `None`
    /// where such are dead letters.
    pub misplaced: Option<u64>,
    /// What has been removed.
    pub retention: Retention,
    /// The final results, added up.
    pub aggregates: Windows,
    /// Number of final results of each window.
    pub documents: BTreeMap<i64, u64>,
    /// End of the last window that has a final result.
    pub closed_until_ms: Option<i64>,
    /// Records with a key, window and revision that was there before.
    pub doubled_aggregates: u64,
    /// Final results below an early one of the same key and window.
    pub shrunken_aggregates: u64,
    /// Early results.
    pub early_results: u64,
    /// Sizes of the aggregates' windows.
    pub window_sizes_ms: BTreeSet<i64>,
    /// Records of the transactions' topic that are on the late topic.
    pub late_records: u64,
    /// Those that are there once more.
    pub late_twice: u64,
    /// Dead letters of the transactions' topic by service.
    pub dead_letters: BTreeMap<String, DeadLetters>,
    /// Different anomalies.
    pub anomalies: u64,
    /// Anomalies with an id that was there before.
    pub doubled_anomalies: u64,
    /// Labels.
    pub labels: u64,
    /// Records of the result topics that could not be decoded.
    pub undecodable: u64,
}

/// What Elasticsearch holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Indexed {
    /// Aggregates by window and currency, in the aggregates' own windows.
    pub aggregates: Windows,
    /// Number of documents of final results by start of their window.
    pub documents: BTreeMap<i64, u64>,
    /// Number of anomaly documents.
    pub anomalies: u64,
}
