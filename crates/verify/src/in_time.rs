//! The loop that compares again and again, until all is as it must be or the time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Error;
use millrace_settings::Settings;

use crate::check::{self, Check, Look};
use crate::elastic::Index;
use crate::report::{Counts, Report};
use crate::{Options, compare, progress};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A check with what it last came to.
struct Open {
    check: Box<dyn Check>,
    last: Option<Look>,
}

/// All checks of the pipelines that there are.
struct Checks(Vec<Open>);

/// What all of them have come to.
struct Seen {
    report: Report,
    /// Whether the ledgers and topics of all could be read.
    is_read: bool,
    is_running: bool,
    cost: Duration,
}

impl Checks {
    /// Opens the topics.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let opened = check::of(settings).map(|verification| {
            Ok(Open {
                check: (verification.open)(settings)?,
                last: None,
            })
        });
        opened.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Looks at everything once more. Of a check that cannot, the rows stay as they were.
    fn look(&mut self, index: Option<&Index>, allow_open: bool) -> Seen {
        let mut unread: Vec<(&str, Error)> = Vec::new();
        for open in &mut self.0 {
            match open.check.look(index) {
                Ok(look) => open.last = Some(look),
                Err(error) => unread.push((open.check.reads(), error)),
            }
        }
        let looks = || self.0.iter().filter_map(|open| open.last.as_ref());
        let rows = looks().flat_map(|look| look.rows.iter().cloned()).collect();
        let counts = looks()
            .map(|look| look.counts)
            .fold(Counts::default(), Counts::with);
        let mut report = Report::of(rows, counts, allow_open);
        // An index just made has no shard to search for a moment, and a server may be on its way
        // back.
        if let Some(error) = looks().find_map(|look| look.unindexed.as_ref()) {
            report = report.with_unread("Elasticsearch", &format!("{error:#}"));
        }
        for (reads, error) in &unread {
            report = report.with_unread(reads, &format!("{error:#}"));
        }
        Seen {
            report,
            is_read: unread.is_empty(),
            is_running: looks().any(|look| look.is_running),
            cost: self
                .0
                .iter()
                .map(|open| open.check.cost())
                .max()
                .unwrap_or_default(),
        }
    }
}

pub(crate) async fn compare(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let deadline = Instant::now() + options.timeout;
    let allow_open = options.allow_open;
    let index = match options.without_elasticsearch {
        true => None,
        false => Some(Arc::new(Index::new(settings)?)),
    };
    let opening = settings.clone();
    let mut checks = tokio::task::spawn_blocking(move || Checks::open(&opening)).await??;
    loop {
        let (mut looking, index) = (checks, index.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let seen = looking.look(index.as_deref(), allow_open);
            (looking, seen)
        });
        let (back, seen) = looked.await?;
        checks = back;
        if seen.report.passed || seen.report.is_settled(allow_open) {
            return Ok(seen.report);
        }
        if Instant::now() >= deadline {
            return match seen.is_read && !seen.is_running {
                true => excused(settings, checks, seen.report).await,
                // With a run that goes on, jobs are always a little behind.
                false => Ok(seen.report),
            };
        }
        (options.on_wait)(&seen.report);
        tokio::time::sleep(PAUSE.max(seen.cost)).await;
    }
}

/// What is missing at the end is no loss while a job that would bring it has not read all there is.
async fn excused(settings: &Settings, checks: Checks, report: Report) -> anyhow::Result<Report> {
    let asked = settings.clone();
    let waits: Vec<_> = checks.0.iter().map(|open| open.check.waits_for()).collect();
    let behind = tokio::task::spawn_blocking(move || progress::behind(&asked, &waits)).await?;
    let behind = match behind {
        Ok(behind) => behind,
        Err(error) => return Ok(report.with_unread("consumer groups", &format!("{error:#}"))),
    };
    Ok(report.with_behind(|row| {
        let sink = behind.sink.iter().filter(|_| row.starts_with(compare::INDEX));
        behind.jobs.iter().chain(sink).map(String::as_str).collect()
    }))
}
