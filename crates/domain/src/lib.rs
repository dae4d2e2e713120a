//! Types, contracts and validation of Millrace: transactions, aggregates, anomalies, topics,
//! schemas.
//!
//! Nothing in this crate does I/O, reads a clock or draws a random number. Every value that leaves
//! a constructor here is valid by the contract, so the rest of the code never checks again.

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod anomaly;
pub mod city;
pub mod codec;
pub mod currency;
pub mod decimal;
pub mod error;
pub mod feedback;
pub mod id;
pub mod incident;
pub mod label;
pub mod list_entry;
pub mod money;
pub mod plan;
pub mod rule_change;
pub mod schema;
pub mod transaction;

pub use aggregate::{Contribution, MerchantAggregate, Partial, PartialContent, Totals};
pub use anomaly::{Anomaly, EntityType, Evidence, RuleOrigin, Severity};
pub use currency::Currency;
pub use error::InvalidValue;
pub use feedback::{AlertFeedback, Verdict};
pub use id::{IdText, ShortId, TransactionId, texts};
pub use incident::{IncidentRecord, IncidentRule, IncidentStatus};
pub use label::FraudLabel;
pub use list_entry::{ListEntry, ListKey, ListPurpose, ListedKind, MAX_LIST_NAME_LEN, is_list_name};
pub use millrace_contract::EventTimeLimits;
pub use money::{Amount, Sum};
pub use rule_change::{RuleChange, RuleChangeStatus, RuleText};
pub use transaction::{PaymentMethod, Transaction, TransactionType};
