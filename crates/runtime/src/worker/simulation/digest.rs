//! A job whose state is a digest of every event it has had, in order: one that is left out,
//! repeated or exchanged shows in every later output.

use millrace_engine::snapshot::StateReader;
use millrace_engine::{FrozenState, RestoreError};

use super::outside;
use super::random::mix;
use super::{LoggedRecord, Random, Scenario, Seen, Simulation, assert_repeats, run_schedules};
use crate::{Beginning, Controls, InputRecord, Job, Outbox, OutputRecord, Task, TaskError};

const CONFIGURED: u64 = 1 << 62;
/// The event time between two records.
const INTERVAL_MS: i64 = 20;
/// Another one is added later.
const PARTITIONS: usize = 2;
/// Records of a partition.
const RECORDS: usize = 60;
const SCHEDULES: u64 = 100_000;
/// The watermark that every second partition begins with.
const BEGINS_AT_MS: i64 = 300;
/// A policy, and one that cannot take its place.
const REFUSED: (u64, u64) = (2, 1);

#[test]
fn random_schedules_commit_what_an_undisturbed_run_commits() {
    let seen = run_schedules(SCHEDULES, |seed| verified(run(&Digests::APART, seed)));
    let of_some = [
        seen.advances,
        seen.refused,
        seen.recalled,
        seen.forgotten,
        seen.grown,
    ];
    let has_all = of_some.iter().all(|times| *times > 0);
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!(has_all || is_chosen, "{seen:?}");
}

#[test]
fn partitions_that_wait_for_each_other_lose_nothing_and_come_to_their_ends() {
    let seen = run_schedules(SCHEDULES / 5, |seed| verified(run(&Digests::ALIGNED, seed)));
    assert!(seen.waits > 100 || seen.commits < 10_000, "{seen:?}");
}

#[test]
fn one_seed_is_one_schedule() {
    assert_repeats(|seed| {
        let both = [&Digests::APART, &Digests::ALIGNED];
        both.map(|digests| run(digests, seed).into_trace()).into()
    });
}

fn verified(mut simulation: Simulation<'_, Digests>) -> Seen {
    outside::agree();
    simulation.verify();
    simulation.seen()
}

fn run(digests: &'static Digests, seed: u64) -> Simulation<'static, Digests> {
    let mut random = Random::new(seed);
    let mut log = || (0..RECORDS).map(|_| record(&mut random)).collect();
    let inputs = (0..PARTITIONS).map(|_| log()).collect();
    let later = vec![log()];
    let mut simulation = Simulation::new(digests, random.next_u64(), inputs).with_later(later);
    outside::begin(seed);
    simulation.run();
    simulation
}

fn record(random: &mut Random) -> LoggedRecord {
    LoggedRecord {
        key: None,
        payload: Some(random.next_u64().to_le_bytes().to_vec()),
        timestamp_ms: 0,
        is_append_time: true,
    }
}

struct Digests {
    max_skew_ms: Option<i64>,
}

impl Digests {
    const APART: Self = Self { max_skew_ms: None };
    /// Their partitions wait for each other.
    const ALIGNED: Self = Self {
        max_skew_ms: Some(5 * INTERVAL_MS),
    };
}

impl Scenario for Digests {
    type Job = DigestJob;

    fn job(&self, settings: u64, _seed: u64) -> DigestJob {
        DigestJob {
            policy: settings % 3,
            max_skew_ms: self.max_skew_ms,
        }
    }
}

struct DigestJob {
    /// A number that goes into all that a task makes of an event.
    policy: u64,
    max_skew_ms: Option<i64>,
}

impl Job for DigestJob {
    type Task = Digest;

    fn name(&self) -> &str {
        "digest"
    }

    fn input_topic(&self) -> &str {
        "input"
    }

    fn control_topic(&self) -> Option<&str> {
        Some("control")
    }

    fn max_skew_ms(&self) -> Option<i64> {
        self.max_skew_ms
    }

    fn layout(&self) -> String {
        "layout".to_owned()
    }

    fn policy(&self) -> String {
        self.policy.to_string()
    }

    fn beginning(&self, partition: i32, _controls: &mut Controls<'_>) -> Result<Beginning, String> {
        Ok(match partition % 2 {
            0 => Beginning::Anywhere,
            _ => Beginning::At(BEGINS_AT_MS),
        })
    }

    fn task(&self, _partition: i32) -> Digest {
        Digest::new(self.policy)
    }

    fn task_under(&self, _partition: i32, policy: &str) -> Result<Digest, String> {
        policy.parse().map(Digest::new).map_err(|_| policy.to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::worker) struct Digest {
    digest: u64,
    policy: u64,
    watermark_ms: Option<i64>,
}

impl Digest {
    pub(in crate::worker) const fn new(policy: u64) -> Self {
        Self {
            digest: 0,
            policy,
            watermark_ms: None,
        }
    }

    fn take(&mut self, event: u64, outbox: &mut dyn Outbox) {
        self.digest = mix(self.digest ^ mix(event ^ mix(self.policy)));
        // A state may change without a word.
        if event.is_multiple_of(3) {
            return;
        }
        outbox.send(OutputRecord {
            topic: "output",
            partition: None,
            key: None,
            payload: &self.digest.to_le_bytes(),
            headers: &[],
        });
    }
}

impl Task for Digest {
    fn event_time_ms(&mut self, record: &InputRecord<'_>) -> Option<i64> {
        // Nearly in order.
        let noise = record.payload?.first().copied().unwrap_or_default();
        Some(record.offset * INTERVAL_MS + i64::from(noise) / 4)
    }

    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let bytes = record.payload.unwrap_or_default().try_into();
        let value = u64::from_le_bytes(bytes.unwrap_or_default());
        if outside::refuses(value) {
            return outbox.note_refusal(record, "outside", "it says no");
        }
        self.watermark_ms = self.watermark_ms.max(Some((value % 1_000) as i64));
        self.take(value, outbox);
        Ok(())
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        if self.watermark_ms < Some(watermark_ms) {
            self.watermark_ms = Some(watermark_ms);
            self.take(u64::MAX - watermark_ms as u64, outbox);
        }
        Ok(())
    }

    fn policy(&self) -> String {
        self.policy.to_string()
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let policy = policy.parse().map_err(|_| TaskError::new(policy))?;
        if (self.policy, policy) == REFUSED {
            return Err(TaskError::new(format!("{policy} cannot follow {}", self.policy)));
        }
        if self.policy == policy {
            return Ok(());
        }
        self.policy = policy;
        self.take(CONFIGURED, outbox);
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    fn open_until_ms(&self) -> Option<i64> {
        None
    }

    fn freeze(&mut self) -> FrozenState {
        let Self {
            digest, watermark_ms, ..
        } = *self;
        FrozenState::new(move |writer| {
            writer.u64(digest);
            writer.option_i64(watermark_ms);
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        self.digest = reader.u64()?;
        self.watermark_ms = reader.option_i64("watermark")?;
        reader.finish()
    }
}
