//! The topic of lists and snoozes: read to its end, and followed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use millrace_catalog::payments::topic;
use millrace_contract::ReadError;
use millrace_domain::{ListEntry, ListKey};
use millrace_fraud::{ListingError, Listings};
use millrace_settings::Settings;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::follow::{Follower, patiently};
use crate::live_rules::LiveRules;
use crate::metrics::DetectMetrics;
use crate::ordered_topic::{OrderedTopic, PARTITION};

/// The topic of lists and snoozes.
pub type ListTopic = OrderedTopic<ListEntry>;

/// All that the topic says.
pub struct ReadLists {
    /// The entries.
    pub listings: Listings,
    /// Entries that are no detector's to go by, or too many: key and why.
    pub refused: Vec<(ListKey, ListingError)>,
    /// Records that are no entries: offset and why.
    pub unreadable: Vec<(i64, String)>,
    /// The offset after the last record.
    pub next: i64,
}

impl ListTopic {
    /// Opens it; `None` where it was not made yet.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not come to its end.
    pub async fn open_if_any(settings: &Settings) -> anyhow::Result<Option<Self>> {
        Self::open(settings, topic::LISTS, "millrace-lists").await
    }

    /// All that it says by now. Blocks.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or a record is no entry.
    pub fn read(&self) -> anyhow::Result<ReadLists> {
        patiently(|| self.try_read())
    }

    fn try_read(&self) -> anyhow::Result<ReadLists> {
        let (low, end) = self.kafka.bounds(&self.name, PARTITION)?;
        let mut failed = None;
        let mut lists = ReadLists {
            listings: Listings::default(),
            refused: Vec::new(),
            unreadable: Vec::new(),
            next: low,
        };
        self.kafka.read(&self.name, PARTITION, low, |message| {
            lists.next = message.offset() + 1;
            match self.take(message.key(), message.payload(), &mut lists.listings) {
                // What was refused may be taken away too.
                Ok(Taken::Gone(key)) => lists.refused.retain(|(refused, _)| *refused != key),
                Ok(Taken::Refused(key, why)) => lists.refused.push((key, why)),
                Ok(Taken::NoEntry(why)) => lists.unreadable.push((message.offset(), why)),
                Ok(Taken::Changed | Taken::Nothing) => {}
                Err(error) => {
                    let at = format!("{} at {}", self.name, message.offset());
                    failed = Some(anyhow::Error::new(error).context(at));
                }
            }
            failed.is_none()
        })?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        // What was refused and has room by now is none.
        let listings = &lists.listings;
        lists.refused.retain(|(key, _)| listings.get(key).is_none());
        lists.next = lists.next.max(end);
        Ok(lists)
    }

    /// Takes a record into what is known.
    fn take(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        listings: &mut Listings,
    ) -> Result<Taken, ReadError> {
        let Some(payload) = payload else {
            let key = std::str::from_utf8(key.unwrap_or_default()).unwrap_or_default();
            let gone = ListKey::parse(key).inspect(|key| {
                listings.remove(key);
            });
            return Ok(gone.map_or(Taken::Nothing, Taken::Gone));
        };
        let entry = match self.values.read(payload) {
            Ok(entry) => entry,
            Err(error @ ReadError::Registry(_)) => return Err(error),
            Err(error) => return Ok(Taken::NoEntry(error.to_string())),
        };
        let own = entry.key.to_string();
        if key != Some(own.as_bytes()) {
            // A record without a value could never take it away.
            return Ok(Taken::NoEntry("its key must be that of what it says".to_owned()));
        }
        let key = entry.key.clone();
        Ok(match listings.put(entry) {
            Ok(()) => Taken::Changed,
            Err(why) => Taken::Refused(key, why),
        })
    }
}

/// What a record was.
enum Taken {
    Changed,
    Gone(ListKey),
    Nothing,
    Refused(ListKey, ListingError),
    NoEntry(String),
}

/// What is known of the topic by now.
pub(crate) struct FollowedLists {
    pub(crate) topic: ListTopic,
    pub(crate) listings: Listings,
    /// The offset from which on it is followed.
    pub(crate) next: i64,
}

impl FollowedLists {
    /// Has `rules` follow the topic.
    pub(crate) fn start(self, (rules, metrics): (Arc<LiveRules>, DetectMetrics)) -> Follower {
        Follower::start(move |flag| self.follow(&rules, &metrics, flag))
    }

    fn follow(self, rules: &LiveRules, metrics: &DetectMetrics, is_wanted: &AtomicBool) {
        let Self {
            topic,
            mut listings,
            next,
        } = self;
        let mut is_changed = false;
        let take = |message: Option<&BorrowedMessage<'_>>| {
            let Some(message) = message else {
                // Many entries are one change: nothing more has come for the moment.
                if std::mem::take(&mut is_changed) {
                    go_by(&listings, rules, metrics);
                }
                return Ok(());
            };
            match topic.take(message.key(), message.payload(), &mut listings)? {
                Taken::Changed | Taken::Gone(_) => is_changed = true,
                Taken::Nothing => {}
                Taken::Refused(key, why) => refuse(metrics, &key, &why),
                Taken::NoEntry(why) => pass_over(metrics, message.offset(), &why),
            }
            Ok(())
        };
        let not_read = |offset, error: &ReadError| pass_over(metrics, offset, &error.to_string());
        let followed = topic.follow((next, "an entry of a list"), is_wanted, take, not_read);
        if let Err(error) = followed {
            metrics.refused_entry();
            tracing::error!(%error, "{} is not followed any more: lists change at the next start", topic.name);
        }
    }
}

/// Has the detector go by the lists as they are now.
fn go_by(listings: &Listings, rules: &LiveRules, metrics: &DetectMetrics) {
    metrics.lists(listings);
    tracing::info!(
        entries = listings.len(),
        snoozes = listings.snoozes(),
        "the lists have changed"
    );
    if let Err(error) = rules.set_lists(listings.settings()) {
        metrics.refused_entry();
        tracing::error!(%error, "the lists are not gone by: those of before go on");
    }
}

/// Says that an entry does not hold. Whom it is about is not for a log.
pub(crate) fn refuse(metrics: &DetectMetrics, key: &ListKey, why: &ListingError) {
    metrics.refused_entry();
    let (purpose, name, kind) = (key.purpose.as_str(), &*key.name, key.kind.as_str());
    tracing::error!(purpose, name, kind, %why, "an entry is not gone by");
}

/// Says that a record is no entry.
pub(crate) fn pass_over(metrics: &DetectMetrics, offset: i64, why: &str) {
    metrics.refused_entry();
    tracing::error!(
        offset,
        why,
        "a record of the lists is no entry: it is passed over"
    );
}
