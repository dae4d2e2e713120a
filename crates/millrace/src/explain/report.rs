//! An explanation as it is printed, or written as JSON.

use jiff::Timestamp;
use millrace_detector::explain::{Decision, Explained};
use millrace_domain::codec::anomaly;
use millrace_domain::{Anomaly, Transaction};
use millrace_engine::Disposition;
use millrace_fraud::{Explanation, Otherwise};
use serde::Serialize;

use super::find::{Alert, Found};
use super::reasons;

mod rules;

pub(super) use rules::{Comparison, Feature, Score, Verdict};

/// Why a transaction had alerts, or none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) transaction: Option<Subject>,
    pub(super) record: Record,
    /// `accepted`, `duplicate`, `late` or `refused`.
    pub(super) disposition: &'static str,
    /// Of a transaction that was late or refused.
    pub(super) because: Option<String>,
    /// The alert that was asked about.
    pub(super) asked: Option<Asked>,
    pub(super) rule_set_version: Option<String>,
    pub(super) alerts: Vec<Raised>,
    pub(super) reasons: Vec<Reason>,
    /// What was known of the user before.
    pub(super) profile: Option<Profile>,
    /// Built-in rules first, in the order in which they judge.
    pub(super) rules: Vec<Verdict>,
    pub(super) otherwise: Vec<Counterfactual>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subject {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) amount: f64,
    pub(super) currency: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) method: &'static str,
    pub(super) merchant: String,
    pub(super) location: String,
    pub(super) is_international: bool,
    pub(super) time: String,
}

/// Where the transaction lies, and how it was gone back to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) appended_time: Option<String>,
    #[serde(skip)]
    appended_ms: i64,
    pub(super) replayed_from: i64,
    pub(super) replayed: u64,
    pub(super) snapshot_time: Option<String>,
    /// How often the transaction was found in the log.
    pub(super) times_found: usize,
}

/// The alert that was asked about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) rule: String,
    /// Whether the replay gives the alert that is on the topic, byte for byte.
    pub(super) is_as_on_the_topic: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Raised {
    pub(super) id: String,
    pub(super) rule: String,
    pub(super) severity: &'static str,
    pub(super) score: f64,
    pub(super) evidence: Vec<Figure>,
    pub(super) transaction_ids: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) analyst: String,
    pub(super) customer: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) last_time: Option<String>,
    pub(super) usual_amounts: Vec<Usual>,
    /// In the span of the velocity rule.
    pub(super) recent_purchases: Option<usize>,
    pub(super) recent_usual_amounts: Option<f64>,
    pub(super) last_place_transaction: Option<String>,
    pub(super) last_place_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usual {
    pub(super) currency: String,
    pub(super) amount: f64,
    pub(super) deviation_of_logarithm: f64,
    pub(super) purchases: u16,
}

/// With what it would have been decided otherwise, and a sentence that says so.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counterfactual {
    /// `null`: any.
    pub(super) rule: Option<String>,
    pub(super) amount: Option<f64>,
    pub(super) amount_is_less: Option<bool>,
    pub(super) later_seconds: Option<i64>,
    pub(super) text: String,
}

impl Report {
    pub(super) fn of(explained: &Explained<'_>, found: &Found) -> Self {
        let record = &explained.record;
        let appended_ms = record.timestamp_ms;
        let transaction = explained.transaction.as_ref();
        let mut report = Self {
            transaction: transaction.map(Subject::of),
            record: Record {
                topic: record.topic.to_owned(),
                partition: record.partition,
                offset: record.offset,
                appended_time: (appended_ms >= 0).then(|| time(appended_ms)),
                appended_ms,
                replayed_from: explained.way.from,
                replayed: explained.way.replayed,
                snapshot_time: explained.way.snapshot_ms.map(time),
                times_found: found.places.len(),
            },
            disposition: "refused",
            because: None,
            asked: found.alert.as_ref().map(Asked::unlike),
            rule_set_version: None,
            alerts: Vec::new(),
            reasons: Vec::new(),
            profile: None,
            rules: Vec::new(),
            otherwise: Vec::new(),
        };
        match (&explained.decision, transaction) {
            (Decision::Refused { code, why }, _) => report.because = Some(format!("{code}: {why}")),
            (Decision::Judged(explanation), Some(transaction)) => {
                report.judge(explained, explanation, transaction, found.alert.as_ref());
            }
            (Decision::Judged(_), None) => {}
        }
        report
    }

    fn judge(
        &mut self,
        explained: &Explained<'_>,
        explanation: &Explanation,
        transaction: &Transaction,
        alert: Option<&Alert>,
    ) {
        self.disposition = match explanation.disposition {
            Disposition::Accepted => "accepted",
            Disposition::Duplicate => "duplicate",
            Disposition::Late { .. } => "late",
        };
        if let Disposition::Late { late_by_ms } = explanation.disposition {
            self.because = Some(format!("it came {} s too late", late_by_ms as f64 / 1_000.0));
        }
        if let (Some(alert), Some(asked)) = (alert, &mut self.asked) {
            let raised = explanation
                .raised
                .iter()
                .find(|raised| raised.id == alert.content.id);
            asked.is_as_on_the_topic = raised.is_some_and(|raised| is_written_as(raised, alert));
        }
        self.rule_set_version = explained.version.map(|version| version.hash().to_string());
        self.rules = rules::all(explanation, explained.version);
        self.alerts = explanation.raised.iter().map(Raised::of).collect();
        let reason = |raised: &Anomaly| self.reason(raised);
        self.reasons = explanation.raised.iter().map(reason).collect();
        self.profile = Some(Profile::of(explanation));
        let currency = transaction.currency.to_string();
        let otherwise = explanation.otherwise.iter();
        self.otherwise = otherwise.map(|it| Counterfactual::of(it, &currency)).collect();
    }

