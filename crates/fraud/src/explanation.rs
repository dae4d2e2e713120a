//! Why a transaction had alerts, or none.

use std::collections::BTreeMap;

use millrace_domain::money::Amount;
use millrace_domain::{Anomaly, Currency, TransactionId};
use millrace_engine::Disposition;
use millrace_rules::{Judgement, RuleTrace};

/// What the operator did with a transaction, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What became of the transaction: rules judge an accepted one, and the replay rule one that
    /// came again.
    pub disposition: Disposition,
    /// The anomalies that were raised, in their order.
    pub raised: Vec<Anomaly>,
    /// What was known of the user before.
    pub profile: UserProfile,
    /// The built-in rules.
    pub built_in: Vec<BuiltInTrace>,
    /// The rules of the rule set, in the order of its version; none where there is no rule set, or
    /// the transaction was not accepted.
    pub rules: Vec<RuleTrace>,
    /// The rules that are snoozed about the user at the transaction's event time, with until when,
    /// in milliseconds since 1970.
    pub snoozed: BTreeMap<String, i64>,
    /// The user's highest event time with the transaction, which the windows of the rules' features
    /// end at, in milliseconds since 1970.
    pub newest_ms: i64,
    /// What would have had to be otherwise, of an accepted transaction: for any alert, and, where
    /// several were raised, for each of them.
    pub otherwise: Vec<Otherwise>,
}

/// With what the operator would have decided otherwise, all else being as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Otherwise {
    /// About an alert of this rule; `None`: about any alert.
    pub rule: Option<String>,
    /// Whether there was one, so that this is about there being none.
    pub was_raised: bool,
    /// With another amount.
    pub amount: Option<OtherAmount>,
    /// Of an alert that was raised: so many milliseconds later it would not have been, and a second
    /// earlier than that it would.
    pub later_ms: Option<i64>,
}

/// The nearest amount that was found with which it is decided otherwise; with the one that is a
/// hundredth nearer to the transaction's it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherAmount {
    /// In the transaction's currency.
    pub amount: Amount,
    /// Whether it is less than the transaction's.
    pub is_less: bool,
}

/// What the built-in rules know of a user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserProfile {
    /// The highest event time of the user's transactions, in milliseconds since 1970; `None` of a
    /// user who is new, or was forgotten.
    pub newest_ms: Option<i64>,
    /// The usual amounts, by currency.
    pub habits: Vec<UsualAmount>,
    /// Purchases in the span of the velocity rule as it ends with the transaction, and how many
    /// usual amounts they are.
    pub recent: Option<(usize, f64)>,
    /// The last purchase that tells where the user was, and its event time in milliseconds since
    /// 1970.
    pub last_place: Option<(TransactionId, i64)>,
}

/// What a user usually spends in a currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsualAmount {
    /// Which.
    pub currency: Currency,
    /// Purchases learnt; stays at 65,535.
    pub purchases: u16,
    /// The geometric mean, in whole units of the currency.
    pub usual: f64,
    /// The standard deviation of the logarithm.
    pub deviation: f64,
}

/// What a built-in rule compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BuiltInFigure {
    /// Its name, with the unit last.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it is compared with: the rule's setting; `None` where it is not compared.
    pub limit: Option<f64>,
    /// How it is compared: `>`, or `>=` where equality is enough.
    pub sign: &'static str,
}

/// How a built-in rule judged a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltInTrace {
    /// Its standard name.
    pub rule: &'static str,
    /// What became of it.
    pub judgement: Judgement,
    /// Why it is not judged, or what is unknown.
    pub why: Option<&'static str>,
    /// What it compared.
    pub figures: Vec<BuiltInFigure>,
    /// As [`RuleTrace::gap`].
    pub gap: Option<f64>,
}
