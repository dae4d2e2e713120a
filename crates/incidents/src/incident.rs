//! An incident of a user.

use std::collections::BTreeMap;

use millrace_domain::{Currency, EntityType, Severity, Sum, TransactionId};
use uuid::Uuid;

use crate::bounded::{Ends, Few, MOST_MERCHANTS};
use crate::{Alert, Closed, Typology, Verdict, id};

/// Where an incident is in its life. It goes from `Growing` to `Open` by its score, and from either
/// to `Closed`; an alert after that opens another. A verdict may come after quiet, or another
/// verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its score is below the threshold: nobody is told.
    Growing,
    /// It is told, and grows.
    Open,
    /// It is over.
    Closed(Closed),
}

/// What a rule added to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RuleCount {
    /// Its alerts.
    pub alerts: u64,
    /// The highest score of them; `None` where no alert had one.
    pub best_score: Option<f64>,
}

/// What happened to a user, of one kind, without a quiet time in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// See [`Incident::id_of`].
    pub id: Uuid,
    /// Goes up with every change: of two, the higher is right.
    pub revision: u64,
    /// The typology's name.
    pub typology: String,
    /// The typology's sentence for the analyst.
    pub reason: Box<str>,
    /// The typology's threshold, as of the last alert.
    pub threshold: f64,
    /// How long event time may go on without an alert, as of the last one, in milliseconds.
    pub quiet_ms: i64,
    /// Whom it happens to.
    pub user: Box<str>,
    /// Where it is in its life.
    pub state: State,
    /// The sum of the weights of the rules that have fired.
    pub score: f64,
    /// That of the typology, or of the worst alert.
    pub severity: Severity,
    /// The event time of the alert that opened it, in milliseconds since 1970. It stays as it is.
    pub opened_ms: i64,
    /// The least and the greatest event time of its alerts, in milliseconds since 1970.
    pub first_ms: i64,
    /// See [`Self::first_ms`].
    pub last_ms: i64,
    /// By rule, what it added.
    pub rules: BTreeMap<Box<str>, RuleCount>,
    /// Transactions with an alert or several, each counted once where its alerts come together.
    pub transactions: Ends<TransactionId>,
    /// Their money, by currency: no two are ever added.
    pub money: BTreeMap<Currency, Sum>,
    /// Whom they paid.
    pub merchants: Few,
}

impl Incident {
    /// The id as a function of typology, user (which may be a merchant) and first transaction: a
    /// replay opens the same one.
    #[must_use]
    pub fn id_of(of: EntityType, typology: &str, user: &str, first: &TransactionId) -> Uuid {
        let kind = match of {
            EntityType::User => "incident",
            EntityType::Merchant => "incident of a merchant",
        };
        id::id_of(kind, typology, user, first.as_bytes())
    }

    /// Opens one with its first alert.
    pub(crate) fn open(of: EntityType, typology: &Typology, alert: &Alert<'_>) -> Self {
        let mut incident = Self {
            id: Self::id_of(of, &typology.name, alert.user, &alert.transaction),
            revision: 0,
            typology: typology.name.clone(),
            reason: typology.reason.as_str().into(),
            threshold: typology.threshold,
            quiet_ms: typology.quiet_ms,
            user: alert.user.into(),
            state: State::Growing,
            score: 0.0,
            severity: typology.severity.unwrap_or(alert.severity),
            opened_ms: alert.time_ms,
            first_ms: alert.time_ms,
            last_ms: alert.time_ms,
            rules: BTreeMap::new(),
            transactions: Ends::default(),
            money: BTreeMap::new(),
            merchants: Few::default(),
        };
        incident.join(typology, alert);
        incident
    }

    /// Takes an alert in. One that is over stays so.
    pub(crate) fn join(&mut self, typology: &Typology, alert: &Alert<'_>) {
        debug_assert!(*self.user == *alert.user, "an alert is of the incident's user");
        self.revision += 1;
        // The typology may be another one of the same name by now.
        self.threshold = typology.threshold;
        self.quiet_ms = typology.quiet_ms;
        self.first_ms = self.first_ms.min(alert.time_ms);
        self.last_ms = self.last_ms.max(alert.time_ms);
        if typology.severity.is_none() {
            self.severity = self.severity.max(alert.severity);
        }
        let rule = self.rules.entry(alert.rule.into()).or_default();
        rule.alerts += 1;
        rule.best_score = match (rule.best_score, alert.score) {
            (Some(best), Some(score)) => Some(best.max(score)),
            (best, score) => best.or(score),
        };
        // Added up anew, in one order: which rule fired first makes no other sum.
        let weights = self.rules.keys().filter_map(|rule| typology.rules.get(&**rule));
        self.score = weights.sum();
        // By a rounding, weights may add up to less than a threshold that they equal.
        if self.state == State::Growing && self.score >= typology.threshold * (1.0 - 1e-9) {
            self.state = State::Open;
        }
        if self.transactions.newest() == Some(&alert.transaction) {
            return;
        }
        self.transactions.push(alert.transaction);
        if let Some((units, currency)) = alert.amount {
            let sum = self.money.entry(currency).or_insert(Sum::ZERO);
            *sum = Sum::from_units(sum.units() + i128::from(units));
        }
        if let Some(merchant) = alert.merchant {
            self.merchants.insert(merchant, MOST_MERCHANTS);
        }
    }

    /// From when on it is quiet, in milliseconds of event time.
    pub(crate) fn until_ms(&self) -> i64 {
        self.last_ms.saturating_add(self.quiet_ms)
    }

    /// The number of its alerts.
    #[must_use]
    pub fn alerts(&self) -> u64 {
        self.rules.values().map(|rule| rule.alerts).sum()
    }

    /// An analyst has decided when it was over. Returns whether that is new.
    pub(crate) fn decide(&mut self, verdict: Verdict) -> bool {
        let state = State::Closed(Closed::Verdict(verdict));
        if self.state == state {
            return false;
        }
        self.revision += 1;
        self.state = state;
        true
    }

    /// Ends it.
    pub(crate) fn close(&mut self, why: Closed) {
        debug_assert!(!matches!(self.state, State::Closed(_)), "it is closed once");
        self.revision += 1;
        self.state = State::Closed(why);
    }
}
