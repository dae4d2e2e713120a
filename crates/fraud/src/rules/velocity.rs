//! Velocity: too many purchases, or too much money, in a short time.
//!
//! The span is the `span_ms` of event time that end at the user's highest event time, that
//! included. A purchase that comes out of order counts if it is in the span, and not otherwise.
//!
//! *Fires* when a purchase makes more than `max_count` in the span; or when, with at least
//! [`LEAST_BURST`] purchases in it, their amounts add up to more than `max_sum_ratio` times the
//! user's usual amount. Each amount is a multiple of the usual one in its own currency (the
//! geometric mean, when it came), so that currencies add up; it adds nothing until that is known.
//!
//! *Armed again* when every purchase that was in the span as it fired has left it, and what is in
//! it, without the new purchase, is within both limits. So a burst is one anomaly however long it
//! lasts, and a user who keeps to the edge of a limit raises one a span at most. As no purchase is
//! in two firing spans, no id comes twice.
//!
//! *A change* of the span holds at once: of a longer one, what is kept so far is all there is; of a
//! shorter one, what is outside is forgotten. A smaller `max_count` keeps the last `max_count + 1`
//! purchases. Switched off, the rule forgets all, and begins anew when it is on again.
//!
//! *State*: exact up to `max_count + 1` purchases. Those that are no longer kept are those that
//! made the rule fire.
//!
//! *Evidence*: the purchases of the span, the earliest first and the one that fired last (the
//! earliest and the last ones where they are more than 20); `transactions_count`, `sum_ratio` (how
//! many usual amounts), `elapsed_s` from the earliest to the last, and the limits `max_count`,
//! `max_sum_ratio`, `span_s`. The score for a count measures the pace: how many times faster than
//! the limit allows the purchases came.

use millrace_domain::Transaction;
use millrace_engine::policy::DAY_MS;

use super::{RuleSettings, Running, set};
use crate::event_time::EventTime;
use crate::finding::{Finding, MAX_EVIDENCE, score};
use crate::recent::{Entries, Recent, RecentPool, Run};

/// The standard name.
pub const NAME: &str = "velocity";

/// One or two large purchases are no burst, whatever they add up to.
pub const LEAST_BURST: usize = 3;

set::settings! {
    /// What a policy has of the rule.
    VelocitySettings, set by
    /// Velocity: count and sum per user over a sliding span of event time.
    VelocityRule of "velocity":
    /// The sliding span; 1 s to a day.
    span_ms: i64 = 60_000, 1_000..=DAY_MS;
    /// More purchases than this in the span fire; 1 to 1,000, as a user's state may hold one more
    /// than that.
    max_count: u32 = 10, 1..=1_000;
    /// More than this multiple of the user's usual amount, summed over the span, fires; 1 to
    /// 1,000,000,000.
    max_sum_ratio: f64 = 30.0, 1.0..=1e9;
}

#[derive(Debug, Clone)]
pub(crate) struct Velocity {
    pub(crate) settings: VelocitySettings,
}

impl Running {
    /// A pool of recent purchases that keeps what velocity needs, where it runs.
    pub(crate) fn pool(&self) -> RecentPool {
        let velocity = self.velocity.as_ref();
        let kept = velocity.map_or(1, |rule| rule.settings.max_count + 1);
        RecentPool::new(u16::try_from(kept).unwrap_or(u16::MAX))
    }
}

impl Velocity {
    pub(crate) fn of(settings: VelocitySettings, _rules: &RuleSettings) -> Self {
        Self { settings }
    }

    /// Forgets what leaves the span as the user's highest event time goes from `before_ms` to
    /// `newest_ms`. To be called for every transaction of the user.
    #[inline]
    pub(crate) fn expire(&self, run: &mut Run, pool: &mut RecentPool, before_ms: i64, newest_ms: i64) {
        if run.is_empty() || before_ms == newest_ms {
            return;
        }
        self.cut(run, pool, before_ms, newest_ms);
    }

    /// Forgets what is not in the span that ends at `newest_ms`. `before_ms` is the user's highest
    /// event time so far.
    #[inline]
    pub(crate) fn cut(&self, run: &mut Run, pool: &mut RecentPool, before_ms: i64, newest_ms: i64) {
        let span_start_ms = newest_ms - self.settings.span_ms;
        let expired = pool
            .entries(run)
            .take_while(|recent| recent.time_ms(before_ms) <= span_start_ms)
            .count();
        pool.drop_first(run, expired);
    }

