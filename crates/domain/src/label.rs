//! Ground truth of injected fraud.

use crate::{EntityType, ShortId, TransactionId};

/// Says which rule should find a transaction that the producer injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FraudLabel {
    /// The injected transaction.
    pub transaction_id: TransactionId,
    /// The rule that should find it, by its standard name.
    pub rule: &'static str,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant that the anomaly should name.
    pub entity: ShortId,
    /// The transaction's event time in milliseconds since 1970.
    pub event_time_ms: i64,
}
