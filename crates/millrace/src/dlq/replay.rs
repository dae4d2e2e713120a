//! Sending letters to their source topic again, each once.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use millrace_kafka::RecordHeader;
use millrace_kafka::copies::{KeptRecord, SourceRecord, header};
use millrace_settings::{Kafka, Settings};
use rdkafka::message::{Header, OwnedHeaders};
use serde::Serialize;

use super::letter::{Letter, Source};
use super::records::{self, ReplayRecord, Replayed};
use super::scan::Scan;
use super::select::Filter;
use super::{Replay, Topics, print};
use crate::sender::{Outgoing, Sender};

/// Bytes of a transaction, about.
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Refused letters that are named; more are counted.
const MAX_NAMED: usize = 1_000;

/// What became of the letters.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Full name of the letters' topic.
    pub(super) letters: String,
    /// Full name of the topic they were sent to.
    pub(super) target: String,
    /// Whether nothing was sent.
    pub(super) dry_run: bool,
    /// Sent, or to be sent, by code.
    pub(super) sent: BTreeMap<String, u64>,
    /// Sent again before.
    pub(super) sent_before: u64,
    /// Not sent, and why.
    pub(super) refused: Vec<Refused>,
    /// How many were not sent.
    pub(super) refused_count: u64,
    /// Whether there are more than the limit.
    pub(super) has_more: bool,
}

impl Report {
    pub(super) fn sent_count(&self) -> u64 {
        self.sent.values().sum()
    }

    fn refuse(&mut self, letter: &Letter, reason: String) {
        self.refused_count += 1;
        if self.refused.len() < MAX_NAMED {
            self.refused.push(Refused {
                letter: letter.at.to_string(),
                reason,
            });
        }
    }
}

/// A letter that is not sent.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    /// Where it lies.
    pub(super) letter: String,
    pub(super) reason: String,
}

