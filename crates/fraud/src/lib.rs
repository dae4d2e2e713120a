//! Fraud rules and behaviour profiles on the engine.
//!
//! [`DetectOperator`] reads one partition of transactions, in which each user lives whole, and
//! emits anomalies. It keeps a profile of fixed size for each user, and a short run of recent
//! purchases only while they matter. Nothing here does I/O, reads a clock or draws a random number.
//!
//! A built-in rule is one file of [`rules`]: a struct of its settings with one function `judge`,
//! which takes the transaction and the little state the rule keeps for a user, and returns a
//! finding or nothing. Each says when it fires, what it does with transactions that come out of
//! order, and when it is armed again, so that one incident raises one anomaly. Beside them a policy
//! may have a rule set: rules of `millrace_rules`, as data.

#![forbid(unsafe_code)]

mod cities;
mod event_time;
mod exact;
mod explanation;
mod finding;
mod fingerprint;
mod habit;
mod history;
mod listings;
mod operator;
mod policy;
mod profile;
pub mod ranges;
mod recent;
mod rule_set;
pub mod rules;
mod settings;
mod snoozed;
mod state;

pub use explanation::{
    BuiltInFigure, BuiltInTrace, Explanation, OtherAmount, Otherwise, UserProfile, UsualAmount,
};
pub use history::{AnswerError, MAX_CHANGES, RuleHistory};
pub use listings::{
    Kind, ListSettings, ListingError, Listings, MAX_ENTRIES_OF_A_LIST, MAX_LIST_ENTRIES, MAX_LISTINGS_LEN,
    MAX_SNOOZES,
};
pub use operator::DetectOperator;
pub use policy::{DetectPolicy, PolicyError};
pub use rule_set::{MAX_RULE_SET_LEN, RuleSetError};
pub use rules::amount_outlier::{AmountOutlierSettings, HabitSettings};
pub use rules::impossible_travel::ImpossibleTravelSettings;
pub use rules::velocity::VelocitySettings;
pub use rules::{RuleSettings, Rules};
pub use settings::{DetectSettings, RuleFile, SettingError};
