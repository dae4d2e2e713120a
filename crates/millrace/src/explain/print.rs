//! An explanation for a person at a terminal.

use std::time::Duration;

use super::report::{Comparison, Feature, Profile, Raised, Report, Score, Subject, Verdict};

/// Rules that did not fire and are told in full: the nearest ones.
const NEAREST: usize = 5;
/// From this distance on a rule did not nearly fire.
const NEAR: f64 = 0.5;

/// The whole explanation, which took this long.
pub(super) fn text(report: &Report, took: Duration) -> String {
    let mut lines = Vec::new();
    subject(report, &mut lines);
    alerts(report, &mut lines);
    if let Some(profile) = &report.profile {
        self::profile(profile, &mut lines);
    }
    rules(report, &mut lines);
    if !report.otherwise.is_empty() {
        lines.push("otherwise".to_owned());
        lines.extend(report.otherwise.iter().map(|it| format!("  {}", it.text)));
    }
    lines.push(way(report, took));
    lines.push(String::new());
    lines.join("\n")
}

fn subject(report: &Report, lines: &mut Vec<String>) {
    let record = &report.record;
    let lies = format!(
        "  offset {} of {}-{}{}",
        record.offset,
        record.topic,
        record.partition,
        after(", appended at ", record.appended_time.as_deref())
    );
    match &report.transaction {
        None => lines.push("a transaction that cannot be read".to_owned()),
        Some(transaction) => lines.extend(of_subject(transaction)),
    }
    lines.push(lies);
    if record.times_found > 1 {
        lines.push(format!(
            "  it is in the log {} times, of which this is one",
            record.times_found
        ));
    }
    let because = after(": ", report.because.as_deref());
    match report.disposition {
        "accepted" => {}
        "duplicate" => {
            lines.push("  duplicate: its id was seen before, so nothing but replay judges it".to_owned());
        }
        other => lines.push(format!("  {other}{because}: no rule judged it")),
    }
}

fn of_subject(transaction: &Subject) -> [String; 2] {
    [
        format!(
            "transaction {} of user {}: {} {} to {}",
            transaction.id,
            transaction.user,
            number(transaction.amount),
            transaction.currency,
            transaction.merchant
        ),
        format!(
            "  {} by {} in {}{}, at {}",
            transaction.kind,
            transaction.method,
            transaction.location,
            if transaction.is_international {
                ", international"
            } else {
                ""
            },
            transaction.time
        ),
    ]
}

fn alerts(report: &Report, lines: &mut Vec<String>) {
    if let Some(asked) = &report.asked {
        let (id, rule) = (&asked.id, &asked.rule);
        lines.push(match asked.is_as_on_the_topic {
            true => format!("alert {id} of {rule}: the replay gives it as it is on the topic, byte for byte"),
            false => format!("alert {id} of {rule}: the replay does NOT give it as it is on the topic"),
        });
    }
    if report.alerts.is_empty() {
        lines.push("no alert".to_owned());
    }
    for (raised, reason) in report.alerts.iter().zip(&report.reasons) {
        lines.push(headline(raised));
        lines.push(format!("  reason {}", reason.code));
        lines.push(format!("  for the analyst: {}", reason.analyst));
        lines.push(format!("  for the customer: {}", reason.customer));
        let evidence = raised.evidence.iter();
        lines.extend(evidence.map(|figure| format!("    {} {}", figure.name, number(figure.value))));
    }
}

fn headline(raised: &Raised) -> String {
    format!(
        "alert of {}: severity {}, score {}, {} in its evidence",
        raised.rule,
        raised.severity,
        number(raised.score),
        count(raised.transaction_ids.len(), "transaction")
    )
}

fn profile(profile: &Profile, lines: &mut Vec<String>) {
    let Some(last) = &profile.last_time else {
        lines.push("of the user nothing was known before".to_owned());
        return;
    };
    lines.push(format!("what was known of the user before, last seen at {last}"));
    for usual in &profile.usual_amounts {
        lines.push(format!(
            "  usually {:.2} {}, of {} (deviation of the logarithm {:.2})",
            usual.amount,
            usual.currency,
            count(usize::from(usual.purchases), "purchase"),
            usual.deviation_of_logarithm
        ));
    }
    if let (Some(purchases), Some(amounts)) = (profile.recent_purchases, profile.recent_usual_amounts) {
        lines.push(format!(
            "  {} in the span of velocity, {} usual amounts together",
            count(purchases, "purchase"),
            number(amounts)
        ));
    }
    if let (Some(id), Some(at)) = (&profile.last_place_transaction, &profile.last_place_time) {
        lines.push(format!("  last place by transaction {id} at {at}"));
    }
}

