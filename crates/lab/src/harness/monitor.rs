//! How far each consumer group is behind, looked at again and again: what a fault does to it, and
//! when it is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use millrace_settings::Settings;

use super::group::Group;
use super::offsets::Offsets;
use crate::wait::wait_until;

/// Time between two looks at what takes moments.
pub const OFTEN: Duration = Duration::from_millis(100);
/// Time between two looks while something is measured: ten a second were 200 requests, as many as
/// all of a pipeline at 200,000 transactions a second.
pub const SELDOM: Duration = Duration::from_secs(1);
/// Looks that are kept: five minutes and more.
const KEPT: usize = 4_000;
/// The lag before a fault is the highest within this time.
const BEFORE: Duration = Duration::from_secs(3);
/// A lag that is low again must stay so for this long.
const STEADY: Duration = Duration::from_secs(1);

/// Something of each group.
type Each<T> = Vec<(Group, T)>;

fn of_group<T: Copy>(each: &Each<T>, group: Group) -> Option<T> {
    let found = each.iter().find(|(found, _)| *found == group);
    found.map(|(_, value)| *value)
}

/// Where one group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// What it has committed, all partitions added.
    pub committed: i64,
    /// The ends of what it reads, all partitions added.
    pub end: i64,
}

impl Position {
    fn lag(self) -> i64 {
        (self.end - self.committed).max(0)
    }
}

/// One look; a group is `None` where the cluster did not answer.
#[derive(Debug, Clone)]
struct Look {
    at: SystemTime,
    positions: Each<Option<Position>>,
}

impl Look {
    fn position(&self, group: Group) -> Option<Position> {
        of_group(&self.positions, group).flatten()
    }
}

/// The state just before a fault.
#[derive(Debug, Clone)]
pub struct Mark {
    /// When.
    pub at: SystemTime,
    ends: Each<i64>,
    /// The lag at which a group is at the head.
    levels: Each<i64>,
}

impl Mark {
    /// With the lag that counted as none at another mark: after an outage, at which all lag.
    #[must_use]
    pub fn with_levels_of(self, other: &Self) -> Self {
        Self {
            levels: other.levels.clone(),
            ..self
        }
    }
}

/// Looks at the groups until it is dropped.
pub struct Monitor {
    looks: Arc<Mutex<VecDeque<Look>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// A lag below this is none: two seconds of the stream, as groups commit once a second and ends
    /// move on meanwhile.
    slack: i64,
    groups: Vec<Group>,
}

impl Monitor {
    /// Starts looking, with `interval` between two looks.
    ///
    /// # Errors
    /// A client or the thread cannot be made.
    pub fn start(settings: &Settings, interval: Duration) -> Result<Self> {
        let offsets = Offsets::new(settings)?;
        let (looks, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (Arc::clone(&looks), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || look_on(&offsets, interval, &kept, &stopped))
            .context("starting the monitor's thread")?;
        Ok(Self {
            looks,
            stop,
            thread: Some(thread),
            slack: i64::try_from(settings.producer.rate_per_s)?
                .saturating_mul(2)
                .max(100),
            groups: Group::watched(settings),
        })
    }

    fn latest(&self) -> Option<Look> {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .back()
            .cloned()
    }

    /// Where `group` was at the last look that found it.
    #[must_use]
    pub fn position(&self, group: Group) -> Option<Position> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.iter().rev().find_map(|look| look.position(group))
    }

    /// How far `group` was behind at the last look that found it.
    #[must_use]
    pub fn lag(&self, group: Group) -> i64 {
        self.position(group).map_or(0, Position::lag)
    }

