//! State machines by key: each is given its key's events in the order of their time.

mod machine;
pub mod policy;
mod slot;
mod state;

use millrace_contract::Event as _;

pub use self::machine::{Machine, Said, Stored};
pub use self::policy::OrderedPolicy;
use self::slot::{OrderedSlot, Waiting};
use super::due::Due;
use super::held::Keys;
use super::{KeyedOperator, Runs, Table};
use crate::dedup::RecentIds;
use crate::hash::HashSeed;
use crate::policy::{EventTimeBounds, PolicyRefused};
use crate::windowed::Key as _;
use crate::{Disposition, FrozenState, Operator, RestoreError, Watermark, near};

/// So many events of a key wait for their turn at most. Where one more comes, the first of them is
/// given to the machine at once: it counts, though an earlier one may come after it.
pub const MOST_WAITING: u16 = 4_096;
/// How long behind the horizon ids are remembered, in milliseconds: a copy that comes later is late
/// by itself.
const REMEMBERED_MS: i64 = 60_000;

type SaidOf<M> = Said<<M as Machine>::Key, <M as Machine>::Output>;
type SlotOf<M> = OrderedSlot<<M as Machine>::Key, <M as Machine>::State, <M as Machine>::Input>;

/// A machine for each key of one partition, in which each key lives whole.
///
/// The *horizon* is the watermark less the allowed lateness, rounded down to a second. An event
/// before the horizon is [`Disposition::Late`]; one that is not waits until the horizon has passed
/// it, and is then given to its key's machine, the earlier one first, and of two at one time that
/// of the lower id. A machine is woken as soon as the horizon is at the time for it, before any
/// event of that time or later. So what is said of a key is what its accepted events make of the
/// machine, whatever order they came in; it comes out by its time and the key.
///
/// # A change of policy
/// Other settings hold from the next event or waking on, also for what waits. What was said stays,
/// and the horizon does not go back.
#[derive(Debug, Clone)]
pub struct Ordered<M: Machine> {
    machine: M,
    policy: OrderedPolicy<M::Settings>,
    seed: HashSeed,
    watermark: Watermark,
    /// Where what is due was looked at last.
    horizon_ms: Option<i64>,
    ids: RecentIds,
    slots: Table<SlotOf<M>>,
    waiting: Runs<Waiting<M::Input>>,
    keys: Keys<M::Key>,
    /// When to look at which slots again.
    due: Due,
    /// The next watermark at which the horizon moves; `None` before the first one.
    next_step_ms: Option<i64>,
    /// Events whose turn it is: empty between calls.
    turn: Vec<Waiting<M::Input>>,
}

impl<M: Machine> Ordered<M> {
    /// An operator before its first record. No output depends on the seed.
    #[must_use]
    pub fn new(machine: M, policy: OrderedPolicy<M::Settings>, seed: HashSeed) -> Self {
        Self {
            machine,
            policy,
            seed,
            watermark: Watermark::new(policy.max_disorder_ms()),
            horizon_ms: None,
            ids: RecentIds::of_horizon(REMEMBERED_MS, seed),
            slots: Table::new(seed),
            waiting: Runs::new(MOST_WAITING),
            keys: Keys::new(),
            due: Due::default(),
            next_step_ms: None,
            turn: Vec::new(),
        }
    }

    /// Has an event wait for its turn.
    fn join(&mut self, event: &M::Event, outputs: &mut Vec<SaidOf<M>>) {
        let key = self.machine.key(event);
        let (place, is_new) = self.slots.find_or_insert(Some(key), || OrderedSlot::new(key));
        if is_new {
            self.keys.hold(place, &key);
        }
        if self.slots.get(place).run.len() == usize::from(MOST_WAITING) {
            self.give(place, 1, outputs);
        }
        let entry = Waiting {
            time_ms: event.time_ms(),
            id: event.id(),
            input: self.machine.input(event),
        };
        let run = &mut self.slots.at(place).run;
        let is_before = |other: &Waiting<M::Input>| other.order() < entry.order();
        let earlier = self.waiting.earlier(run);
        let mut at = earlier.partition_point(is_before);
        if at == earlier.len() && self.waiting.entries(run).next_back().is_some_and(is_before) {
            at = run.len();
        }
        self.waiting.insert(run, at, entry);
        self.plan(place);
    }

