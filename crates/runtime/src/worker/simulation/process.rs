//! One worker: its partitions, and a consumer without Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_engine::FrozenState;
use millrace_engine::snapshot::SnapshotWriter;
use millrace_kafka_batch::Report;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::clock::Clock;
use super::cluster::{Cluster, Output, container_of};
use super::numbered::{Numbered, Speaker};
use super::random::Random;
use super::trace::digest;
use super::transaction::{Faults, Transaction};
use super::turns::Waiters;
use crate::alignment::Alignment;
use crate::failure::Failure;
use crate::worker::effects::Effects as _;
use crate::worker::envelope::Envelope;
use crate::worker::partition::Active;
use crate::worker::partitions::{Confirmed, Partitions};
use crate::worker::restore::Restored;
use crate::worker::side::Probed;
use crate::worker::terms::Terms;
use crate::{Controls, InputRecord, Job};

/// The longest step of an idle partition's watermark.
const MOST_ADVANCE_MS: usize = 30;

/// Where the consumer reads a partition.
pub(super) struct Position {
    pub(super) at: i64,
    pub(super) is_paused: bool,
}

/// A worker of one generation; all of it is lost in a crash.
pub(super) struct Process<J: Job> {
    pub(super) generation: u64,
    pub(super) job: Arc<J>,
    speaker: Speaker,
    pub(super) clock: Clock,
    pub(super) partitions: Partitions<Numbered<J::Task>>,
    pub(super) transaction: Transaction,
    /// Partitions that it has taken over from a snapshot.
    pub(super) restored: u64,
    pub(super) positions: BTreeMap<i32, Position>,
    /// Of a job whose partitions wait for each other.
    pub(super) waiters: Waiters,
    /// Restores that the helper thread has not begun.
    requests: Vec<(i32, u64)>,
    /// Restores that it has done.
    answers: Vec<Restored<Numbered<J::Task>>>,
    frozen: Vec<(i32, SnapshotWriter, FrozenState)>,
    probed: Vec<Probed>,
}

impl<J: Job> Process<J> {
    pub(super) fn new(generation: u64, job: J, clock: &Clock) -> Self {
        let speaker = Speaker::default();
        Self {
            generation,
            partitions: Partitions::new(Terms::of(&job)),
            transaction: Transaction::of(&speaker, clock, job.max_skew_ms().map(Alignment::new)),
            restored: 0,
            speaker,
            clock: clock.clone(),
            job: Arc::new(job),
            positions: BTreeMap::new(),
            waiters: Waiters::default(),
            requests: Vec::new(),
            answers: Vec::new(),
            frozen: Vec::new(),
            probed: Vec::new(),
        }
    }

    pub(super) fn control_topic(&self) -> Option<&str> {
        self.job.control_topic()
    }

    pub(super) fn tells_outputs(&self) -> bool {
        self.job.tells_outputs()
    }

    /// Whether so many partitions of the input are more than it was prepared for.
    pub(super) fn has_grown(&self, partitions: usize) -> bool {
        self.job.source().is_some_and(|source| {
            source.found(partitions as i32);
            source.have_grown()
        })
    }

    /// The state of a partition, which has the job's policy; `None` while it is being restored.
    ///
    /// # Panics
    /// It has another policy.
    pub(super) fn state(&mut self, partition: i32) -> Option<Vec<u8>> {
        let active = self.partitions.active_of(partition)?;
        let (mut container, mut state) = (Vec::new(), Vec::new());
        active.freeze(&mut container).write(&mut state);
        let envelope = Envelope::read(&container).map(|(envelope, _)| envelope.policy.to_owned());
        assert_eq!(envelope, Ok(self.job.policy()), "partition {partition}");
        Some(state)
    }

    /// Hears of what its job's policy has become; whether it is another.
    pub(super) fn follow(&mut self, change: impl FnOnce(&J)) -> bool {
        change(&self.job);
        self.partitions.follow(&*self.job)
    }

    pub(super) fn has(&self, partition: i32) -> bool {
        self.positions.contains_key(&partition)
    }

    pub(super) fn assign(&mut self, partition: i32) {
        let epoch = self.partitions.assign(partition, self.clock.now());
        self.requests.push((partition, epoch));
        let waiting = Position {
            at: 0,
            is_paused: true,
        };
        self.positions.insert(partition, waiting);
        self.waiters.assign(partition);
        if let Some(alignment) = &self.transaction.alignment {
            alignment.assigned(&[partition], self.clock.now());
        }
    }

