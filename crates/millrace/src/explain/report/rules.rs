//! How each rule judged.

use millrace_fraud::{BuiltInTrace, Explanation};
use millrace_rules::{Check, FeatureTrace, Figure, Judgement, Mode, RuleTrace, Version};
use serde::Serialize;

use super::super::reasons;
use super::time;

/// How a rule judged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Verdict {
    pub(in super::super) rule: String,
    /// `fired`, `quiet`, `not`, `unknown` or `not_judged`.
    pub(in super::super) judgement: &'static str,
    /// Why it is not judged, or not told.
    pub(in super::super) because: Option<String>,
    /// Whether an alert of it would be raised: not in shadow, for a user out of its share, or while
    /// it is snoozed.
    pub(in super::super) alerts: bool,
    /// Of a rule of the rule set.
    pub(in super::super) mode: Option<String>,
    pub(in super::super) severity: Option<&'static str>,
    pub(in super::super) reason: Option<String>,
    #[serde(skip)]
    pub(in super::super) customer: Option<String>,
    /// How far it was from holding, from 0 to 1; `null` where no number tells.
    pub(in super::super) gap: Option<f64>,
    pub(in super::super) comparisons: Vec<Comparison>,
    pub(in super::super) features: Vec<Feature>,
    pub(in super::super) score: Option<Score>,
}

/// What was compared with what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Comparison {
    pub(in super::super) asked: String,
    pub(in super::super) value: Option<f64>,
    pub(in super::super) unit: Option<String>,
    /// `null` of what is not compared with a number.
    pub(in super::super) sign: Option<&'static str>,
    pub(in super::super) threshold: Option<String>,
    pub(in super::super) limit: Option<f64>,
    /// `null`: unknown.
    pub(in super::super) holds: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Feature {
    pub(in super::super) feature: String,
    /// `null`: unknown.
    pub(in super::super) value: Option<f64>,
    /// The value without the transaction itself.
    pub(in super::super) before: Option<f64>,
    pub(in super::super) unit: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Score {
    pub(in super::super) text: String,
    pub(in super::super) value: Option<f64>,
    /// Of a sum, what each part of it contributes.
    pub(in super::super) contributions: Vec<Contribution>,
}

#[derive(Debug, Serialize)]
pub(in super::super) struct Contribution {
    pub(in super::super) text: String,
    pub(in super::super) value: Option<f64>,
}

/// Of all rules, the built-in ones first.
pub(super) fn all(explanation: &Explanation, version: Option<&Version>) -> Vec<Verdict> {
    let built_in = explanation
        .built_in
        .iter()
        .map(|trace| built_in(trace, explanation));
    let of_set = version.into_iter().flat_map(|version| {
        let traces = explanation.rules.iter();
        traces.map(|trace| of_rule(trace, version, explanation))
    });
    built_in.chain(of_set).collect()
}

/// Until when a rule is snoozed about the user.
fn snoozed(explanation: &Explanation, rule: &str) -> Option<String> {
    let until_ms = explanation.snoozed.get(rule)?;
    Some(format!("it is snoozed about the user until {}", time(*until_ms)))
}

fn built_in(trace: &BuiltInTrace, explanation: &Explanation) -> Verdict {
    let snoozed = snoozed(explanation, trace.rule);
    let figures = trace.figures.iter().map(|figure| Comparison {
        asked: figure.name.to_owned(),
        value: Some(figure.value),
        unit: None,
        sign: figure.limit.map(|_| figure.sign),
        threshold: None,
        limit: figure.limit,
        holds: figure.limit.map(|limit| match figure.sign {
            ">=" => figure.value >= limit,
            _ => figure.value > limit,
        }),
    });
    Verdict {
        rule: trace.rule.to_owned(),
        judgement: trace.judgement.as_str(),
        alerts: snoozed.is_none(),
        because: trace.why.map(str::to_owned).or(snoozed),
        mode: None,
        severity: None,
        reason: reasons::of_built_in(trace.rule).map(str::to_owned),
        customer: None,
        gap: trace.gap,
        comparisons: figures.collect(),
        features: Vec::new(),
        score: None,
    }
}

fn of_rule(trace: &RuleTrace, version: &Version, explanation: &Explanation) -> Verdict {
    let rule = &version.rules()[trace.rule];
    let snoozed = snoozed(explanation, rule.name());
    let quiet = trace
        .quiet_until_ms
        .filter(|_| trace.judgement == Judgement::Quiet);
    let because = match (quiet, rule.mode()) {
        (Some(until_ms), _) => Some(format!("it fired before, and is quiet until {}", time(until_ms))),
        (None, Mode::Draft | Mode::Paused | Mode::Shadow) => Some(format!("its mode is {}", rule.mode())),
        (None, Mode::Share(_)) if !trace.alerts => Some(format!("the user is not in its {}", rule.mode())),
        _ => None,
    };
    let checks = trace.conditions.iter().flat_map(|condition| &condition.checks);
    Verdict {
        rule: rule.name().to_owned(),
        judgement: trace.judgement.as_str(),
        alerts: trace.alerts && snoozed.is_none(),
        because: because.or(snoozed),
        mode: Some(rule.mode().to_string()),
        severity: Some(rule.severity().as_str()),
        reason: Some(rule.reason().to_owned()),
        customer: rule.customer().map(str::to_owned),
        gap: trace.gap,
        comparisons: checks.map(comparison).collect(),
        features: trace.features.iter().map(feature).collect(),
        score: trace.score.as_ref().map(|score| Score {
            text: score.0.clone(),
            value: score.1.value,
            contributions: trace.score_parts.iter().map(contribution).collect(),
        }),
    }
}

fn comparison(check: &Check) -> Comparison {
    match &check.sides {
        None => Comparison {
            asked: check.text.clone(),
            value: None,
            unit: None,
            sign: None,
            threshold: None,
            limit: None,
            holds: check.holds,
        },
        Some(sides) => Comparison {
            asked: sides.asked.clone(),
            value: sides.value.value,
            unit: sides.value.unit.text().or_else(|| sides.limit.unit.text()),
            sign: Some(sides.sign),
            threshold: Some(sides.threshold.clone()),
            limit: sides.limit.value,
            holds: check.holds,
        },
    }
}

fn feature(trace: &FeatureTrace) -> Feature {
    Feature {
        feature: trace.feature.clone(),
        value: trace.value,
        before: trace.without,
        unit: trace.unit.text(),
    }
}

fn contribution((text, figure): &(String, Figure)) -> Contribution {
    Contribution {
        text: text.clone(),
        value: figure.value,
    }
}
