//! Alerts as what an analyst works on: *incidents* of a user, and *campaigns* at a merchant.
//!
//! A [`Typology`] is a kind of fraud as data: a weighted sum of rules with a threshold. Every alert
//! joins the user's incident of each typology that names its rule, or opens one ([`Incidents`]). An
//! incident is told from when its score reaches the threshold, grows by revisions, and is closed by
//! a verdict or by quiet event time. Incidents of many users at one merchant are one campaign
//! ([`Campaigns`]).
//!
//! State and outputs are a function of the calls. Nothing in this crate does I/O, reads a clock or
//! draws a random number.

mod alert;
mod bounded;
mod campaign;
mod id;
mod incident;
mod incidents;
mod operator;
mod policy;
mod state;
mod typology;

pub use alert::Alert;
pub use bounded::{Ends, Few, MOST_MERCHANTS};
pub use campaign::{Campaign, Campaigns, MOST_USERS};
pub use incident::{Incident, RuleCount, State};
pub use incidents::{Closed, DECIDABLE_MS, Incidents, Verdict};
pub use operator::{IncidentOperator, Told};
pub use policy::{IncidentPolicy, IncidentSettings, MOST_VERDICTS};
pub use typology::{Typologies, Typology, TypologyError};

/// The typologies that are shipped, over the shipped library of rules.
pub const LIBRARY: &str = include_str!("../typologies.yml");
