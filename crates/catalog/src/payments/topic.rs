//! The names of the topics of payments, before any prefix.

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
/// Transactions that came after their window had closed.
pub const LATE: &str = "financial_transactions.late";
/// Which dead letters and late records were sent again.
pub const DEAD_LETTER_REPLAYS: &str = "dead_letter_replays";
/// Changes of the detector's rules, each with all of them.
pub const FRAUD_RULES: &str = "fraud_rules";
/// Who is on which list that fraud rules look into, and which alerts are not raised.
pub const LISTS: &str = "lists";
/// Ground truth of injected fraud.
pub const FRAUD_LABELS: &str = "fraud_labels";
