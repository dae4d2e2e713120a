//! Schedules over the first stage of windows.

use std::sync::Arc;

use millrace_contract::source::NoRegistry;
use millrace_contract::{Encode, Event as _, Reader};
use millrace_engine::HashSeed;
use millrace_engine::windowed::{Aggregation, MergePolicy, PartialPolicy};
use millrace_kafka::SourcePartitions;
use millrace_settings::MisplacedRecords;

use super::log::{SCHEMA_ID, bounds};
use super::{OverStream, Records, SOURCES};
use crate::JobMetrics;
use crate::control::ControlRecord;
use crate::processor::{Refusal, policy_to_text};
use crate::simulation::{LoggedRecord, Random};
use crate::windowed::{EventOf, PartialJob, PartialParts, PartialTopics, TwoStage, WindowMetrics};

const MERGE_PARTITIONS: i32 = 2;

/// Schedules over the first stage of an aggregate over windows.
pub struct PartialSchedules<W: TwoStage> {
    parts: PartialParts<W>,
    records: Records<EventOf<W>>,
}

impl<W: TwoStage> PartialSchedules<W> {
    /// Of the first stage over these records.
    ///
    /// # Panics
    /// A metric's name is taken by another.
    #[must_use]
    pub fn new(records: Records<EventOf<W>>) -> Self {
        let name = W::Aggregation::PARTIAL;
        Self {
            parts: PartialParts {
                policy: policy(&mut Random::new(0)),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: PartialTopics {
                    input: "events".to_owned(),
                    control: "control".to_owned(),
                    partials: "partials".to_owned(),
                    partials_control: "partials.control".to_owned(),
                    late: Some("late".to_owned()),
                },
                source: Arc::new(SourcePartitions::fixed(SOURCES)),
                upstream: None,
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                partials_partitions: MERGE_PARTITIONS,
                schema_id: 3,
                reader: Reader::new(NoRegistry).with_own_schema_id(SCHEMA_ID),
                metrics: JobMetrics::of(name).expect("the metrics of jobs are one set"),
                windows: WindowMetrics::of(name).expect("the metrics of windows are one set"),
            },
            records,
        }
    }

    /// The same, where late records are counted alone, as another job copies them.
    #[must_use]
    pub fn without_late(mut self) -> Self {
        self.parts.topics.late = None;
        self
    }
}

fn policy(settings: &mut Random) -> PartialPolicy {
    let (window_ms, lateness_ms) = (
        settings.pick(&[10_000, 5_000, 20_000]),
        settings.pick(&[0, 3_000]),
    );
    PartialPolicy::new(window_ms, lateness_ms, settings.pick(&[2_000, 0, 9_000]))
        .expect("windows divide a day")
}

impl<W: TwoStage> OverStream for PartialSchedules<W>
where
    EventOf<W>: Encode,
{
    type Job = PartialJob<W>;

    fn job(&self, settings: &mut Random, partitions: i32, seed: u64) -> PartialJob<W> {
        let policy = policy(settings);
        let (max_future_ms, earliest_ms, misplaced_records) = bounds(settings);
        PartialJob::new(PartialParts {
            policy,
            max_future_ms,
            earliest_ms,
            misplaced_records,
            source: Arc::new(SourcePartitions::fixed(partitions)),
            seed: HashSeed::new(seed),
            ..self.parts.clone()
        })
    }

    fn log(&self, partition: i32, before: i32, random: &mut Random) -> Vec<LoggedRecord> {
        let key_of = |event: &EventOf<W>| event.key().as_ref().to_vec();
        self.records.log((partition, before), key_of, random)
    }

    /// Stage 2 has waited for every source from the start, and has sent nothing.
    fn controls(&self, partitions: i32) -> Vec<ControlRecord> {
        let policy = MergePolicy::new(partitions as usize, 0).expect("a stream has partitions");
        vec![ControlRecord::Policy {
            offset: 0,
            policy: policy_to_text(&policy),
            closed_until_ms: None,
        }]
    }
}