    /// Has a slot looked at when its first event or its waking is due, if that is not planned.
    fn plan(&mut self, place: u32) {
        let slot = self.slots.get(place);
        let first = self.waiting.entries(&slot.run).next();
        let first_ms = first.map(|first| first.time_ms.saturating_add(1));
        let state = slot.state.as_ref();
        let wakes_ms = state.and_then(|state| self.machine.wakes_at_ms(self.policy.settings(), state));
        let Some(next_ms) = first_ms.into_iter().chain(wakes_ms).min() else {
            return;
        };
        let at_ms = self.policy.due_at_ms(next_ms);
        if slot.planned_ms.is_none_or(|planned_ms| at_ms < planned_ms) {
            self.slots.at(place).planned_ms = Some(at_ms);
            self.due.plan(at_ms, place);
        }
    }

    #[inline]
    fn moved(&mut self, outputs: &mut Vec<SaidOf<M>>) {
        if self.watermark.current_ms() >= self.next_step_ms {
            self.step(outputs);
        }
    }

    /// Moves the horizon, and does what is due by it.
    #[cold]
    fn step(&mut self, outputs: &mut Vec<SaidOf<M>>) {
        let Some(watermark_ms) = self.watermark.current_ms() else {
            return;
        };
        let horizon_ms = self.policy.horizon_ms(watermark_ms);
        let horizon_ms = self
            .horizon_ms
            .map_or(horizon_ms, |before| before.max(horizon_ms));
        self.horizon_ms = Some(horizon_ms);
        self.next_step_ms = Some(self.policy.next_step_ms(watermark_ms));
        self.ids.forget(horizon_ms);
        let first = outputs.len();
        while let Some((planned_ms, places)) = self.due.take(horizon_ms) {
            for place in places {
                // Of what is planned earlier since, or of a slot that has gone, nothing is to do.
                if self.slots.get(place).planned_ms == Some(planned_ms) {
                    self.pass(place, horizon_ms, outputs);
                }
            }
        }
        // Stable: what is said of a key at one time stays in its order.
        outputs[first..].sort_by_key(|said| {
            let (low, high) = said.key.words();
            (said.at_ms, low.swap_bytes(), high.swap_bytes())
        });
    }

    /// Brings a slot to a horizon.
    fn pass(&mut self, place: u32, horizon_ms: i64, outputs: &mut Vec<SaidOf<M>>) {
        let slot = self.slots.at(place);
        slot.planned_ms = None;
        let Some(key) = slot.key else { return };
        let waiting = self.waiting.entries(&slot.run);
        let is_passed = |event: &&Waiting<M::Input>| event.time_ms < horizon_ms;
        let count = waiting.take_while(is_passed).count();
        self.give(place, count, outputs);
        let slot = self.slots.at(place);
        wake(&self.machine, self.policy.settings(), slot, horizon_ms, outputs);
        if slot.state.is_none() && slot.run.is_empty() {
            self.keys.release(place, key);
            self.slots.remove(place);
        } else {
            self.plan(place);
        }
    }

    /// Gives the first of a key's events to its machine, so many of them.
    fn give(&mut self, place: u32, count: usize, outputs: &mut Vec<SaidOf<M>>) {
        let slot = self.slots.at(place);
        let Some(key) = slot.key else { return };
        let first = self.waiting.entries(&slot.run).take(count);
        self.turn.extend(first.copied());
        self.waiting.drop_first(&mut slot.run, count);
        let mut said = Vec::new();
        for event in self.turn.drain(..) {
            let settings = self.policy.settings();
            wake(&self.machine, settings, slot, event.time_ms, outputs);
            let state = slot.state.get_or_insert(M::State::EMPTY);
            self.machine
                .step(settings, state, event.time_ms, &event.input, &mut said);
            tell(key, event.time_ms, &mut said, outputs);
        }
    }

