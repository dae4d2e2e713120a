//! The comparison, of figures alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counting, Made, Sent, Tally};
use crate::compare::INDEX;
use crate::elastic::Total;
use crate::report::{Row, Verdict};
use crate::rows::{Rows, difference};

/// What the topics have.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// Events that were not refused, each id once.
    pub(super) once: Tally,
    /// Further records of them.
    pub(super) copies: u64,
    /// Those on the late topic.
    pub(super) late: u64,
    /// The others, by the start of their window.
    pub(super) in_time: BTreeMap<i64, Tally>,
    /// Records that nobody can read.
    pub(super) unreadable: u64,
    /// Records that are dead letters.
    pub(super) dead_letters: u64,
    /// Those among them that can be read: their times may be impossible.
    pub(super) wrongly_refused: u64,
    /// What is made of the events.
    pub(super) made: Vec<Found>,
    /// Documents of the events themselves, and what they came to, where that is compared.
    pub(super) indexed: Option<Total>,
}

/// What Elasticsearch has of one kind of results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Indexed {
    /// The documents, and the events in them.
    pub(super) events: Total,
    /// What these came to, in 1/10,000, where there is money in them.
    pub(super) units: Option<u64>,
}

/// What the topic and the index of one kind of results have.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Which.
    pub(super) made: &'static Made,
    /// Results, each once.
    pub(super) results: u64,
    /// The events in them, by the start of the result.
    pub(super) events: BTreeMap<i64, Tally>,
    /// Results that are there again.
    pub(super) doubled: u64,
    /// What Elasticsearch has, where that is compared.
    pub(super) indexed: Option<Indexed>,
}

impl Found {
    fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        self.events.values().for_each(|tally| sum.add(*tally));
        sum
    }
}

/// Compares everything. `events` is what the events are called, as `clicks`; `money` what they come
/// to, as `revenue`, where there is money in them.
pub(super) fn compare((events, money): (&str, Option<&str>), sent: &Sent, figures: &Figures) -> Vec<Row> {
    let mut rows = Rows::new(sent.is_running);
    rows.at_least(
        &format!("{events} in the topic"),
        sent.acknowledged,
        figures.once.events,
    );
    if let Some(money) = money {
        let name = format!("{money} in the topic");
        rows.sum_at_least(&name, sent.units, figures.once.units);
    }
    rows.info(&format!("copies of {events}"), figures.copies);
    rows.info(&format!("late {events}"), figures.late);
    rows.info(&format!("{events} of impossible times"), figures.wrongly_refused);
    let refused = figures.dead_letters.saturating_sub(figures.wrongly_refused);
    let letters = format!("dead letters of {events}");
    rows.count(&letters, figures.unreadable, 0, refused);
    for found in &figures.made {
        match found.made.counting {
            Counting::InWindows => in_windows(&mut rows, (events, money), figures, found),
            Counting::InSessions => in_sessions(&mut rows, events, figures, found),
        }
        rows.never(&format!("{} there twice", found.made.name), found.doubled);
    }
    if let (Some(total), Some(money)) = (figures.indexed, money) {
        rows.count(
            &format!("{INDEX} {events}"),
            figures.once.events,
            0,
            total.documents,
        );
        let name = format!("{INDEX} {money} of {events}");
        rows.sum(&name, figures.once.units, total.sum.into());
    }
    for found in &figures.made {
        let Made { name, unit, .. } = found.made;
        if let Some(Indexed { events, units }) = found.indexed {
            rows.count(&format!("{INDEX} {name}"), found.results, 0, events.documents);
            rows.count(
                &format!("{INDEX} {unit} of {name}"),
                found.sum().events,
                0,
                events.sum,
            );
            if let (Some(units), Some(money)) = (units, money) {
                let name = format!("{INDEX} {money} of {name}");
                rows.sum(&name, found.sum().units, units.into());
            }
        }
    }
    rows.checks
}

/// Events of windows that have closed, each to the event; what is in later windows is open.
fn in_windows(rows: &mut Rows, (events, money): (&str, Option<&str>), figures: &Figures, found: &Found) {
    let closed_until_ms = found.events.last_key_value().map(|(start_ms, _)| *start_ms);
    let is_closed = |start_ms: &i64| closed_until_ms.is_some_and(|last| *start_ms <= last);
    let (mut expected, mut open, mut differing) = (Tally::default(), Tally::default(), 0_u64);
    for (start_ms, tally) in &figures.in_time {
        match is_closed(start_ms) {
            true => expected.add(*tally),
            false => open.add(*tally),
        }
    }
    let starts = figures.in_time.keys().filter(|start_ms| is_closed(start_ms));
    let all: BTreeSet<_> = starts.chain(found.events.keys()).collect();
    for start_ms in &all {
        let of = |windows: &BTreeMap<i64, Tally>| windows.get(*start_ms).copied().unwrap_or_default();
        differing += u64::from(of(&figures.in_time) != of(&found.events));
    }
    let actual = found.sum();
    let is_right = differing == 0;
    let is_missing = actual.events <= expected.events && actual.units <= expected.units;
    let (mut verdict, may_change) = rows.verdict(is_right, is_missing);
    if !is_right && rows.live {
        verdict = Verdict::Open;
    }
    rows.push(
        found.made.name,
        format!("{} in {} windows", expected.events, all.len()),
        actual.events,
        match differing {
            0 => "0".to_owned(),
            windows => format!(
                "{} in {windows} windows",
                difference(i128::from(expected.events), i128::from(actual.events))
            ),
        },
        verdict,
        may_change,
    );
    if let Some(money) = money {
        let name = format!("{money} of {}", found.made.name);
        rows.sum(&name, expected.units, actual.units);
    }
    if open.events > 0 {
        let name = format!("{events} in open windows");
        rows.push(&name, "", open.events, "", Verdict::Open, true);
        if all.is_empty() {
            let name = format!("windows of {events} compared");
            rows.push(&name, "at least 1", "none has closed", "", Verdict::Unread, true);
        }
    }
}

/// Events of sessions that are over: never more than there are. The others are in sessions that are
/// not.
fn in_sessions(rows: &mut Rows, events: &str, figures: &Figures, found: &Found) {
    let Made { name, unit, .. } = found.made;
    let sum = found.sum().events;
    let over = format!("{name} that are over");
    rows.note(&over, format!("{}: {sum} {unit}", found.results));
    let is_right = sum <= figures.once.events;
    let (verdict, may_change) = rows.verdict(is_right, false);
    let off = if is_right { "0" } else { "too many" };
    let most = format!("at most {}", figures.once.events);
    rows.push(
        &format!("{events} in {name}"),
        most,
        sum,
        off,
        verdict,
        may_change,
    );
}

#[cfg(test)]
mod tests;
