//! The comparison, of figures alone.

use std::collections::BTreeMap;

use super::Indexed;
use crate::compare::INDEX;
use crate::report::{Check, Verdict};
use crate::rows::{Rows, difference};

/// What the ledgers have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    /// Clicks that the brokers acknowledged, each id once.
    pub(super) acknowledged: u64,
    /// Whether a run goes on.
    pub(super) is_running: bool,
}

/// What the topics have.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// Clicks that were not refused, each id once.
    pub(super) once: u64,
    /// Further records of them.
    pub(super) copies: u64,
    /// Those on the late topic.
    pub(super) late: u64,
    /// The others, by the start of their window.
    pub(super) in_time: BTreeMap<i64, u64>,
    /// Records that nobody can read.
    pub(super) unreadable: u64,
    /// Records that are dead letters.
    pub(super) dead_letters: u64,
    /// Those among them that can be read: their times may be impossible.
    pub(super) wrongly_refused: u64,
    /// Pages and windows with a result.
    pub(super) results: u64,
    /// Their views, by the start of the window.
    pub(super) views: BTreeMap<i64, u64>,
    /// Sessions that are over.
    pub(super) sessions: u64,
    /// The page views in them.
    pub(super) pages_of_sessions: u64,
    /// Results and sessions that are there twice.
    pub(super) doubled: u64,
}

pub(super) fn compare(sent: &Sent, found: &Figures, indexed: Option<&Indexed>) -> Vec<Check> {
    let mut rows = Rows::new(sent.is_running);
    rows.at_least("clicks in the topic", sent.acknowledged, found.once);
    rows.info("copies of clicks", found.copies);
    rows.info("late clicks", found.late);
    rows.info("clicks of impossible times", found.wrongly_refused);
    let refused = found.dead_letters.saturating_sub(found.wrongly_refused);
    rows.count("dead letters of clicks", found.unreadable, 0, refused);
    page_views(&mut rows, found);
    rows.never("page views and sessions there twice", found.doubled);
    rows.note(
        "sessions that are over",
        format!("{}: {} pages", found.sessions, found.pages_of_sessions),
    );
    let is_right = found.pages_of_sessions <= found.once;
    let (verdict, may_change) = rows.verdict(is_right, false);
    rows.push(
        "clicks in sessions",
        format!("at most {}", found.once),
        found.pages_of_sessions,
        if is_right {
            "0".to_owned()
        } else {
            "too many".to_owned()
        },
        verdict,
        may_change,
    );
    if let Some(indexed) = indexed {
        let views: u64 = found.views.values().sum();
        for (name, unit, (documents, sum), total) in [
            ("page views", "views", (found.results, views), indexed.page_views),
            (
                "sessions",
                "pages",
                (found.sessions, found.pages_of_sessions),
                indexed.sessions,
            ),
        ] {
            rows.count(&format!("{INDEX} {name}"), documents, 0, total.documents);
            rows.count(&format!("{INDEX} {unit} of {name}"), sum, 0, total.sum);
        }
    }
    rows.checks
}

/// Views of windows that have closed, each to the click; what is in later windows is open.
fn page_views(rows: &mut Rows, found: &Figures) {
    let closed_until_ms = found.views.last_key_value().map(|(start_ms, _)| *start_ms);
    let is_closed = |start_ms: &i64| closed_until_ms.is_some_and(|last| *start_ms <= last);
    let (mut expected, mut open, mut differing) = (0_u64, 0_u64, 0_u64);
    for (start_ms, clicks) in &found.in_time {
        match is_closed(start_ms) {
            true => expected += clicks,
            false => open += clicks,
        }
    }
    let starts = found.in_time.keys().filter(|start_ms| is_closed(start_ms));
    let all: std::collections::BTreeSet<_> = starts.chain(found.views.keys()).collect();
    for start_ms in &all {
        let of = |windows: &BTreeMap<i64, u64>| windows.get(*start_ms).copied().unwrap_or(0);
        differing += u64::from(of(&found.in_time) != of(&found.views));
    }
    let actual: u64 = found.views.values().sum();
    let is_right = differing == 0;
    let (mut verdict, may_change) = rows.verdict(is_right, actual <= expected);
    if !is_right && rows.live {
        verdict = Verdict::Open;
    }
    rows.push(
        "page views",
        format!("{expected} in {} windows", all.len()),
        actual,
        match differing {
            0 => "0".to_owned(),
            windows => format!(
                "{} in {windows} windows",
                difference(i128::from(expected), i128::from(actual))
            ),
        },
        verdict,
        may_change,
    );
    if open > 0 {
        rows.push("clicks in open windows", "", open, "", Verdict::Open, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic::Total;

    fn figures() -> Figures {
        Figures {
            once: 10,
            copies: 2,
            late: 1,
            in_time: [(0, 5), (60, 4)].into(),
            unreadable: 3,
            dead_letters: 4,
            wrongly_refused: 1,
            results: 3,
            views: [(0, 5), (60, 4)].into(),
            sessions: 2,
            pages_of_sessions: 9,
            doubled: 0,
        }
    }

    const SENT: Sent = Sent {
        acknowledged: 10,
        is_running: false,
    };

    fn indexed() -> Indexed {
        let total = |documents, sum| Total { documents, sum };
        Indexed {
            page_views: total(3, 9),
            sessions: total(2, 9),
        }
    }

    /// Names of the rows with this verdict.
    fn with(verdict: Verdict, sent: &Sent, found: &Figures, indexed: &Indexed) -> Vec<String> {
        let checks = compare(sent, found, Some(indexed)).into_iter();
        checks
            .filter(|it| it.verdict == verdict)
            .map(|it| it.check)
            .collect()
    }

    #[test]
    fn what_adds_up_passes() {
        for verdict in [Verdict::Failed, Verdict::Open, Verdict::Unread] {
            assert_eq!(with(verdict, &SENT, &figures(), &indexed()), [""; 0]);
        }
    }

    #[test]
    fn each_difference_fails_its_row() {
        let failed = |found: Figures| with(Verdict::Failed, &SENT, &found, &indexed());
        let lost = Figures { once: 9, ..figures() };
        assert_eq!(failed(lost), ["clicks in the topic"]);
        let letter = Figures {
            dead_letters: 3,
            ..figures()
        };
        assert_eq!(failed(letter), ["dead letters of clicks"]);
        let elsewhere = Figures {
            views: [(0, 4), (60, 5)].into(),
            ..figures()
        };
        assert_eq!(
            failed(elsewhere),
            ["page views"],
            "the sum is right, no window is"
        );
        let twice = Figures {
            doubled: 1,
            ..figures()
        };
        assert_eq!(failed(twice), ["page views and sessions there twice"]);
        let more = Figures {
            pages_of_sessions: 11,
            ..figures()
        };
        assert_eq!(
            failed(more),
            ["clicks in sessions", "Elasticsearch: pages of sessions"]
        );
        let unindexed = with(Verdict::Failed, &SENT, &figures(), &Indexed::default());
        assert_eq!(unindexed.len(), 4, "{unindexed:?}");
    }

    #[test]
    fn what_comes_after_the_last_result_is_open() {
        let found = Figures {
            once: 12,
            in_time: [(0, 5), (60, 4), (120, 2)].into(),
            ..figures()
        };
        assert_eq!(
            with(Verdict::Open, &SENT, &found, &indexed()),
            ["clicks in open windows"]
        );
        assert_eq!(with(Verdict::Failed, &SENT, &found, &indexed()), [""; 0]);
    }
}