/// Runs the command. It fails where a letter was refused.
pub(super) async fn command(settings: &Settings, replay: &Replay) -> anyhow::Result<ExitCode> {
    let topics = replay.from.topics(settings);
    if topics.is_internal {
        bail!(
            "the records of {} are of one order with those around them: sent again, they would be counted in \
             other windows or refused",
            topics.source
        );
    }
    let (kafka, filter) = (settings.kafka.clone(), replay.from.filter.clone());
    let (limit, batch, dry_run) = (replay.limit, replay.batch as usize, replay.dry_run);
    let ran = tokio::task::spawn_blocking(move || {
        let mut run = Run::start(&kafka, topics, filter, dry_run)?;
        let ran = run.all(&kafka, limit, batch);
        let sent = run.report.sent_count();
        ran.with_context(|| format!("{sent} were sent; started again, it goes on after them"))?;
        anyhow::Ok(run.report)
    });
    let report = ran.await.context("the replay ended early")??;
    print::replay(&report, replay.from.json)?;
    Ok(if report.refused_count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Run {
    topics: Topics,
    filter: Filter,
    /// `None` where nothing is to be sent.
    sender: Option<Sender>,
    source: Scan,
    replayed: Replayed,
    batch: Vec<(Letter, Source)>,
    batch_bytes: usize,
    report: Report,
}

impl Run {
    fn start(kafka: &Kafka, topics: Topics, filter: Filter, dry_run: bool) -> anyhow::Result<Self> {
        // It ends what a predecessor has open, so that afterwards is known what was sent.
        let sender = if dry_run {
            None
        } else {
            Some(Sender::start(kafka, "dlq-replay")?)
        };
        let replayed = match &sender {
            Some(_) => Replayed::read(kafka, &topics)?,
            None => Replayed::read_if_any(kafka, &topics)?,
        };
        Ok(Self {
            report: Report {
                letters: topics.letters.clone(),
                target: topics.source.clone(),
                dry_run,
                ..Report::default()
            },
            source: Scan::open(kafka, &topics.source)?,
            topics,
            filter,
            sender,
            replayed,
            batch: Vec::new(),
            batch_bytes: 0,
        })
    }

    fn all(&mut self, kafka: &Kafka, limit: usize, batch: usize) -> anyhow::Result<()> {
        let letters = Scan::open(kafka, &self.topics.letters)?;
        let (mut taken, mut failed) = (0, None);
        letters.read(|message| {
            let letter = Letter::of(message);
            if !self.filter.matches(&letter) {
                return true;
            }
            let Some(source) = self.choose(&letter) else {
                return true;
            };
            if taken == limit {
                self.report.has_more = true;
                return false;
            }
            taken += 1;
            self.replayed.insert(source);
            self.batch_bytes += letter.record.size_bytes();
            self.batch.push((letter, source));
            if self.batch.len() >= batch || self.batch_bytes >= MAX_BATCH_BYTES {
                failed = self.send_batch().err();
            }
            failed.is_none()
        })?;
        match failed {
            Some(error) => Err(error),
            None => self.send_batch(),
        }
    }

    /// The letter's record, if it is to be sent.
    fn choose(&mut self, letter: &Letter) -> Option<Source> {
        let Some((topic, source)) = letter.source() else {
            let reason = "it does not say where its record was read".to_owned();
            self.report.refuse(letter, reason);
            return None;
        };
        if topic != self.topics.source {
            let reason = format!(
                "its record was read from {topic}, not from {}",
                self.topics.source
            );
            self.report.refuse(letter, reason);
            return None;
        }
        if self.replayed.contains(letter) {
            self.report.sent_before += 1;
            return None;
        }
        Some(source)
    }

    /// Sends what is gathered, in one transaction with the records about it.
    fn send_batch(&mut self) -> anyhow::Result<()> {
        self.batch_bytes = 0;
        let (mut outgoing, mut codes) = (Vec::new(), Vec::new());
        for (letter, source) in std::mem::take(&mut self.batch) {
            match self.whole(&letter, source)? {
                Ok(record) => {
                    let from = format!(
                        "{}/{}/{}",
                        self.topics.letters, letter.at.partition, letter.at.offset
                    );
                    outgoing.push(self.record(&record, source, &from));
                    outgoing.push(self.note(source, &from)?);
                    codes.push(letter.code().into_owned());
                }
                Err(reason) => self.report.refuse(&letter, reason),
            }
        }
        if let Some(sender) = &self.sender
            && !outgoing.is_empty()
        {
            sender.send(&outgoing)?;
        }
        for code in codes {
            *self.report.sent.entry(code).or_default() += 1;
        }
        Ok(())
    }

    /// The record as it was, from its source where the letter was cut; or why it cannot be had.
    fn whole(&self, letter: &Letter, source: Source) -> anyhow::Result<Result<KeptRecord, String>> {
        let Some(length) = letter.truncated_from() else {
            let own = letter.own_headers().into_iter();
            return Ok(Ok(KeptRecord {
                headers: own
                    .map(|(name, value)| (name.into_owned(), value.map(<[u8]>::to_vec)))
                    .collect(),
                ..letter.record.clone()
            }));
        };
        let Some(whole) = self.source.record_at(source.at, KeptRecord::of)? else {
            return Ok(Err(format!(
                "it was cut, and {} no longer has the whole record at {}",
                self.topics.source, source.at
            )));
        };
        let is_same = |whole: &Option<Vec<u8>>, cut: &Option<Vec<u8>>| {
            let (whole, cut) = (whole.as_deref(), cut.as_deref());
            whole.is_some() == cut.is_some() && whole.unwrap_or_default().starts_with(cut.unwrap_or_default())
        };
        let has_length = whole.payload.as_ref().map_or(0, Vec::len) as u64 == length;
        if has_length
            && is_same(&whole.payload, &letter.record.payload)
            && is_same(&whole.key, &letter.record.key)
        {
            return Ok(Ok(whole));
        }
        Ok(Err(format!(
            "it was cut, and {} has another record at {}",
            self.topics.source, source.at
        )))
    }

    /// The record as it is sent: to the partition it was in, as its transactions are told apart
    /// there.
    fn record(&mut self, record: &KeptRecord, source: Source, from: &str) -> Outgoing {
        let mut own: Vec<RecordHeader<'_>> = record.headers();
        own.retain(|(name, _)| name != header::REPLAYED_FROM);
        own.push((header::REPLAYED_FROM.into(), Some(from.as_bytes())));
        let size = SourceRecord {
            topic: &self.topics.source,
            partition: source.at.partition,
            offset: source.at.offset,
            timestamp_ms: None,
            key: record.key.as_deref(),
            payload: record.payload.as_deref(),
            headers: &own,
        }
        .size_bytes();
        let limit = match &mut self.sender {
            Some(sender) => sender.limits.of(&self.topics.source, size),
            None => usize::MAX,
        };
        if size > limit {
            // One that fills its topic's limit has no room for it; the record about it says the
            // same.
            own.pop();
        }
        Outgoing {
            topic: self.topics.source.clone(),
            partition: Some(source.at.partition),
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: own
                .into_iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header { key: &key, value })
                }),
        }
    }

    /// The record that says that it was sent.
    fn note(&self, source: Source, from: &str) -> anyhow::Result<Outgoing> {
        let note = ReplayRecord {
            letter: from,
            replayed_at_ms: Timestamp::now().as_millisecond(),
        };
        Ok(Outgoing {
            topic: self.topics.replays.clone(),
            partition: None,
            key: Some(records::key(&self.topics.source, source).into_bytes()),
            payload: Some(serde_json::to_vec(&note)?),
            headers: OwnedHeaders::new(),
        })
    }
}