/// Those that fired or were silent first, then the nearest; the others by their names.
fn rules(report: &Report, lines: &mut Vec<String>) {
    let mut told: Vec<&Verdict> = report.rules.iter().collect();
    // The order of the report among equals.
    told.sort_by(|one, other| rank(one).cmp(&rank(other)).then(gap(one).total_cmp(&gap(other))));
    let is_near = |verdict: &&&Verdict| rank(verdict) < 2 || gap(verdict) < NEAR;
    let held = told.iter().filter(|verdict| rank(verdict) < 2).count();
    let near = told.iter().take_while(is_near).count().min(held + NEAREST);
    let (full, short) = told.split_at(near);
    if !full.is_empty() {
        lines.push("rules that fired, or nearly did".to_owned());
    }
    full.iter().for_each(|verdict| rule(verdict, lines));
    if !short.is_empty() {
        lines.push("other rules".to_owned());
    }
    lines.extend(short.iter().map(|verdict| format!("  {}", judged(verdict))));
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict.judgement {
        "fired" => 0,
        "quiet" => 1,
        "not" => 2,
        "unknown" => 3,
        _ => 4,
    }
}

fn gap(verdict: &Verdict) -> f64 {
    verdict.gap.unwrap_or(f64::INFINITY)
}

fn judged(verdict: &Verdict) -> String {
    let what = match (verdict.judgement, verdict.gap) {
        ("fired", _) if verdict.alerts => "fired".to_owned(),
        ("fired", _) => "fired, and alerts nobody".to_owned(),
        ("quiet", _) => "holds, and is silent as it fired a short while before".to_owned(),
        ("not", Some(0.0)) => "does not hold, by equality alone".to_owned(),
        ("not", Some(gap)) => format!("does not hold, {:.1} % off", gap * 100.0),
        ("not", None) => "does not hold".to_owned(),
        ("unknown", _) => "unknown: it asks for what is not known yet".to_owned(),
        _ => "not judged".to_owned(),
    };
    let because = after(" (", verdict.because.as_deref());
    let end = if because.is_empty() { "" } else { ")" };
    format!("{}: {what}{because}{end}", verdict.rule)
}

fn rule(verdict: &Verdict, lines: &mut Vec<String>) {
    lines.push(format!("  {}", judged(verdict)));
    lines.extend(verdict.comparisons.iter().map(comparison));
    lines.extend(verdict.features.iter().map(feature));
    if let Some(score) = &verdict.score {
        self::score(score, lines);
    }
}

fn comparison(comparison: &Comparison) -> String {
    let holds = match (comparison.holds, comparison.sign) {
        (Some(true), _) => "yes",
        (Some(false), _) => "no",
        // A figure that nothing is compared with.
        (None, None) if comparison.value.is_some() => "",
        (None, _) => "unknown",
    };
    let unit = after(" ", comparison.unit.as_deref());
    let value = after(" = ", comparison.value.map(number).as_deref());
    let Some(sign) = comparison.sign else {
        let holds = after(": ", Some(holds).filter(|holds| !holds.is_empty()));
        return format!("    {}{value}{unit}{holds}", comparison.asked);
    };
    let limit = comparison.limit.map(number);
    let threshold = match (&comparison.threshold, limit) {
        // A literal is its own value.
        (Some(text), Some(limit)) if !text.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{text} = {limit}{unit}")
        }
        (_, Some(limit)) => format!("{limit}{unit}"),
        (Some(text), None) => text.clone(),
        (None, None) => String::new(),
    };
    format!(
        "    {}{value}{unit} {sign} {threshold}: {holds}",
        comparison.asked
    )
}

fn feature(feature: &Feature) -> String {
    let unit = after(" ", feature.unit.as_deref());
    let known = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), number);
    let before = feature.before.map(number);
    let before = after(", before it ", before.as_deref());
    format!(
        "    feature {} is {}{unit}{before}",
        feature.feature,
        known(feature.value)
    )
}

fn score(score: &Score, lines: &mut Vec<String>) {
    let value = score.value.map_or_else(|| "unknown, so 1".to_owned(), number);
    lines.push(format!("    score {} = {value}", score.text));
    for part in &score.contributions {
        let value = part.value.map_or_else(|| "unknown".to_owned(), number);
        lines.push(format!("      {value} by {}", part.text));
    }
}

fn way(report: &Report, took: Duration) -> String {
    let record = &report.record;
    let from = match &record.snapshot_time {
        Some(time) => format!(
            "the snapshot of offset {}, written at {time}",
            record.replayed_from
        ),
        None => "the beginning of the log".to_owned(),
    };
    format!(
        "from {from}, {} replayed, {:.1} s",
        count(usize::try_from(record.replayed).unwrap_or(usize::MAX), "record"),
        took.as_secs_f64()
    )
}

/// A text with something before it; nothing of none.
fn after(before: &str, text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("{before}{text}"))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// At most four decimals, as money has them.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
