//! Runs a job: its worker threads, and the thread that follows the control topic.

mod layout;
mod threads;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_kafka::client::{Timeouts, high_watermark_config};
use millrace_kafka::reader::Reader;
use millrace_kafka::wait_while_taken;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::alignment::Alignment;
use crate::config::JobConfig;
use crate::control::{ControlRecord, Watermarks};
use crate::metrics::JobMetrics;
use crate::ownership::{self, Rejoin};
use crate::pulse::{Pulse, Watch};
use crate::snapshot_store::SnapshotStore;
use crate::source;
use crate::status::{JobStatus, Subject};
use crate::worker::{Ended, NO_WATERMARK, Worker};
use crate::{Job, WorkerError};
pub(crate) use layout::cluster_of;
use layout::{Layout, follower};
use threads::{FirstError, join, spawn};

/// How often in a row a worker may need new clients: what comes again and again is no coincidence.
const MAX_FAILURES: u32 = 10;
/// A worker that has run for this long has recovered.
const STEADY: Duration = Duration::from_secs(60);
/// Time between two looks at the threads.
const LOOK: Duration = Duration::from_millis(50);
/// Records from the end of each control partition at which following it starts.
const TAIL: i64 = 100;

/// What the threads of a job share.
pub(crate) struct Shared<J> {
    pub(crate) job: Arc<J>,
    pub(crate) config: Arc<JobConfig>,
    pub(crate) timeouts: Timeouts,
    pub(crate) metrics: JobMetrics,
    pub(crate) status: JobStatus,
    pub(crate) store: Option<SnapshotStore>,
    /// Whose state a snapshot is: the cluster, the topic, and the layout.
    pub(crate) fingerprint: String,
    /// What every fingerprint of this cluster and topic begins with, whatever the settings.
    pub(crate) identity: String,
    /// Is asked for the partitions' high watermarks.
    pub(crate) high_watermarks: Arc<Reader>,
    /// Lets partitions wait for each other, where the job wants that.
    pub(crate) alignment: Option<Arc<Alignment>>,
    /// The highest watermark of all partitions of the job, in whatever process.
    pub(crate) highest_watermark_ms: Arc<AtomicI64>,
    /// Which worker is to leave the group and join again.
    pub(crate) rejoin: Rejoin,
    pub(crate) pulse: Pulse,
    /// Set from outside, or when a thread fails.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Runs `job` on its worker threads until `shutdown` is set, or until one of them fails, which
/// stops the others, or until its [`Job::source`] has got more partitions, which is no error.
/// Blocks: call it on a thread of its own, not on an async runtime. `status` tells whether the job
/// is ready.
///
/// # Errors
/// The first error of a worker. What was not committed by then is aborted, and a restart goes on
/// from the last commit.
pub fn run_job<J: Job>(
    job: J,
    config: JobConfig,
    status: &JobStatus,
    shutdown: &Arc<AtomicBool>,
) -> Result<(), WorkerError> {
    let timeouts = Timeouts::of(&config.worker)?;
    let metrics = JobMetrics::of(job.name())?;
    let store = if config.snapshots.enabled {
        let folder = config.snapshot_folder(job.name(), job.input_topic());
        let store = SnapshotStore::open(&config.snapshots, &folder)?;
        Some(match job.keeps_past() {
            true => store.with_past(&config.snapshots),
            false => store,
        })
    } else {
        None
    };
    let layout = match Layout::look_up(&job, &config, shutdown) {
        Ok(layout) => layout,
        Err(error) if shutdown.load(Ordering::Relaxed) => {
            tracing::info!(operator = job.name(), %error, "stopped before the start");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let high_watermarks = high_watermark_config(&config.kafka, &config.group(job.name()))?;
    let high_watermarks = Reader::new(&high_watermarks)
        .map_err(|reason| WorkerError::no_client("reader of high watermarks", reason))?;
    let identity = identity(&layout.cluster, job.input_topic());
    let threads = match config.worker.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    // More threads than partitions would only wait.
    let threads = threads.min(layout.partitions).max(1);
    let shared = Arc::new(Shared {
        fingerprint: format!("{identity}{}", job.layout()),
        identity,
        alignment: job.max_skew_ms().map(|ms| Arc::new(Alignment::new(ms))),
        job: Arc::new(job),
        config: Arc::new(config),
        timeouts,
        metrics,
        status: status.clone(),
        store,
        high_watermarks: Arc::new(high_watermarks),
        highest_watermark_ms: Arc::new(AtomicI64::new(NO_WATERMARK)),
        rejoin: Rejoin::default(),
        pulse: Pulse::new(threads),
        stop: Arc::new(AtomicBool::new(false)),
    });
    let ended = run_threads(&shared, threads, layout, shutdown);
    if let Err(error @ WorkerError::NameTaken { .. }) = &ended {
        stand_back(&shared, threads, error, shutdown)?;
    }
    ended
}

/// What every fingerprint of a cluster and topic begins with, whatever the settings.
pub(crate) fn identity(cluster: &str, topic: &str) -> String {
    format!("cluster={cluster} topic={topic} ")
}

/// Waits until the other process of this one's name has gone.
fn stand_back<J: Job>(
    shared: &Shared<J>,
    threads: usize,
    error: &WorkerError,
    shutdown: &AtomicBool,
) -> Result<(), WorkerError> {
    let name = shared.job.name();
    tracing::error!(operator = name, %error, "stands back");
    shared
        .status
        .set_problem(Subject::Instance, Some(error.to_string()));
    let config = &shared.config;
    let is_stopped = || shutdown.load(Ordering::Relaxed);
    Ok(wait_while_taken(
        &config.kafka,
        &config.group(name),
        &config.members(threads),
        is_stopped,
    )?)
}

fn run_threads<J: Job>(
    shared: &Arc<Shared<J>>,
    threads: usize,
    layout: Layout,
    shutdown: &Arc<AtomicBool>,
) -> Result<(), WorkerError> {
    let first_error = Arc::new(Mutex::new(None));
    let name = shared.job.name().to_owned();
    let mut running = Vec::new();
    for thread in 0..threads {
        // Known before it runs, so that the job is not ready with some of its threads.
        shared.status.set(thread, crate::WorkerState::default());
        let worker = Arc::clone(shared);
        running.push(spawn(
            &format!("{name}-{thread}"),
            shared,
            &first_error,
            move || run_worker(&worker, thread),
        )?);
    }
    if layout.control_partitions > 0 {
        let follower = Arc::clone(shared);
        running.push(spawn(
            &format!("{name}-control"),
            shared,
            &first_error,
            move || follow_control(&follower, layout.control_partitions),
        )?);
    }
    let watched = Arc::clone(shared);
    running.push(spawn(
        &format!("{name}-group"),
        shared,
        &first_error,
        move || {
            ownership::watch(&watched, &layout.consumer, layout.partitions, threads);
            Ok(())
        },
    )?);
    running.extend(watch_source(shared, &first_error)?);
    let limit = shared.timeouts.max_poll_interval();
    let mut watch = Watch::new(&shared.pulse, limit, LOOK);
    while !shutdown.load(Ordering::Relaxed) && !shared.stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(LOOK);
        check(shared, &mut watch, limit)?;
    }
    shared.stop.store(true, Ordering::Relaxed);
    for thread in running {
        while !thread.is_finished() {
            std::thread::park_timeout(LOOK);
            check(shared, &mut watch, limit)?;
        }
        join(thread, &first_error);
    }
    let error = first_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.map_or(Ok(()), Err)
}

/// Starts the thread that looks whether the source has got more partitions, for a job that is to
/// end then.
fn watch_source<J: Job>(
    shared: &Arc<Shared<J>>,
    first_error: &FirstError,
) -> Result<Option<JoinHandle<()>>, WorkerError> {
    let Some(source) = shared.job.source().cloned() else {
        return Ok(None);
    };
    let (name, watched) = (format!("{}-source", shared.job.name()), Arc::clone(shared));
    let watch = move || {
        source::watch(&watched, &source);
        Ok(())
    };
    spawn(&name, shared, first_error, watch).map(Some)
}

/// Gives up where a thread is stuck: it cannot be waited for, only left behind by a process that
/// ends.
fn check<J: Job>(shared: &Shared<J>, watch: &mut Watch, limit: Duration) -> Result<(), WorkerError> {
    let Some(thread) = watch.look(&shared.pulse) else {
        return Ok(());
    };
    shared.stop.store(true, Ordering::Relaxed);
    Err(WorkerError::Thread {
        name: format!("{}-{thread}", shared.job.name()),
        what: format!(
            "has not come back from the Kafka client for {} s",
            limit.as_secs()
        ),
    })
}

/// Runs a worker, and another in its place as long as only its clients were at fault: an outage
/// that outlasts the transaction timeout is waited for, not passed on.
fn run_worker<J: Job>(shared: &Shared<J>, thread: usize) -> Result<(), WorkerError> {
    let mut failures = 0;
    loop {
        let started = Instant::now();
        let worker = Worker::new(shared, thread);
        if let Err(error) = &worker
            && shared.stop.load(Ordering::Relaxed)
        {
            // Told to stop while it waited for the cluster: there is nothing to drain.
            tracing::info!(thread, %error, "stopped before the start");
            return Ok(());
        }
        let result = worker.and_then(Worker::run);
        shared.pulse.rest(thread);
        if started.elapsed() > STEADY {
            failures = 0;
        }
        failures += 1;
        match result {
            Ok(Ended::ToRejoin) => shared.status.set(thread, crate::WorkerState::default()),
            Ok(Ended::Stopped) => return Ok(()),
            Err(error)
                if error.needs_new_clients()
                    && failures < MAX_FAILURES
                    && !shared.stop.load(Ordering::Relaxed) =>
            {
                tracing::warn!(thread, %error, "the worker starts anew, with new clients");
                shared.status.set(thread, crate::WorkerState::default());
                std::thread::park_timeout(Duration::from_secs(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Follows every partition of the control topic, for the highest watermark of the job.
fn follow_control<J: Job>(shared: &Shared<J>, partitions: usize) -> Result<(), WorkerError> {
    let Some(topic) = shared.job.control_topic() else {
        return Ok(());
    };
    let consumer = follower(&shared.config, shared.job.name())?;
    let failed = |reason: KafkaError| WorkerError::Kafka {
        action: format!("following {topic}"),
        reason,
    };
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        list.add_partition_offset(topic, number, Offset::OffsetTail(TAIL))
            .map_err(failed)?;
    }
    consumer.assign(&list).map_err(failed)?;
    let mut watermarks = Watermarks::default();
    while !shared.stop.load(Ordering::Relaxed) {
        // An error is logged already, and librdkafka's to mend.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        match ControlRecord::parse(message.payload().unwrap_or_default()) {
            Ok(record) => {
                let highest_ms = watermarks.take(message.partition(), &record);
                let highest_ms = highest_ms.unwrap_or(NO_WATERMARK);
                shared.highest_watermark_ms.store(highest_ms, Ordering::Relaxed);
            }
            Err(reason) => {
                let offset = message.offset();
                tracing::warn!(topic, offset, reason, "a control record is ignored");
            }
        }
    }
    Ok(())
}