    /// Judges a purchase, after [`Velocity::expire`]. `ratio` is its amount as a multiple of the
    /// user's usual one, 0 while that is unknown.
    #[inline]
    pub(crate) fn judge(
        &self,
        purchase: &Transaction,
        ratio: f64,
        run: &mut Run,
        fired: &mut EventTime,
        pool: &mut RecentPool,
        newest_ms: i64,
    ) -> Option<Finding> {
        let time_ms = purchase.transaction_time_ms;
        let span_ms = self.settings.span_ms;
        if time_ms <= newest_ms - span_ms {
            return None;
        }
        if !fired.is_never() && newest_ms - span_ms >= fired.ms() && !self.is_over(pool, run) {
            *fired = EventTime::NEVER;
        }
        let later = if time_ms == newest_ms {
            // Most come in order: none is later, and where the others lie need not be known.
            0
        } else {
            later_than(pool.entries(run), time_ms, newest_ms)
        };
        let recent = Recent {
            time_low: time_ms as u32,
            ratio: ratio as f32,
            id: purchase.transaction_id,
        };
        let at = run.len() - later;
        pool.insert(run, at, recent);
        if !fired.is_never() || !self.is_over(pool, run) {
            return None;
        }
        *fired = EventTime::of_ms(newest_ms);
        Some(self.finding(pool.entries(run), purchase, newest_ms))
    }

    /// How many purchases a run has, how many usual amounts they are, and whether that is more than
    /// a limit.
    pub(crate) fn figures(&self, pool: &RecentPool, run: &Run) -> (usize, f64, bool) {
        (run.len(), sum_ratio(pool.entries(run)), self.is_over(pool, run))
    }

    #[inline]
    fn is_over(&self, pool: &RecentPool, run: &Run) -> bool {
        let count = run.len();
        count > self.settings.max_count as usize
            || (count >= LEAST_BURST && sum_ratio(pool.entries(run)) > self.settings.max_sum_ratio)
    }

    #[cold]
    fn finding(&self, entries: Entries<'_>, purchase: &Transaction, newest_ms: i64) -> Finding {
        let settings = &self.settings;
        let entries: Vec<_> = entries.collect();
        let count = entries.len();
        let sum_ratio = sum_ratio(entries.iter().copied());
        let time_ms = |recent: Option<&&Recent>| recent.map_or(newest_ms, |recent| recent.time_ms(newest_ms));
        let elapsed_ms = (time_ms(entries.last()) - time_ms(entries.first())).max(1) as f64;
        let pace = if count > settings.max_count as usize {
            settings.span_ms as f64 / elapsed_ms
        } else {
            1.0
        };
        let fired = purchase.transaction_id;
        let mut ids: Vec<_> = entries
            .iter()
            .map(|recent| recent.id)
            .filter(|&id| id != fired)
            .collect();
        if ids.len() >= MAX_EVIDENCE {
            ids.drain(1..ids.len() + 2 - MAX_EVIDENCE);
        }
        ids.push(fired);
        Finding {
            rule: NAME,
            score: score(pace).max(score(sum_ratio / settings.max_sum_ratio)),
            transaction_ids: ids,
            figures: vec![
                ("elapsed_s", elapsed_ms / 1_000.0),
                ("max_count", f64::from(settings.max_count)),
                ("max_sum_ratio", settings.max_sum_ratio),
                ("span_s", settings.span_ms as f64 / 1_000.0),
                ("sum_ratio", sum_ratio),
                ("transactions_count", count as f64),
            ],
        }
    }
}

/// How many purchases of a run, which are all at or before `newest_ms`, are later than `time_ms`.
fn later_than(entries: Entries<'_>, time_ms: i64, newest_ms: i64) -> usize {
    let later = entries.rev();
    later
        .take_while(|recent| recent.time_ms(newest_ms) > time_ms)
        .count()
}

#[inline]
fn sum_ratio<'a>(entries: impl Iterator<Item = &'a Recent>) -> f64 {
    entries.map(|recent| f64::from(recent.ratio)).sum()
}