    pub(super) fn give_up(&mut self, partition: i32) {
        self.partitions.give_up(&[partition]);
        self.positions.remove(&partition);
        self.waiters.give_up(partition);
        if let Some(alignment) = &self.transaction.alignment {
            alignment.given_up(&[partition], self.clock.now());
        }
        self.requests.retain(|(number, _)| *number != partition);
    }

    /// Begins or ends a restore, in any order.
    pub(super) fn restore(
        &mut self,
        cluster: &Cluster,
        random: &mut Random,
        controls: &mut Controls<'_>,
    ) -> Result<(), Failure> {
        if !self.requests.is_empty() && random.one_in(2) {
            let (partition, epoch) = self.requests.swap_remove(random.below(self.requests.len()));
            let log = &cluster.logs[partition as usize];
            match log.restore((partition, epoch), &*self.job, &self.speaker, controls) {
                Some(restored) => self.answers.push(restored),
                None => self.requests.push((partition, epoch)),
            }
        }
        if self.answers.is_empty() {
            return Ok(());
        }
        let restored = self.answers.swap_remove(random.below(self.answers.len()));
        if !self.partitions.awaits(&restored) {
            return Ok(());
        }
        if let Some(position) = self.positions.get_mut(&restored.partition) {
            *position = Position {
                at: restored.start,
                is_paused: false,
            };
        }
        self.waiters.seek(restored.partition, restored.start);
        self.restored += u64::from(restored.start > 0);
        self.partitions.start(restored, &mut self.transaction)
    }

