#![allow(dead_code, reason = "each simulation uses a part")]

//! One partition of a job: its log, what was committed, its snapshots, and the live task that
//! processes it.

use millrace_engine::snapshot::container::{self, Expected, Header, SnapshotWriter};
use millrace_engine::{Disposition, FrozenState, Operator};

use crate::support::Random;

const FINGERPRINT: &str = "simulated";

/// What a transaction has made durable.
pub(crate) struct Committed<O: Operator> {
    /// The next record to process.
    pub(crate) offset: usize,
    pub(crate) outputs: Vec<O::Output>,
    pub(crate) dispositions: Vec<Fate>,
    /// The control topic: idle advances and changes of policy, each with the offset it comes
    /// before.
    pub(crate) directives: Vec<(usize, Directive<O::Policy>)>,
    /// The state at the last commit, to compare a recovered one with.
    state: Vec<u8>,
}

/// What is in a partition's order besides its records.
#[derive(Debug, Clone)]
pub(crate) enum Directive<P> {
    Advance(i64),
    Configure(P),
}

impl<P> Directive<P> {
    fn give<O: Operator<Policy = P>>(&self, operator: &mut O, outputs: &mut Vec<O::Output>) {
        match self {
            Self::Advance(watermark_ms) => operator.advance(*watermark_ms, outputs),
            Self::Configure(policy) => operator.configure(policy, outputs),
        }
    }
}

/// A task that a worker holds; all of it is lost in a crash.
struct Live<O: Operator> {
    operator: O,
    position: usize,
    outputs: Vec<O::Output>,
    dispositions: Vec<Fate>,
    directives: Vec<(usize, Directive<O::Policy>)>,
    /// A snapshot that is taken and not written yet; it is lost with the worker.
    frozen: Option<(SnapshotWriter, FrozenState, usize)>,
}

/// What became of a record; `None` of one that nobody can decode: it goes to the dead-letter topic.
pub(crate) type Fate = Option<Disposition>;

/// One partition of a job's input.
pub(crate) struct Partition<O: Operator> {
    job: &'static str,
    number: i32,
    fresh: fn(u64) -> O,
    /// `None` is a record that nobody can decode.
    pub(crate) log: Vec<Option<O::Record>>,
    pub(crate) committed: Committed<O>,
    /// Each with how many directives are in it: those at its own offset may be in it or come after
    /// it.
    snapshots: Vec<(Vec<u8>, usize)>,
    /// Whether equal states have equal bytes.
    is_exact: bool,
    live: Option<Live<O>>,
}

fn state_of(operator: &mut impl Operator) -> Vec<u8> {
    let mut bytes = Vec::new();
    operator.snapshot(&mut bytes);
    bytes
}

impl<O: Operator> Live<O> {
    fn direct(&mut self, directive: Directive<O::Policy>) {
        directive.give(&mut self.operator, &mut self.outputs);
        self.directives.push((self.position, directive));
    }
}

