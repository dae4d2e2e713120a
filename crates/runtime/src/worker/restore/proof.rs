//! What a job has left behind that proves what it has committed.

use millrace_engine::snapshot::container;
use millrace_kafka::reader::Reader;
use rdkafka::error::KafkaResult;

use super::position::Proof;
use super::{Restorer, Trouble};
use crate::control::{ControlRecord, tells_outputs};
use crate::snapshot_store::SnapshotStore;
use crate::{Job, WorkerError};

/// How far a worker's clock may be behind a broker's for a proof to be of the time of the record
/// before it.
const CLOCKS_MS: i64 = 10_000;
/// How far before a proven offset the record before it is looked for: markers of transactions lie
/// between.
const BEFORE: i64 = 1_000;

/// A proof, and the times by which the log is told apart that it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) proof: Proof,
    /// The newest control record or mark: it says its time itself.
    dated: Option<Dated>,
    /// The newest snapshot, which may be ahead of that. When its file was written is the word of
    /// another clock, for where nothing else has one: the detector's only control record may be
    /// that of its first start.
    file: Option<Dated>,
}

/// When an offset had been read, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dated {
    offset: i64,
    at_ms: i64,
}

const NOTHING: Found = Found {
    proof: Proof::Nothing,
    dated: None,
    file: None,
};

impl Found {
    fn new(proof: Proof, at_ms: Option<i64>) -> Self {
        let dated = proof.offset().zip(at_ms);
        Self {
            proof,
            dated: dated.map(|(offset, at_ms)| Dated { offset, at_ms }),
            file: None,
        }
    }

    fn of_snapshot(offset: i64, at_ms: i64) -> Self {
        Self {
            proof: Proof::AtLeast(offset),
            dated: None,
            file: Some(Dated { offset, at_ms }),
        }
    }

    fn and(self, other: Self) -> Self {
        let newest = |one: Option<Dated>, other: Option<Dated>| {
            let both = one.into_iter().chain(other);
            both.max_by_key(|dated| dated.offset)
        };
        Self {
            proof: self.proof.and(other.proof),
            dated: newest(self.dated, other.dated),
            file: newest(self.file, other.file),
        }
    }

    /// By what a log from `low` to `end` can be told apart: a record of it is before the offset.
    fn dated_within(self, (low, end): (i64, i64)) -> Option<Dated> {
        let both = self.dated.into_iter().chain(self.file);
        let mut within = both.filter(|dated| low < dated.offset && dated.offset <= end);
        within.next()
    }
}

impl<J: Job> Restorer<J> {
    /// What the job proves to have committed of a partition of which the group has committed
    /// `committed`, and whose log ends at `end`.
    pub(super) fn proof(&self, partition: i32, committed: Option<i64>, end: i64) -> Result<Found, Trouble> {
        let of_control = self.control_proof(partition)?;
        // Without a word of the group's, and none that suffices of the control topic's, a store
        // that does not answer may have the only one: a first start in its place would do
        // everything again, if there ever was anything.
        let is_known = committed.is_some() || matches!(of_control.proof, Proof::NothingAfter(_));
        let is_needed = !is_known && end > 0;
        let of_store = match &self.store {
            Some(store) => self.store_proof(store, partition, committed, is_needed)?,
            None => NOTHING,
        };
        Ok(of_control.and(of_store))
    }

    /// The last record of the control topic is of a transaction that committed its offset.
    fn control_proof(&self, partition: i32) -> Result<Found, Trouble> {
        let Some(control) = self.job.control_topic() else {
            return Ok(NOTHING);
        };
        self.is_settled(control, partition)?;
        let Some((offset, payload, at_ms)) = self.reader.last_record(control, partition)? else {
            return Ok(NOTHING);
        };
        let record = ControlRecord::parse(&payload).map_err(|reason| {
            Trouble::Stop(WorkerError::Topic(format!(
                "offset {offset} of partition {partition} of {control} is not understood: {reason}"
            )))
        })?;
        let proof = match tells_outputs(&payload) {
            true => Proof::NothingAfter(record.offset()),
            // One is written about once a second, not at each commit.
            false => Proof::AtLeast(record.offset()),
        };
        Ok(Found::new(proof, at_ms))
    }

    /// Whether nothing of the control topic is hidden. The coordinator ends a transaction in each
    /// log by itself: its offsets can be seen in the group while its control records cannot yet, as
    /// long as the broker that leads their log is away. A replay without them would not do what was
    /// done. To be asked after the committed offset.
    fn is_settled(&self, control: &str, partition: i32) -> Result<(), Trouble> {
        let highs = self.high_watermarks.ends(control, &[partition], super::CALL)?;
        let ends = self.reader.ends(control, &[partition], super::CALL)?;
        match (highs.first(), ends.first()) {
            (Some(Some(high)), Some(Some(end))) if high <= end => Ok(()),
            _ => Err(Trouble::Later(format!(
                "a transaction is open in partition {partition} of {control}"
            ))),
        }
    }

