//! What the topics hold, kept up to date from one look to the next.

use std::time::{Duration, Instant};

use millrace_catalog::{dead_letter, payments::topic, stream};
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_settings::Settings;

use super::figures::{Expected, Observed, Retention, Source};
use super::misplaced::{self, Placement};
use super::once::Known;
use super::refusals::Refusals;
use super::state::State;
use super::totals::common_window;
use millrace_kafka::log::{Extent, TopicLog};

/// A log of more records than this is not read where the ledgers alone say what is expected.
const READ_ALWAYS: u64 = 20_000_000;

/// The logs of the topics that are compared, and what has been read of them.
pub struct Topics {
    logs: Logs,
    state: State,
    /// The last count of the source, and what it was made of.
    counted: Option<(CountedFrom, Source)>,
    /// How long it took.
    counting: Duration,
    /// Whether transactions are rekeyed, and retention has removed none of either log.
    is_rekeyed_whole: bool,
}

struct Logs {
    /// What the jobs read: rekeyed transactions where there are such.
    transactions: TopicLog,
    /// Where they are rekeyed: what producers wrote, and the dead letters of that.
    origin: Option<(TopicLog, TopicLog)>,
    aggregates: TopicLog,
    late: TopicLog,
    dead_letters: TopicLog,
    anomalies: TopicLog,
    labels: TopicLog,
    /// The first stage's control topic, which says with which settings it has read what.
    control: Option<TopicLog>,
}

/// A count stays as it is while none of this changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CountedFrom {
    records: u64,
    dead: u64,
    late: u64,
    unsunk: u64,
    window_ms: i64,
    vouched: usize,
}