    /// An alert of the rule set has its sentence itself.
    fn reason(&self, raised: &Anomaly) -> Reason {
        let verdict = self.rules.iter().find(|verdict| verdict.rule == raised.rule);
        let customer = verdict.and_then(|verdict| verdict.customer.as_deref());
        let analyst = match &raised.origin {
            Some(origin) => origin.reason.as_str(),
            None => reasons::of_built_in(&raised.rule).unwrap_or_default(),
        };
        Reason {
            code: raised.rule.to_string(),
            analyst: analyst.to_owned(),
            customer: reasons::for_customer(&raised.rule, customer).to_owned(),
        }
    }

    /// Whether this is the record that the alert asked about is of.
    pub(super) fn has_raised(&self, found: &Found) -> bool {
        let wanted = found.alert.as_ref().map(|alert| alert.content.id.to_string());
        wanted.is_some_and(|wanted| self.alerts.iter().any(|raised| raised.id == wanted))
    }

    /// Whether the alert that was asked about, if one was, is what the replay gives.
    pub(super) fn is_as_on_the_topic(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.is_as_on_the_topic)
    }

    pub(super) fn appended_ms(&self) -> i64 {
        self.record.appended_ms
    }
}

/// Whether an alert is written as it is on its topic, with the id of its schema and the detector's
/// clock of then.
fn is_written_as(raised: &Anomaly, alert: &Alert) -> bool {
    let Some(schema) = alert.payload.get(1..5) else {
        return false;
    };
    let schema = schema.iter().fold(0, |id: u32, byte| id << 8 | u32::from(*byte));
    let mut written = Vec::with_capacity(alert.payload.len());
    anomaly::encode_framed(schema, raised, alert.content.detection_time_ms, &mut written);
    written == alert.payload
}

pub(super) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

impl Subject {
    fn of(transaction: &Transaction) -> Self {
        Self {
            id: transaction.transaction_id.to_string(),
            user: transaction.user_id.text().as_str().to_owned(),
            amount: transaction.amount.to_f64(),
            currency: transaction.currency.to_string(),
            kind: transaction.transaction_type.as_str(),
            method: transaction.payment_method.as_str(),
            merchant: transaction.merchant_id.text().as_str().to_owned(),
            location: transaction.location.text().as_str().to_owned(),
            is_international: transaction.is_international,
            time: time(transaction.transaction_time_ms),
        }
    }
}

impl Asked {
    /// Before it is compared.
    fn unlike(alert: &Alert) -> Self {
        Self {
            id: alert.content.id.to_string(),
            rule: alert.content.rule.clone(),
            is_as_on_the_topic: false,
        }
    }
}

impl Raised {
    fn of(raised: &Anomaly) -> Self {
        let figures = raised.evidence.figures.iter();
        Self {
            id: raised.id.to_string(),
            rule: raised.rule.to_string(),
            severity: raised.severity.as_str(),
            score: raised.score,
            evidence: figures
                .map(|(name, value)| Figure {
                    name: name.to_string(),
                    value: *value,
                })
                .collect(),
            transaction_ids: raised
                .evidence
                .transaction_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}

impl Profile {
    fn of(explanation: &Explanation) -> Self {
        let profile = &explanation.profile;
        let usual = profile.habits.iter().map(|usual| Usual {
            currency: usual.currency.to_string(),
            amount: usual.usual,
            deviation_of_logarithm: usual.deviation,
            purchases: usual.purchases,
        });
        Self {
            last_time: profile.newest_ms.map(time),
            usual_amounts: usual.collect(),
            recent_purchases: profile.recent.map(|(purchases, _)| purchases),
            recent_usual_amounts: profile.recent.map(|(_, amounts)| amounts),
            last_place_transaction: profile.last_place.map(|(id, _)| id.to_string()),
            last_place_time: profile.last_place.map(|(_, at_ms)| time(at_ms)),
        }
    }
}

impl Counterfactual {
    fn of(otherwise: &Otherwise, currency: &str) -> Self {
        let what = match (&otherwise.rule, otherwise.was_raised) {
            (None, true) => "no alert".to_owned(),
            (None, false) => "an alert".to_owned(),
            (Some(rule), true) => format!("no alert of {rule}"),
            (Some(rule), false) => format!("an alert of {rule}"),
        };
        let mut ways = Vec::new();
        if let Some(other) = &otherwise.amount {
            let bound = match other.is_less {
                true => "at most",
                false => "at least",
            };
            ways.push(format!("were the amount {bound} {} {currency}", other.amount));
        }
        if let Some(later_ms) = otherwise.later_ms {
            ways.push(format!("had the transaction come {} later", span(later_ms)));
        }
        Self {
            rule: otherwise.rule.clone(),
            amount: otherwise.amount.map(|other| other.amount.to_f64()),
            amount_is_less: otherwise.amount.map(|other| other.is_less),
            later_seconds: otherwise.later_ms.map(|later_ms| later_ms / 1_000),
            text: match ways.as_slice() {
                [] => format!("neither another amount nor a later time was found with {what}"),
                ways => format!("there would be {what} {}", ways.join(", or ")),
            },
        }
    }
}

/// A span in the units that a person would use.
fn span(ms: i64) -> String {
    humantime::format_duration(std::time::Duration::from_millis(ms.unsigned_abs())).to_string()
}