    /// The mark of a stop in good order, and the newest snapshot beyond what is committed. A store
    /// that does not answer is waited for, for as long as it takes where it `is_needed`.
    fn store_proof(
        &self,
        store: &SnapshotStore,
        partition: i32,
        committed: Option<i64>,
        is_needed: bool,
    ) -> Result<Found, Trouble> {
        let read = || -> Result<Found, crate::snapshot_store::StoreError> {
            let mut found = NOTHING;
            if committed.is_none()
                && let Some(mark) = store.mark(partition)?
                && mark.identity == self.identity
            {
                found = Found::new(Proof::Exactly(mark.offset), Some(mark.at_ms));
            }
            for offset in store.list(partition)? {
                if committed.is_some_and(|committed| offset <= committed) {
                    break;
                }
                if self.is_of_a_commit(&store.read(partition, offset)?, partition, offset) {
                    let at_ms = store.written_at_ms(partition, offset)?;
                    found = found.and(Found::of_snapshot(offset, at_ms));
                    break;
                }
            }
            Ok(found)
        };
        match read() {
            Ok(found) => Ok(found),
            Err(error) if !self.patience.is_over() => Err(Trouble::Later(error.to_string())),
            Err(error) if is_needed => Err(Trouble::Later(format!(
                "the group has no committed offset, and the snapshot store does not answer, which may say what was \
                 committed ({error}). It is waited for; to do without it, set snapshots.url to another"
            ))),
            Err(error) => {
                tracing::error!(partition, %error, "the snapshot store does not say what was committed");
                Ok(NOTHING)
            }
        }
    }

    /// Whether a snapshot is whole, of this job and log, whatever the settings, and not of a state
    /// that was empty before the first commit.
    fn is_of_a_commit(&self, bytes: &[u8], partition: i32, offset: i64) -> bool {
        container::read_any(bytes).is_ok_and(|snapshot| {
            let header = snapshot.header;
            (header.job, header.partition, header.offset) == (self.job.name(), partition, offset)
                && header.fingerprint.starts_with(&self.identity)
                && header.watermark_ms.is_some()
        })
    }

    /// Whether the log is the one that was read when `found` was written: the record before an
    /// offset that has a time was there then.
    pub(super) fn is_same_log(
        &self,
        partition: i32,
        found: Found,
        bounds: (i64, i64),
    ) -> Result<bool, Trouble> {
        let Some(Dated { offset, at_ms }) = found.dated_within(bounds) else {
            return Ok(true);
        };
        let at = (self.topic.as_str(), partition);
        Ok(is_of_log(&self.reader, at, bounds.0, (offset, at_ms))?)
    }
}

/// Whether what had read a partition's records before `offset` by `at_ms`, in milliseconds since
/// 1970, had read those that are there now, from `low` on.
///
/// # Errors
/// The cluster does not answer, or refuses.
pub(crate) fn is_of_log(
    reader: &Reader,
    (topic, partition): (&str, i32),
    low: i64,
    (offset, at_ms): (i64, i64),
) -> KafkaResult<bool> {
    let mut before_ms = None;
    let from = offset.saturating_sub(BEFORE).max(low);
    reader.read(topic, partition, from, |message| {
        use rdkafka::Message as _;
        let is_before = message.offset() < offset;
        if is_before {
            before_ms = message.timestamp().to_millis();
        }
        is_before
    })?;
    Ok(before_ms.is_none_or(|before_ms| before_ms <= at_ms.saturating_add(CLOCKS_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_ahead_of_a_control_record_leaves_its_time() {
        let control = Found::new(Proof::NothingAfter(90), Some(1_000));
        let snapshot = Found::of_snapshot(95, 1_500);
        let dated = |offset, at_ms| Some(Dated { offset, at_ms });
        for found in [control.and(snapshot), snapshot.and(control)] {
            assert_eq!(found.proof, Proof::NothingAfter(95));
            assert_eq!(found.dated_within((0, 200)), dated(90, 1_000));
        }
        let mark = Found::new(Proof::Exactly(97), Some(2_000));
        assert_eq!(control.and(mark).dated.map(|it| it.offset), Some(97));
        assert_eq!(NOTHING.and(snapshot).dated, None);
    }

    #[test]
    fn a_snapshot_dates_the_log_where_no_control_record_can() {
        // The detector's, of its first start: nothing is before it.
        let control = Found::new(Proof::AtLeast(0), Some(1_000));
        let found = control.and(Found::of_snapshot(95, 1_500));
        let dated = Some(Dated {
            offset: 95,
            at_ms: 1_500,
        });
        assert_eq!(found.proof, Proof::AtLeast(95));
        assert_eq!(found.dated_within((0, 200)), dated);
        assert_eq!(found.dated_within((95, 200)), None, "what was before has gone");
        assert_eq!(found.dated_within((0, 94)), None, "the log's end says it");
    }
}