impl Topics {
    /// Opens the topics.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let kafka = &settings.kafka;
        let open = |name: &str| TopicLog::open(kafka, topic_name(kafka, name));
        let source = stream(topic::TRANSACTIONS, settings.rekeys());
        let fetcher = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
        let transactions = open(source)?;
        let refusals = Refusals::of(&settings.aggregator, transactions.partitions());
        let placement = Placement::of(settings, transactions.partitions());
        Ok(Self {
            logs: Logs {
                transactions,
                origin: match settings.rekeys() {
                    true => {
                        let letters = dead_letter(topic::TRANSACTIONS);
                        Some((open(topic::TRANSACTIONS)?, open(&letters)?))
                    }
                    false => None,
                },
                aggregates: open(topic::AGGREGATES)?,
                late: open(topic::LATE)?,
                dead_letters: open(&dead_letter(source))?,
                anomalies: open(topic::ANOMALIES)?,
                labels: open(topic::FRAUD_LABELS)?,
                control: misplaced::control(settings)?,
            },
            state: State::new(&fetcher, refusals, placement),
            counted: None,
            counting: Duration::ZERO,
            is_rekeyed_whole: false,
        })
    }

    /// How long the next look may take beyond reading what is new.
    #[must_use]
    pub fn cost(&self) -> Duration {
        self.counting
    }

    /// Reads what is new and says what the topics hold, in windows that those of the ledgers fit
    /// into.
    ///
    /// # Errors
    /// The brokers or the registry are away, or the temporary folder is full.
    pub fn observe(&mut self, expected: &Expected) -> anyhow::Result<Observed> {
        let (logs, state) = (&mut self.logs, &mut self.state);
        let extents = Extents {
            transactions: logs.transactions.extent()?,
            aggregates: logs.aggregates.extent()?,
            late: logs.late.extent()?,
            dead_letters: logs.dead_letters.extent()?,
            anomalies: logs.anomalies.extent()?,
            labels: logs.labels.extent()?,
        };
        let written = match &mut logs.origin {
            None => None,
            Some((origin, letters)) => {
                letters.read_new(|message| state.dead_letter_of_origin(message))?;
                origin.read_new(|message| state.transaction_of_origin(message))?;
                let extent = origin.extent()?;
                Some(extent.truncated.is_empty().then_some(state.origin_records))
            }
        };
        let is_whole = extents.transactions.truncated.is_empty();
        self.is_rekeyed_whole = is_whole && matches!(written, Some(Some(_)));
        state.letters_are_lost = !extents.dead_letters.truncated.is_empty();
        logs.aggregates.read_new(|message| state.aggregate(message))?;
        logs.late.read_new(|message| state.late(message))?;
        logs.dead_letters.read_new(|message| state.dead_letter(message))?;
        logs.anomalies.read_new(|message| state.anomaly(message))?;
        logs.labels.read_new(|_| {
            state.labels += 1;
            anyhow::Ok(())
        })?;
        let mut window_ms = expected.window_ms;
        for &size in &state.window_sizes_ms {
            window_ms = common_window(window_ms, size).unwrap_or(window_ms);
        }
        // Once it was read there is no way back: what was late then still is.
        let is_told_by_ledgers = written.is_none()
            && expected.are_ids_unique()
            && extents.transactions.length > READ_ALWAYS
            && extents.transactions.length == expected.acknowledged
            && extents.transactions.truncated.is_empty()
            && state.late.len() == 0;
        let source = match is_told_by_ledgers {
            true => None,
            false => {
                if let Some(control) = &mut logs.control {
                    control.read_new(|message| {
                        state.heard(message);
                        anyhow::Ok(())
                    })?;
                }
                logs.transactions.read_new(|message| state.transaction(message))?;
                Some(self.count(expected, window_ms)?)
            }
        };
        let retention = extents.retention(&self.logs, &self.state);
        // Offsets are more than records where somebody writes in transactions.
        let records = match source {
            Some(_) => self.state.records_read,
            None => extents.transactions.length,
        };
        Ok(Observed {
            misplaced: self.state.placement.as_ref().map(Placement::records),
            transactions: written.unwrap_or_else(|| {
                let is_whole = extents.transactions.truncated.is_empty();
                is_whole.then_some(records)
            }),
            source,
            retention,
            ..self.state.observed(window_ms)
        })
    }

    /// Where transactions are rekeyed and no log has lost its beginning: how many records were
    /// written and not refused, and how many were written anew.
    #[must_use]
    pub fn rekeyed(&self) -> Option<(u64, u64)> {
        let state = &self.state;
        let expected = state.origin_records.saturating_sub(state.dead_of_origin.len());
        self.is_rekeyed_whole.then_some((expected, state.records_read))
    }

    fn count(&mut self, expected: &Expected, window_ms: i64) -> anyhow::Result<Source> {
        let state = &mut self.state;
        let from = CountedFrom {
            records: state.records_read,
            dead: state.dead.len(),
            late: state.late.len(),
            unsunk: state.unsunk.len(),
            window_ms,
            vouched: expected.vouched_ids.len(),
        };
        if let Some((known, source)) = &self.counted
            && *known == from
        {
            return Ok(source.clone());
        }
        let started = Instant::now();
        let known = Known {
            dead: &state.dead,
            late: &state.late,
            unsunk: &state.unsunk,
            window_ms,
            is_vouched: &|id| expected.vouches_for(id),
        };
        let source = Source {
            counted: state.records.count(&known)?,
            refusable: state.refusable,
            replays: state.replays,
        };
        self.counting = started.elapsed();
        self.counted = Some((from, source.clone()));
        Ok(source)
    }
}

struct Extents {
    transactions: Extent,
    aggregates: Extent,
    late: Extent,
    dead_letters: Extent,
    anomalies: Extent,
    labels: Extent,
}

impl Extents {
    /// What retention has removed of what is compared.
    fn retention(&self, logs: &Logs, state: &State) -> Retention {
        let topics = [
            (&logs.transactions, &self.transactions),
            (&logs.aggregates, &self.aggregates),
            (&logs.late, &self.late),
            (&logs.dead_letters, &self.dead_letters),
            (&logs.anomalies, &self.anomalies),
            (&logs.labels, &self.labels),
        ];
        let truncated = topics.iter().filter(|(_, extent)| !extent.truncated.is_empty());
        Retention {
            topics: truncated.map(|(log, _)| log.topic().to_owned()).collect(),
            source_until_ms: state.first_appended_ms.latest(&self.transactions.truncated),
            aggregates_until_ms: state.first_window_ms.latest(&self.aggregates.truncated),
            late_until_ms: state.first_late_ms.latest(&self.late.truncated),
            late_removed: self.late.removed,
            dead_letters: !self.dead_letters.truncated.is_empty(),
            anomalies: !self.anomalies.truncated.is_empty(),
            labels: !self.labels.truncated.is_empty(),
        }
    }
}
