//! The worker's helper thread: restores and list-offsets calls wait for the cluster and the
//! snapshot store there, so that neither stops the records of the other partitions.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::restore::{Attempt, Restored, Restorer};
use super::upstream::UpstreamProgress;
use crate::{Job, WorkerError};

/// Pause before a restore is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How long the ends of the partitions may take.
const PROBE: Duration = Duration::from_secs(2);

/// What the worker asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// A partition's state.
    Restore { partition: i32, epoch: u64 },
    /// A partition is gone: its restore is void.
    Forget { partition: i32 },
    /// Where partitions end.
    Probe(Vec<Probe>),
}

/// A partition whose end is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    /// The worker's position.
    pub(super) next: i64,
    /// Whether the partition was live, and not in a replay.
    pub(super) live: bool,
    /// Whether nothing has come for a while: then it matters if something other than records lies
    /// between the position and the end.
    pub(super) quiet: bool,
}

/// A partition's end, by word of its leader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probed {
    pub(super) probe: Probe,
    /// The last stable offset: the first one of an open transaction, or the high watermark.
    pub(super) end: i64,
    /// Whether no committed record is at or after the position.
    pub(super) at_end: bool,
    /// The high watermark, if it is known.
    pub(super) high: Option<i64>,
    /// The moment up to which everything for the partition is in it: that of the look-up, but where
    /// another job of ours writes it; `None` where that is not known.
    pub(super) written_until: Option<Instant>,
}

/// What comes back.
pub(super) enum Answer<T> {
    Restored(Restored<T>),
    Probed(Vec<Probed>),
    Failed(WorkerError),
}

/// The helper thread of one worker.
pub(super) struct Side<T> {
    requests: Option<Sender<Request>>,
    pub(super) answers: Receiver<Answer<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> Side<T> {
    pub(super) fn start<J: Job<Task = T>>(
        restorer: Restorer<J>,
        mut upstream: Option<UpstreamProgress>,
        name: String,
    ) -> Result<Self, WorkerError>
    where
        T: Send + 'static,
    {
        // Requests are bounded by what the worker asks: one restore a partition, one probe at a
        // time.
        let (requests, incoming) = channel();
        let (outgoing, answers) = channel();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || run(&incoming, &outgoing, &restorer, &mut upstream))
            .map_err(|error| WorkerError::Thread {
                name,
                what: format!("cannot be started: {error}"),
            })?;
        Ok(Self {
            requests: Some(requests),
            answers,
            thread: Some(thread),
        })
    }

    pub(super) fn ask(&self, request: Request) {
        // The thread ends only with this struct, or by a panic that joining reports.
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }
}

impl<T> Drop for Side<T> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the worker's helper thread panicked");
        }
    }
}

struct Waiting {
    partition: i32,
    epoch: u64,
    attempt: Attempt,
    not_before: Instant,
}

fn run<J: Job>(
    requests: &Receiver<Request>,
    answers: &Sender<Answer<J::Task>>,
    restorer: &Restorer<J>,
    upstream: &mut Option<UpstreamProgress>,
) {
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let mut probe = None;
    loop {
        let pause = match waiting.front() {
            None => Duration::from_secs(3600),
            Some(first) => first.not_before.saturating_duration_since(Instant::now()),
        };
        match requests.recv_timeout(if probe.is_some() { Duration::ZERO } else { pause }) {
            Ok(Request::Restore { partition, epoch }) => {
                waiting.retain(|other| other.partition != partition);
                waiting.push_back(Waiting {
                    partition,
                    epoch,
                    attempt: Attempt::default(),
                    not_before: Instant::now(),
                });
                continue;
            }
            Ok(Request::Forget { partition }) => {
                waiting.retain(|other| other.partition != partition);
                continue;
            }
            Ok(Request::Probe(probes)) => {
                probe = Some(probes);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Restores come first: partitions wait for them.
        let due = waiting
            .front()
            .is_some_and(|first| first.not_before <= Instant::now());
        let answer = if due && let Some(mut first) = waiting.pop_front() {
            match restorer.attempt(first.partition, first.epoch, &mut first.attempt) {
                Ok(Some(restored)) => Answer::Restored(restored),
                Ok(None) => {
                    first.not_before = Instant::now() + RETRY;
                    waiting.push_back(first);
                    continue;
                }
                Err(error) => Answer::Failed(error),
            }
        } else if let Some(probes) = probe.take() {
            Answer::Probed(ends(restorer, upstream.as_mut(), &probes))
        } else {
            continue;
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

fn ends<J: Job>(
    restorer: &Restorer<J>,
    upstream: Option<&mut UpstreamProgress>,
    probes: &[Probe],
) -> Vec<Probed> {
    // Before the ends: what the other job has committed is in them.
    let written_until = match upstream {
        Some(upstream) if probes.iter().any(|probe| probe.quiet) => upstream.look(&restorer.reader),
        Some(_) => None,
        None => Some(Instant::now()),
    };
    let partitions: Vec<i32> = probes.iter().map(|probe| probe.partition).collect();
    // Before the ends: then one that is not below its high watermark had no open transaction at
    // that moment.
    let highs = restorer.high_watermarks.ends(&restorer.topic, &partitions, PROBE);
    let highs = highs.unwrap_or_else(|error| {
        tracing::debug!(%error, "the partitions' high watermarks are not known");
        vec![None; partitions.len()]
    });
    let ends = match restorer.reader.ends(&restorer.topic, &partitions, PROBE) {
        Ok(ends) => ends,
        Err(error) => {
            tracing::debug!(%error, "the partitions' ends are not known");
            return Vec::new();
        }
    };
    let probed = |((probe, end), high): ((&Probe, Option<i64>), Option<i64>)| {
        let end = end?;
        // Beyond the last record may be markers of transactions. They are looked at only where it
        // matters.
        let at_end = end <= probe.next
            || (probe.quiet
                && restorer
                    .reader
                    .is_empty_from(&restorer.topic, probe.partition, probe.next)
                    .unwrap_or(false));
        Some(Probed {
            probe: *probe,
            end,
            at_end,
            high,
            written_until,
        })
    };
    probes.iter().zip(ends).zip(highs).filter_map(probed).collect()
}
