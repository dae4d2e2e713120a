//! The Avro schemas: the `.avsc` files of this crate are their one source.

/// `millrace.Transaction`.
pub const TRANSACTION: &str = include_str!("../schemas/transaction.avsc");
/// `millrace.MerchantAggregate`.
pub const MERCHANT_AGGREGATE: &str = include_str!("../schemas/merchant_aggregate.avsc");
/// `millrace.AggregatePartial`.
pub const AGGREGATE_PARTIAL: &str = include_str!("../schemas/aggregate_partial.avsc");
/// `millrace.AlertFeedback`.
pub const ALERT_FEEDBACK: &str = include_str!("../schemas/alert_feedback.avsc");
/// `millrace.Anomaly`.
pub const ANOMALY: &str = include_str!("../schemas/anomaly.avsc");
/// `millrace.FraudLabel`.
pub const FRAUD_LABEL: &str = include_str!("../schemas/fraud_label.avsc");
/// `millrace.Incident`.
pub const INCIDENT: &str = include_str!("../schemas/incident.avsc");
/// `millrace.ListEntry`.
pub const LIST_ENTRY: &str = include_str!("../schemas/list_entry.avsc");
/// `millrace.RuleChange`.
pub const RULE_CHANGE: &str = include_str!("../schemas/rule_change.avsc");