    /// Waits until the detector has committed at least `records`, and every other group something.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub async fn flows(&self, records: i64, limit: Duration) -> Result<()> {
        wait_until("a stream that flows", limit, || async {
            let flows = self.groups.iter().all(|&group| {
                let least = if group == Group::Detect { records } else { 1 };
                self.position(group)
                    .is_some_and(|position| position.committed >= least)
            });
            Ok(flows.then_some(()))
        })
        .await
        .with_context(|| self.describe())
    }

    /// Waits until `group` has committed all there is: after the end of the stream.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub async fn drained(&self, group: Group, limit: Duration) -> Result<()> {
        let from = SystemTime::now();
        wait_until(&format!("{group:?} at the end"), limit, || async {
            let look = self.latest().filter(|look| look.at > from);
            let position = look.and_then(|look| look.position(group));
            Ok(position.filter(|position| position.lag() == 0).map(drop))
        })
        .await
        .with_context(|| self.describe())
    }

    /// Waits until `group` has committed `records` more than now.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub async fn advanced(&self, group: Group, records: i64, limit: Duration) -> Result<()> {
        let before = self.position(group).map_or(0, |position| position.committed);
        wait_until(&format!("{records} more records of {group:?}"), limit, || async {
            let now = self.position(group).map_or(0, |position| position.committed);
            Ok((now >= before + records).then_some(()))
        })
        .await
        .with_context(|| self.describe())
    }

    /// Waits until `group` has committed nothing for `quiet`.
    ///
    /// # Errors
    /// It goes on committing until `limit`.
    pub async fn stalled(&self, group: Group, quiet: Duration, limit: Duration) -> Result<()> {
        let (mut committed, mut since) = (-1, Instant::now());
        let deadline = Instant::now() + limit;
        while since.elapsed() < quiet {
            if Instant::now() > deadline {
                bail!("{group:?} still commits after {} s", limit.as_secs());
            }
            let now = self.position(group).map_or(0, |position| position.committed);
            if now != committed {
                (committed, since) = (now, Instant::now());
            }
            tokio::time::sleep(OFTEN).await;
        }
        Ok(())
    }

    /// The state now, to measure a recovery from.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let at = SystemTime::now();
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = || looks.iter().filter(|look| look.at + BEFORE >= at);
        let of = |group: Group| {
            let (mut end, mut level) = (0, self.slack);
            for position in recent().filter_map(|look| look.position(group)) {
                (end, level) = (position.end, level.max(position.lag()));
            }
            (end, level)
        };
        let each = || self.groups.iter().map(|&group| (group, of(group)));
        Mark {
            at,
            ends: each().map(|(group, (end, _))| (group, end)).collect(),
            levels: each().map(|(group, (_, level))| (group, level)).collect(),
        }
    }

    /// Waits until every one of `groups` has committed what there was at the mark and, but for the
    /// second stage, lags no more than before it, for a second. Returns the start of that second.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub async fn recovered(&self, mark: &Mark, groups: &[Group], limit: Duration) -> Result<SystemTime> {
        wait_until("every group back at the head of the stream", limit, || async {
            let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(steady_since(&looks, mark, groups))
        })
        .await
        .with_context(|| self.describe())
    }

    /// Where every group is, for an error.
    fn describe(&self) -> String {
        let mut parts = Vec::new();
        for &group in &self.groups {
            parts.push(match self.position(group) {
                Some(Position { committed, end }) => format!("{group:?} at {committed} of {end}"),
                None => format!("{group:?} unknown"),
            });
        }
        format!("the groups: {}", parts.join(", "))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, its own message has said so.
            let _ = thread.join();
        }
    }
}

fn look_on(offsets: &Offsets, interval: Duration, looks: &Mutex<VecDeque<Look>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let positions = offsets.positions();
        let at = SystemTime::now();
        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() == KEPT {
            looks.pop_front();
        }
        looks.push_back(Look { at, positions });
        drop(looks);
        std::thread::park_timeout(interval.saturating_sub(started.elapsed()));
    }
}

/// The first look after the mark from which on every group is at the head, if that was at least a
/// second ago.
fn steady_since(looks: &VecDeque<Look>, mark: &Mark, groups: &[Group]) -> Option<SystemTime> {
    let at_head = |look: &Look| {
        groups.iter().all(|&group| {
            look.position(group).is_some_and(|position| {
                let level = of_group(&mark.levels, group).unwrap_or_default();
                let at_head = group.is_second_stage() || position.lag() <= level;
                at_head && position.committed >= of_group(&mark.ends, group).unwrap_or_default()
            })
        })
    };
    let after = looks.iter().rev().take_while(|look| look.at > mark.at);
    let since = after.take_while(|look| at_head(look)).last()?.at;
    let until = looks.back()?.at;
    (until.duration_since(since).ok()? >= STEADY).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 4] = [
        Group::Partial,
        Group::Merge,
        Group::Detect,
        Group::Job("sessions"),
    ];

    fn look(second: u64, committed: i64, end: i64) -> Look {
        Look {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            positions: ALL.map(|group| (group, Some(Position { committed, end }))).into(),
        }
    }

    #[test]
    fn a_recovery_begins_with_the_first_look_of_a_steady_second() {
        let mark = Mark {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(10),
            ends: ALL.map(|group| (group, 1_000)).into(),
            levels: ALL.map(|group| (group, 50)).into(),
        };
        // Low at first, as nothing has come since the fault; then behind, back for a moment,
        // behind, and back.
        let mut looks: VecDeque<_> = [
            look(9, 990, 1_000),
            look(11, 990, 1_010),
            look(12, 990, 1_100),
            look(13, 1_180, 1_200),
            look(14, 1_180, 1_300),
            look(15, 1_380, 1_400),
        ]
        .into();
        assert_eq!(steady_since(&looks, &mark, &ALL), None);
        looks.push_back(look(16, 1_480, 1_500));
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(15);
        assert_eq!(steady_since(&looks, &mark, &ALL), Some(since));
        looks.push_back(Look {
            positions: ALL.map(|group| (group, None)).into(),
            ..look(17, 0, 0)
        });
        assert_eq!(steady_since(&looks, &mark, &ALL), None, "the brokers are away");
    }
}