impl<O: Operator> Partition<O>
where
    O::Output: Clone + PartialEq + std::fmt::Debug,
{
    pub(crate) fn new(job: &'static str, number: i32, fresh: fn(u64) -> O) -> Self {
        Self {
            job,
            number,
            fresh,
            log: Vec::new(),
            committed: Committed {
                offset: 0,
                outputs: Vec::new(),
                dispositions: Vec::new(),
                directives: Vec::new(),
                state: state_of(&mut fresh(0)),
            },
            snapshots: Vec::new(),
            is_exact: true,
            live: None,
        }
    }

    /// Of an operator whose states may be the same by what they do alone, and not byte by byte.
    pub(crate) fn of_equivalent_states(self) -> Self {
        Self {
            is_exact: false,
            ..self
        }
    }

    /// The worker that held it is gone, with whatever it had not committed.
    pub(crate) fn crash(&mut self) {
        self.live = None;
    }

    /// The next record to process.
    pub(crate) fn position(&self) -> usize {
        self.live
            .as_ref()
            .map_or(self.committed.offset, |live| live.position)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position() == self.log.len()
    }

    pub(crate) fn watermark_ms(&self) -> Option<i64> {
        self.live.as_ref().and_then(|live| live.operator.watermark_ms())
    }

    pub(crate) fn open_until_ms(&self) -> Option<i64> {
        self.live.as_ref().and_then(|live| live.operator.open_until_ms())
    }

    /// Processes up to `count` records of what is in the log.
    pub(crate) fn process(&mut self, count: usize, seed: u64) {
        self.recover(seed);
        let Some(live) = &mut self.live else { return };
        for record in self.log.iter().skip(live.position).take(count) {
            let record = record.as_ref();
            let fate = record.map(|record| live.operator.process(record, &mut live.outputs));
            live.dispositions.push(fate);
            live.position += 1;
        }
    }

    /// Advances an idle partition; the advance is durable once it is committed.
    pub(crate) fn advance(&mut self, watermark_ms: i64, seed: u64) {
        self.recover(seed);
        let Some(live) = &mut self.live else { return };
        if live.operator.watermark_ms() < Some(watermark_ms) {
            live.direct(Directive::Advance(watermark_ms));
        }
    }

    /// Changes the policy, if it is another one; the change is durable once it is committed.
    pub(crate) fn configure(&mut self, policy: O::Policy, seed: u64) {
        self.recover(seed);
        let Some(live) = &mut self.live else { return };
        if *live.operator.policy() != policy {
            live.direct(Directive::Configure(policy));
        }
    }

    /// The policy of the live task, or the one that was committed last.
    pub(crate) fn policy(&mut self, seed: u64) -> Option<O::Policy> {
        self.recover(seed);
        self.live.as_ref().map(|live| live.operator.policy().clone())
    }

    /// Commits offset, advances and outputs in one step; the outputs.
    pub(crate) fn commit(&mut self) -> Vec<O::Output> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        let outputs = std::mem::take(&mut live.outputs);
        self.committed.offset = live.position;
        self.committed.outputs.extend(outputs.iter().cloned());
        self.committed.dispositions.append(&mut live.dispositions);
        self.committed.directives.append(&mut live.directives);
        self.committed.state = state_of(&mut live.operator);
        outputs
    }

    /// Writes the snapshot that was taken before, whatever was processed since, and takes one of
    /// the live task, committed or not: one that is ahead of the commit may lie in the store when
    /// the transaction behind it never was. The last three are kept.
    pub(crate) fn take_snapshot(&mut self) {
        let Some(live) = &mut self.live else { return };
        if let Some((mut writer, frozen, directives)) = live.frozen.take() {
            frozen.write(writer.state());
            self.snapshots.push((writer.finish(), directives));
        }
        let writer = SnapshotWriter::new(&Header {
            job: self.job,
            partition: self.number,
            offset: live.position as i64,
            watermark_ms: live.operator.watermark_ms(),
            fingerprint: FINGERPRINT,
        });
        // Directives that wait for the commit are in the state, so such a state must not be kept.
        if live.directives.is_empty() {
            let directives = self.committed.directives.len();
            live.frozen = Some((writer, live.operator.freeze(), directives));
        }
        if self.snapshots.len() > 3 {
            self.snapshots.remove(0);
        }
    }

    /// Tears, damages, loses or replaces what lies in the store.
    pub(crate) fn damage_snapshots(&mut self, random: &mut Random) {
        let Some((last, _)) = self.snapshots.last_mut() else {
            return;
        };
        match random.below(4) {
            0 => last.truncate(random.below(last.len())),
            1 => {
                // Drawn in any case, so that the schedule does not depend on the state's size.
                let (at, bit) = (random.below(last.len()), random.below(8));
                if let Some(byte) = last.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            2 => _ = self.snapshots.pop(),
            _ => self.snapshots.clear(),
        }
    }

    /// Loads the newest valid snapshot at or below the committed offset and replays the gap,
    /// outputs suppressed.
    fn recover(&mut self, seed: u64) {
        if self.live.is_some() {
            return;
        }
        let expected = Expected {
            job: self.job,
            partition: self.number,
            fingerprint: FINGERPRINT,
        };
        let mut operator = (self.fresh)(seed);
        let (mut position, mut known) = (0, 0);
        for (bytes, directives) in self.snapshots.iter().rev() {
            if let Ok(snapshot) = container::read(bytes, &expected)
                && snapshot.header.offset as usize <= self.committed.offset
                && self.is_after(*directives, snapshot.header.offset as usize)
            {
                operator.restore(snapshot.state).unwrap();
                assert_eq!(operator.watermark_ms(), snapshot.header.watermark_ms);
                (position, known) = (snapshot.header.offset as usize, *directives);
                break;
            }
        }
        let suppressed = self.replay(&mut operator, position, known);
        assert!(self.committed.outputs.ends_with(&suppressed.0));
        assert!(self.committed.dispositions.ends_with(&suppressed.1));
        if self.is_exact {
            assert_eq!(
                state_of(&mut operator),
                self.committed.state,
                "the recovered state differs"
            );
        }
        self.live = Some(Live {
            operator,
            position: self.committed.offset,
            outputs: Vec::new(),
            dispositions: Vec::new(),
            directives: Vec::new(),
            frozen: None,
        });
    }

    /// Whether what was committed after so many directives is at an offset or after it: else a
    /// snapshot of there, of a transaction that never was, lacks it.
    fn is_after(&self, directives: usize, offset: usize) -> bool {
        let mut after = self.committed.directives.iter().skip(directives);
        after.all(|(at, _)| *at >= offset)
    }

    /// Feeds an operator all that was committed from `position` on but the directives that it
    /// knows, merging records and directives by offset.
    fn replay(&self, operator: &mut O, position: usize, known: usize) -> (Vec<O::Output>, Vec<Fate>) {
        let (mut outputs, mut dispositions) = (Vec::new(), Vec::new());
        let mut directives = self.committed.directives.iter().skip(known).peekable();
        for offset in position..=self.committed.offset {
            while let Some((_, directive)) = directives.next_if(|(at, _)| *at == offset) {
                directive.give(operator, &mut outputs);
            }
            if offset < self.committed.offset {
                let record = self.log[offset].as_ref();
                dispositions.push(record.map(|record| operator.process(record, &mut outputs)));
            }
        }
        (outputs, dispositions)
    }

    /// The committed output must be that of one operator that never stopped.
    pub(crate) fn verify(&self) {
        assert_eq!(self.committed.offset, self.log.len(), "a record was left");
        assert_eq!(self.committed.dispositions.len(), self.log.len());
        let (outputs, dispositions) = self.replay(&mut (self.fresh)(0), 0, 0);
        assert_eq!(outputs, self.committed.outputs);
        assert_eq!(dispositions, self.committed.dispositions);
    }
}
