//! The clickstream, where it is enabled: what the ledgers have must be in its topic, each click of
//! that in the page views or on the late topic once, and Elasticsearch must hold what the topics
//! hold.

mod compare;
mod state;

use std::path::Path;

use anyhow::Context as _;
use millrace_catalog::clickstream::topic;
use millrace_catalog::dead_letter;
use millrace_clickstream::ledger::WindowLine;
use millrace_elastic_sink::stream::Stream;
use millrace_kafka::topic_name;
use millrace_publisher::ledger::{LedgerFile, is_running};
use millrace_registry::SchemaFetcher;
use millrace_settings::Settings;

use super::elastic::{Index, Total};
use super::log::TopicLog;
use super::report::Check;
use compare::{Figures, Sent};
use state::State;

/// The logs that are compared, and what has been read of them.
pub(super) struct Clickstream {
    clicks: TopicLog,
    late: TopicLog,
    dead_letters: TopicLog,
    page_views: TopicLog,
    sessions: TopicLog,
    state: State,
}

impl Clickstream {
    /// Opens the topics.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let kafka = &settings.kafka;
        let open = |name: &str| TopicLog::open(kafka, topic_name(kafka, name));
        let fetcher = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
        Ok(Self {
            clicks: open(topic::CLICKS)?,
            late: open(topic::LATE)?,
            dead_letters: open(&dead_letter(topic::CLICKS))?,
            page_views: open(topic::PAGE_VIEWS)?,
            sessions: open(topic::SESSIONS)?,
            state: State::new(&fetcher),
        })
    }

    /// Reads what is new, results first, so that they never seem to be ahead of what they are made
    /// of; and compares.
    fn look(&mut self, settings: &Settings, indexed: Option<Indexed>) -> anyhow::Result<Vec<Check>> {
        let state = &mut self.state;
        self.page_views.read_new(|message| state.page_views(message))?;
        self.sessions.read_new(|message| state.session(message))?;
        self.late.read_new(|message| state.late(message))?;
        self.dead_letters.read_new(|message| state.dead_letter(message))?;
        self.clicks.read_new(|message| state.click(message))?;
        let topic = topic_name(&settings.kafka, topic::CLICKS);
        let sent = sent(&settings.producer.clicks_ledger_dir(), &topic)?;
        let figures: Figures = self.state.figures(settings.clickstream.window_ms)?;
        Ok(compare::compare(&sent, &figures, indexed.as_ref()))
    }
}

/// What Elasticsearch has of the results.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Indexed {
    pub(super) page_views: Total,
    pub(super) sessions: Total,
}

/// Looks at everything once more; a failure is the caller's to tell.
///
/// # Errors
/// A topic, a ledger or Elasticsearch cannot be read.
pub(super) async fn look(
    settings: &Settings,
    clickstream: &mut Option<Clickstream>,
    index: Option<&Index>,
) -> anyhow::Result<Vec<Check>> {
    if !settings.clickstream.enabled {
        return Ok(Vec::new());
    }
    // Before the topics, from which it is fed.
    let indexed = match index {
        None => None,
        Some(index) => Some(Indexed {
            page_views: index.total(Stream::PageViews, "views").await?,
            sessions: index.total(Stream::Sessions, "pageCount").await?,
        }),
    };
    let (settings, opened) = (settings.clone(), clickstream.take());
    let looked = tokio::task::spawn_blocking(move || {
        let mut opened = match opened {
            Some(opened) => opened,
            None => Clickstream::open(&settings)?,
        };
        let checks = opened.look(&settings, indexed)?;
        anyhow::Ok((opened, checks))
    });
    let (opened, checks) = looked.await??;
    *clickstream = Some(opened);
    Ok(checks)
}

/// Adds the ledgers of `topic` in the folder up.
fn sent(folder: &Path, topic: &str) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(sent),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        // Before the file: a run that ends in between has then written all it knew.
        let is_running = is_running(&path);
        let read = || -> anyhow::Result<LedgerFile<WindowLine>> {
            Ok(serde_json::from_slice(&std::fs::read(&path)?)?)
        };
        let file = read().with_context(|| format!("the ledger {}", path.display()))?;
        if file.topic != topic {
            continue;
        }
        sent.is_running |= is_running;
        sent.acknowledged += file.windows.iter().map(|line| line.views).sum::<u64>();
    }
    Ok(sent)
}