    /// Fetches and processes a batch: of several partitions, in any order, with records from before
    /// a position and of partitions that are not restored, and with errors in the place of records.
    pub(super) fn batch(
        &mut self,
        cluster: &Cluster,
        random: &mut Random,
        faults: Faults,
    ) -> Result<(), Failure> {
        if self.transaction.alignment.is_some() {
            return self.take_turns(cluster, random, faults);
        }
        self.transaction.faults = faults;
        let job = Arc::clone(&self.job);
        let topic = job.input_topic();
        let mut items: Vec<Result<InputRecord<'_>, Report>> = Vec::new();
        let numbers: Vec<i32> = self.positions.keys().copied().collect();
        for _ in 0..1 + random.below(4) {
            let Some(&number) = numbers.get(random.below(numbers.len().max(1))) else {
                break;
            };
            let Some(position) = self.positions.get_mut(&number) else {
                continue;
            };
            let log = &cluster.logs[number as usize];
            let count = if random.one_in(20) {
                70
            } else {
                random.below(6) as i64
            };
            let from = match random.below(12) {
                0 => (position.at - 2).max(0),
                _ => position.at,
            };
            let to = (position.at.max(from) + count).min(log.end());
            for offset in from..to {
                let record = log.records[offset as usize].as_ref();
                items.extend(record.map(|record| Ok(record.as_input(topic, number, offset))));
            }
            // What was fetched before the pause comes again after the seek.
            if !position.is_paused {
                position.at = position.at.max(to);
                if faults.cuts && random.one_in(2) {
                    // The report of an error moves the position by one, over a record.
                    position.at += 1;
                    items.push(Err(Report {
                        partition: number,
                        offset: to,
                        reason: String::new(),
                        error: KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF),
                    }));
                }
            }
        }
        let result = self.partitions.batch(items.into_iter(), &mut self.transaction);
        self.transaction.faults = Faults::default();
        result
    }

    /// As the worker's: everything uncommitted is thrown away.
    pub(super) fn roll_back(&mut self) {
        self.transaction.abort();
        self.partitions.tally.clear();
        for number in self.partitions.dirty() {
            if let Some(position) = self.positions.get_mut(&number) {
                position.is_paused = true;
            }
            self.waiters.stop(number);
            let epoch = self.partitions.roll_back(number, self.clock.now());
            self.requests.retain(|(requested, _)| *requested != number);
            self.requests.push((number, epoch));
        }
    }

    /// Closes the batch; what is to be committed, if anything is.
    pub(super) fn close(&mut self, faults: Faults) -> Result<Option<Vec<(i32, i64)>>, Failure> {
        if self.partitions.dirty().is_empty() {
            assert!(
                self.transaction.sent.is_empty(),
                "outputs of a partition that is not dirty"
            );
            return Ok(None);
        }
        self.transaction.faults = faults;
        self.transaction.begin()?;
        let closed = self.partitions.close(&mut self.transaction);
        self.transaction.faults = Faults::default();
        closed.map(Some)
    }

    pub(super) fn take_sent(&mut self) -> Vec<Output> {
        self.transaction.take_sent()
    }

    /// The client says that the transaction is committed.
    pub(super) fn committed(&mut self) {
        self.partitions.commit();
        self.partitions.tally.clear();
    }

    /// It ends before it has written what it took of a partition.
    pub(super) fn forget_frozen(&mut self, partition: i32) {
        self.frozen.retain(|(number, ..)| *number != partition);
    }

    /// Takes a snapshot of each partition that is due, or writes one that was taken: a number that
    /// stands for what is stored.
    pub(super) fn snapshot(&mut self, cluster: &mut Cluster, random: &mut Random) -> Option<u64> {
        let mut stored = None;
        if !self.frozen.is_empty() {
            let (number, mut container, state) = self.frozen.swap_remove(random.below(self.frozen.len()));
            if !random.one_in(6) {
                state.write(container.state());
                let container = container.finish();
                stored = Some(digest(&container));
                cluster.log(number).store(container);
            } else if let Some(active) = self.partitions.active_of(number) {
                active.snapshots.failed();
            }
        }
        for partition in self.partitions.iter_mut() {
            let number = partition.number();
            if let Some(active) = partition.active_mut()
                && active.wants_snapshot(Duration::ZERO, self.clock.now())
            {
                let mut container = container_of(&*self.job, number, active.next(), active.watermark_ms());
                let state = active.freeze(container.state());
                active.snapshots.took(true, self.clock.now());
                self.frozen.push((number, container, state));
            }
        }
        stored
    }

    /// Sets the policy of partitions that have gone live with another.
    pub(super) fn configure(&mut self, faults: Faults) -> Result<(), Failure> {
        self.transaction.faults = faults;
        let result = self.partitions.configure(&mut self.transaction);
        self.transaction.faults = Faults::default();
        result
    }

    /// Asks for the ends of the partitions, or takes what was asked for before.
    pub(super) fn probe(
        &mut self,
        cluster: &Cluster,
        random: &mut Random,
        faults: Faults,
    ) -> Result<(), Failure> {
        for probed in std::mem::take(&mut self.probed) {
            let number = probed.probe.partition;
            if let Some(alignment) = &self.transaction.alignment {
                let next = probed.probe.next;
                alignment.ends(number, next, if probed.at_end { next } else { probed.end });
            }
            match self.partitions.take_probed(&probed) {
                None | Some((_, Confirmed::Nothing)) => {}
                Some((_, Confirmed::ReplayRead)) => {
                    self.partitions.end_replay(number, &mut self.transaction)?;
                }
                Some((_, Confirmed::Idle)) => {
                    let highest_ms = self.partitions.active().filter_map(Active::watermark_ms).max();
                    let active = self.partitions.active_of(number);
                    let own_ms = active.and_then(|active| active.watermark_ms());
                    let Some(watermark_ms) = own_ms.or(highest_ms) else {
                        continue;
                    };
                    let target_ms = watermark_ms + 1 + random.below(MOST_ADVANCE_MS) as i64;
                    self.transaction.faults = faults;
                    self.partitions
                        .advance(number, target_ms, &mut self.transaction)?;
                    self.transaction.faults = Faults::default();
                }
            }
        }
        let probes = self.partitions.probes(Duration::ZERO, self.clock.now());
        let probed = probes.into_iter().map(|probe| {
            let log = &cluster.logs[probe.partition as usize];
            Probed {
                probe,
                end: log.end(),
                at_end: log.is_empty_from(probe.next),
                high: Some(log.end()),
                written_until: Some(self.clock.now()),
            }
        });
        self.probed = probed.collect();
        Ok(())
    }

    /// Whether all of its partitions have processed and committed all there is.
    pub(super) fn is_done(&self, cluster: &Cluster) -> bool {
        self.partitions.iter().all(|partition| {
            let log = &cluster.logs[partition.number() as usize];
            let is_done = |active: &Active<Numbered<J::Task>>| {
                active.is_live()
                    && !active.is_to_configure()
                    && !active.is_dirty()
                    && log.is_empty_from(active.next())
            };
            partition.active().is_some_and(is_done)
        })
    }
}
