//! The snapshots that a restore reads, refuses, or puts out of the way.

use millrace_engine::snapshot::{Header, SnapshotError, container};

use super::{Restorer, Trouble};
use crate::snapshot_store::{SnapshotStore, StoreError};
use crate::worker::envelope::Envelope;
use crate::{Job, Task};

/// What the store has for a restore.
pub(super) struct Newest<T> {
    /// The newest snapshot that serves: its offset, the state, and how many directives at its
    /// offset that has had.
    pub(super) snapshot: Option<(i64, T, u32)>,
    /// Those that do not serve, each with the reason.
    pub(super) refused: Vec<String>,
    /// Why the store has not said whether there is a newer one, after patience with it.
    pub(super) unanswered: Option<String>,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self {
            snapshot: None,
            refused: Vec::new(),
            unanswered: None,
        }
    }
}

impl<J: Job> Restorer<J> {
    /// Puts the snapshots of another history, those beyond `at`, out of the way: the log will pass
    /// their offsets.
    pub(super) fn set_aside(&self, partition: i32, at: Option<i64>) -> Result<(), Trouble> {
        let Some(store) = &self.store else { return Ok(()) };
        let set_aside = || {
            let offsets = store.list(partition)?.into_iter();
            for offset in offsets.filter(|offset| at.is_none_or(|at| *offset > at)) {
                store.set_aside(partition, offset)?;
                tracing::warn!(partition, offset, "a snapshot of another history is set aside");
            }
            store.forget_past(partition, at)
        };
        set_aside().map_err(|error: StoreError| Trouble::Later(error.to_string()))
    }

    /// The partition is about to be worked on: the mark of the last stop says nothing any more.
    pub(super) fn forget_mark(&self, partition: i32) -> Result<(), Trouble> {
        let Some(store) = &self.store else { return Ok(()) };
        match store.forget_mark(partition) {
            Ok(()) => {
                self.patience.renew();
                Ok(())
            }
            Err(error) if !self.patience.is_over() => Err(Trouble::Later(error.to_string())),
            Err(error) => {
                tracing::error!(partition, %error, "the mark of the last stop could not be taken away");
                Ok(())
            }
        }
    }

    pub(in crate::worker) fn header(
        &self,
        partition: i32,
        offset: i64,
        watermark_ms: Option<i64>,
    ) -> Header<'_> {
        Header {
            job: self.job.name(),
            partition,
            offset,
            watermark_ms,
            fingerprint: &self.fingerprint,
        }
    }

    /// The newest snapshot that is whole, ours, and not ahead of where the partition goes on. Those
    /// ahead are left alone: they may prove what was committed.
    pub(super) fn newest_snapshot(
        &self,
        partition: i32,
        at: Option<i64>,
    ) -> Result<Newest<J::Task>, Trouble> {
        let mut newest = Newest::default();
        let Some(store) = &self.store else {
            return Ok(newest);
        };
        let offsets = match store.list(partition) {
            Ok(offsets) => offsets,
            Err(error) => {
                if !self.patience.is_over() {
                    return Err(Trouble::Later(error.to_string()));
                }
                self.metrics.snapshot_failed("store");
                tracing::error!(partition, %error, "the snapshot store does not answer: the log serves if it can");
                newest.unanswered = Some(error.to_string());
                return Ok(newest);
            }
        };
        for offset in offsets {
            if at.is_none_or(|at| offset > at) {
                continue;
            }
            match self.read_snapshot(store, partition, offset) {
                Ok((task, done)) => {
                    newest.snapshot = Some((offset, task, done));
                    break;
                }
                Err(("store", reason)) if !self.patience.is_over() => return Err(Trouble::Later(reason)),
                Err((code, reason)) => {
                    self.refuse(partition, offset, code, &reason);
                    newest
                        .refused
                        .push(format!("that of offset {offset}, as {reason}"));
                    if code == "store" {
                        newest.unanswered.get_or_insert(reason);
                    }
                }
            }
        }
        if newest.snapshot.is_some() || newest.unanswered.is_none() {
            self.patience.renew();
        }
        Ok(newest)
    }

    pub(super) fn read_snapshot(
        &self,
        store: &SnapshotStore,
        partition: i32,
        offset: i64,
    ) -> Result<(J::Task, u32), (&'static str, String)> {
        let bytes = store
            .read(partition, offset)
            .map_err(|error| (error.code(), error.to_string()))?;
        read_state(&*self.job, &self.fingerprint, &bytes, (partition, offset))
    }

    fn refuse(&self, partition: i32, offset: i64, code: &str, reason: &str) {
        self.metrics.snapshot_failed(code);
        tracing::warn!(
            partition,
            offset,
            code,
            reason,
            "a snapshot is refused, and the next older one or the log serves"
        );
    }
}

/// The state in a snapshot of a job's, and how many directives at its offset that has had.
///
/// # Errors
/// It is torn, or of something else: the reason's bounded name, and the reason.
pub(crate) fn read_state<J: Job>(
    job: &J,
    fingerprint: &str,
    bytes: &[u8],
    (partition, offset): (i32, i64),
) -> Result<(J::Task, u32), (&'static str, String)> {
    let refused = |error: SnapshotError| (error.code(), error.to_string());
    let snapshot = container::read_any(bytes).map_err(refused)?;
    let header = &snapshot.header;
    if (header.job, header.partition, header.offset) != (job.name(), partition, offset) {
        let found = format!(
            "it is of partition {} of {:?}, offset {}",
            header.partition, header.job, header.offset
        );
        return Err(("foreign", found));
    }
    let (envelope, state, before);
    if header.fingerprint == fingerprint {
        (envelope, state) = Envelope::read(snapshot.state).map_err(|error| refused(error.into()))?;
    } else {
        // Of a release that had no policies: what it was set to is in its fingerprint.
        let layout = job.layout();
        let place = fingerprint.strip_suffix(layout.as_str()).unwrap_or_default();
        let settings = header.fingerprint.strip_prefix(place);
        before = settings
            .and_then(|settings| job.policy_of_fingerprint(settings))
            .ok_or_else(|| {
                refused(SnapshotError::OtherConfiguration {
                    found: header.fingerprint.to_owned(),
                    expected: fingerprint.to_owned(),
                })
            })?;
        envelope = Envelope {
            directives: 0,
            policy: &before,
        };
        state = snapshot.state;
    }
    let task = job.task_under(partition, envelope.policy);
    let mut task = task.map_err(|reason| ("other_configuration", reason))?;
    task.restore(state).map_err(|error| refused(error.into()))?;
    Ok((task, envelope.directives))
}