    /// Plans all slots anew.
    fn plan_all(&mut self) {
        self.due = Due::default();
        for place in 0..self.slots.places() {
            self.slots.at(place).planned_ms = None;
            self.plan(place);
        }
        let watermark_ms = self.watermark.current_ms();
        self.next_step_ms = watermark_ms.map(|watermark_ms| self.policy.next_step_ms(watermark_ms));
    }
}

/// Wakes a machine as often as it is to be woken until a time.
fn wake<M: Machine>(
    machine: &M,
    settings: &M::Settings,
    slot: &mut SlotOf<M>,
    until_ms: i64,
    outputs: &mut Vec<SaidOf<M>>,
) {
    let Some(key) = slot.key else { return };
    let mut said = Vec::new();
    let mut last_ms = None;
    while let Some(state) = slot.state.as_mut()
        && let Some(at_ms) = machine.wakes_at_ms(settings, state)
        // A machine that wakes without going on would do so for ever.
        && at_ms <= until_ms && last_ms < Some(at_ms)
    {
        last_ms = Some(at_ms);
        if !machine.wake(settings, state, at_ms, &mut said) {
            slot.state = None;
        }
        tell(key, at_ms, &mut said, outputs);
    }
}

fn tell<K: Copy, O>(key: K, at_ms: i64, said: &mut Vec<O>, outputs: &mut Vec<Said<K, O>>) {
    outputs.extend(said.drain(..).map(|output| Said { key, at_ms, output }));
}

impl<M: Machine> Operator for Ordered<M> {
    type Record = M::Event;
    type Output = SaidOf<M>;
    type Policy = OrderedPolicy<M::Settings>;

    fn policy(&self) -> &Self::Policy {
        &self.policy
    }

    fn check_policy(&self, policy: &Self::Policy) -> Result<(), PolicyRefused> {
        self.policy.bounds().check_change(&policy.bounds())
    }

    fn configure(&mut self, policy: &Self::Policy, _outputs: &mut Vec<SaidOf<M>>) {
        if *policy == self.policy {
            return;
        }
        self.watermark.allow_disorder(policy.max_disorder_ms());
        self.policy = *policy;
        self.plan_all();
    }

    fn prepare(&self, records: &[M::Event]) {
        let (ids, slots) = (self.ids.index(), self.slots.index());
        for record in records.iter().take(near::GROUP) {
            near::ask(ids.first_line(self.ids.hash(&record.id())));
            near::ask(slots.first_line(self.slots.hash(&Some(self.machine.key(record)))));
        }
    }

    fn process(&mut self, record: &M::Event, outputs: &mut Vec<SaidOf<M>>) -> Disposition {
        let time_ms = record.time_ms();
        if !self.ids.insert(record.id(), time_ms) {
            return Disposition::Duplicate;
        }
        if let Some(horizon_ms) = self.horizon_ms
            && time_ms < horizon_ms
        {
            return Disposition::Late {
                late_by_ms: horizon_ms.saturating_sub(time_ms),
            };
        }
        self.join(record, outputs);
        if self.watermark.observe(time_ms) {
            self.moved(outputs);
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<SaidOf<M>>) {
        if self.watermark.advance(watermark_ms) {
            self.moved(outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    /// Until all is said of the last event that is not to wait for others.
    fn open_until_ms(&self) -> Option<i64> {
        let newest_ms = self.watermark.max_event_time_ms()?;
        let settles_ms = self.machine.settles_after_ms(self.policy.settings()).max(1);
        let until_ms = self.policy.due_by_ms(newest_ms.saturating_add(settles_ms));
        (self.watermark.current_ms() < Some(until_ms)).then_some(until_ms)
    }

    fn freeze(&mut self) -> FrozenState {
        self.frozen()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = M::Key::reading(|| self.restored(bytes))?;
        Ok(())
    }
}

impl<M: Machine> KeyedOperator for Ordered<M> {
    const NAME: &'static str = M::NAME;

    fn within(policy: Self::Policy, bounds: EventTimeBounds) -> Self::Policy {
        policy.with_bounds(bounds)
    }

    fn bounds(policy: &Self::Policy) -> EventTimeBounds {
        policy.bounds()
    }

    fn open_keys(&self) -> usize {
        self.slots.len()
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark.max_event_time_ms()
    }
}
