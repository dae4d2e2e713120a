//! Schedules over state by key.

use std::sync::Arc;

use millrace_contract::source::NoRegistry;
use millrace_contract::{Encode, Event as _, Reader};
use millrace_engine::HashSeed;
use millrace_engine::keyed::KeyedOperator;
use millrace_kafka::SourcePartitions;
use millrace_settings::MisplacedRecords;

use super::log::{SCHEMA_ID, bounds};
use super::{OverStream, Records, SOURCES};
use crate::JobMetrics;
use crate::keyed::{EventOf, Keyed, KeyedJob, KeyedParts, KeyedTopics, PolicyOf};
use crate::processor::Refusal;
use crate::simulation::{LoggedRecord, Random};
use crate::windowed::WindowMetrics;

/// Schedules over a job with state by key.
pub struct KeyedSchedules<K: Keyed> {
    parts: KeyedParts<K>,
    policy: fn(&mut Random) -> PolicyOf<K>,
    records: Records<EventOf<K>>,
}

impl<K: Keyed> KeyedSchedules<K> {
    /// Of a job that writes these topics, with policies that `policy` draws.
    ///
    /// # Panics
    /// A metric's name is taken by another.
    #[must_use]
    pub fn new(
        of: K,
        outputs: &[&str],
        policy: fn(&mut Random) -> PolicyOf<K>,
        records: Records<EventOf<K>>,
    ) -> Self {
        let outputs = outputs.iter().map(|&topic| topic.to_owned()).zip(2..);
        let name = K::Operator::NAME;
        Self {
            parts: KeyedParts {
                of,
                policy: policy(&mut Random::new(0)),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: KeyedTopics {
                    input: "events".to_owned(),
                    control: "control".to_owned(),
                    outputs: outputs.collect(),
                },
                source: Arc::new(SourcePartitions::fixed(SOURCES)),
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                reader: Reader::new(NoRegistry).with_own_schema_id(SCHEMA_ID),
                metrics: JobMetrics::of(name).expect("the metrics of jobs are one set"),
                windows: WindowMetrics::of(name).expect("the metrics of windows are one set"),
            },
            policy,
            records,
        }
    }
}

impl<K: Keyed> OverStream for KeyedSchedules<K>
where
    EventOf<K>: Encode,
{
    type Job = KeyedJob<K>;

    fn job(&self, settings: &mut Random, partitions: i32, seed: u64) -> KeyedJob<K> {
        let policy = (self.policy)(settings);
        let (max_future_ms, earliest_ms, misplaced_records) = bounds(settings);
        KeyedJob::new(KeyedParts {
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
        let key_of = |event: &EventOf<K>| event.key().as_ref().to_vec();
        self.records.log((partition, before), key_of, random)
    }

    /// Where keys lie, and so their order, depends on when the places of others were given back.
    fn has_one_state(&self) -> bool {
        false
    }
}
