//! Session windows: the events of a key with less than a gap between one and the next.

pub mod policy;
mod slot;

use std::fmt::Debug;

use millrace_contract::Event;

pub use self::policy::SessionPolicy;
use self::slot::{Session, SessionSlot};
use super::due::Due;
use super::held::Keys;
use super::{KeyedOperator, Runs, Table};
use crate::dedup::RecentIds;
use crate::hash::HashSeed;
use crate::policy::{EventTimeBounds, PolicyRefused};
use crate::snapshot::{StateReader, StateWriter};
use crate::windowed::{Key, Totals};
use crate::{Disposition, FrozenState, Operator, RestoreError, Watermark, near};

/// What a job makes of a session's events.
pub trait Fold: Clone + Debug + Send + Sync + 'static {
    /// The job's name, for errors.
    const NAME: &'static str;

    /// A record of the input.
    type Event: Event;
    /// Whose sessions they are. The input is keyed by it, or by a part of it.
    type Key: Key;
    /// What a session adds up to.
    type Totals: Totals;

    /// The key of an event.
    fn key(&self, event: &Self::Event) -> Self::Key;

    /// What an event alone adds up to. Sessions that an event joins are merged, in any order.
    fn totals(&self, event: &Self::Event) -> Self::Totals;
}

/// A session that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<K, T> {
    /// Whose it was.
    pub key: K,
    /// Time of its first event, in milliseconds since 1970.
    pub first_ms: i64,
    /// Time of its last event.
    pub last_ms: i64,
    /// What its events add up to.
    pub totals: T,
}

type ClosedOf<F> = Closed<<F as Fold>::Key, <F as Fold>::Totals>;

/// First byte of the state; see [`StateReader::version`].
const STATE_VERSION: u8 = 0x31;

/// Sessions of the events of one partition, in which each key lives whole.
///
/// Two events of a key are in one session if there is less than the gap between them, or a chain of
/// others that are so. The *horizon* is the watermark less the allowed lateness, rounded down to a
/// 64th of the gap, as sessions are looked at that often. An event before the horizon is
/// [`Disposition::Late`]; a session comes out as soon as the horizon is a gap past its last event,
/// by the time of that and the key. So no event can come that would be in a session that was sent,
/// and what comes out does not depend on the order in which events came: it is what the accepted
/// ones are by definition.
///
/// Ids are remembered for a gap behind the horizon.
///
/// # A change of policy
/// Another gap holds at once: open sessions stay what they are, and close by it. What was sent
/// stays as it was sent, though an event may come that is nearer to it than a larger gap. The
/// horizon does not go back.
#[derive(Debug, Clone)]
pub struct Sessions<F: Fold> {
    fold: F,
    policy: SessionPolicy,
    seed: HashSeed,
    watermark: Watermark,
    /// Where sessions were looked at last.
    horizon_ms: Option<i64>,
    ids: RecentIds,
    slots: Table<SessionSlot<F::Key, F::Totals>>,
    sessions: Runs<Session<F::Totals>>,
    keys: Keys<F::Key>,
    /// When to look at which slots again.
    due: Due,
    /// The next watermark at which the horizon moves; `None` before the first one.
    next_step_ms: Option<i64>,
}

impl<F: Fold> Sessions<F> {
    /// An operator before its first record. No output depends on the seed.
    #[must_use]
    pub fn new(fold: F, policy: SessionPolicy, seed: HashSeed) -> Self {
        Self {
            fold,
            policy,
            seed,
            watermark: Watermark::new(policy.max_disorder_ms()),
            horizon_ms: None,
            ids: RecentIds::of_horizon(policy.remembered_ms(), seed),
            slots: Table::new(seed),
            sessions: Runs::new(u16::MAX),
            keys: Keys::new(),
            due: Due::default(),
            next_step_ms: None,
        }
    }

    /// Puts an event into the session that it is in, which may join some that were apart.
    fn join(&mut self, event: &F::Event) {
        let key = self.fold.key(event);
        let (place, is_new) = self.slots.find_or_insert(Some(key), || SessionSlot::new(key));
        if is_new {
            self.keys.hold(place, &key);
        }
        let gap_ms = self.policy.gap_ms();
        let mut joined = Session::of(event.time_ms(), self.fold.totals(event));
        let run = &mut self.slots.at(place).run;
        let (mut from, mut to) = (0, 0);
        for (at, open) in self.sessions.entries(run).enumerate() {
            if open.is_before(&joined, gap_ms) {
                from = at + 1;
                to = from;
            } else if joined.is_before(open, gap_ms) {
                break;
            } else {
                joined.merge(open);
                to = at + 1;
            }
        }
        self.sessions.replace(run, from..to, joined);
        self.plan(place);
    }

    /// Has a slot looked at when its first session is due, if that is not planned.
    fn plan(&mut self, place: u32) {
        let slot = self.slots.get(place);
        let first = self.sessions.entries(&slot.run).next();
        let Some(first_ms) = first.map(|first| first.last_ms) else {
            return;
        };
        let at_ms = self.policy.closes_at_ms(first_ms);
        if slot.planned_ms.is_none_or(|planned_ms| at_ms < planned_ms) {
            self.slots.at(place).planned_ms = Some(at_ms);
            self.due.plan(at_ms, place);
        }
    }

    #[inline]
    fn moved(&mut self, outputs: &mut Vec<ClosedOf<F>>) {
        if self.watermark.current_ms() >= self.next_step_ms {
            self.step(outputs);
        }
    }

    /// Moves the horizon, and closes what it has left behind.
    #[cold]
    fn step(&mut self, outputs: &mut Vec<ClosedOf<F>>) {
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
                    self.close(place, horizon_ms, outputs);
                }
            }
        }
        outputs[first..].sort_unstable_by_key(|closed| {
            let (low, high) = closed.key.words();
            (closed.last_ms, low.swap_bytes(), high.swap_bytes())
        });
    }

    /// Closes the sessions of a slot that are over.
    fn close(&mut self, place: u32, horizon_ms: i64, outputs: &mut Vec<ClosedOf<F>>) {
        let slot = self.slots.at(place);
        slot.planned_ms = None;
        let Some(key) = slot.key else { return };
        let policy = self.policy;
        let is_over = |session: &&Session<F::Totals>| policy.closes_at_ms(session.last_ms) <= horizon_ms;
        let before = outputs.len();
        let over = self.sessions.entries(&slot.run).take_while(is_over);
        outputs.extend(over.map(|session| Closed {
            key,
            first_ms: session.first_ms,
            last_ms: session.last_ms,
            totals: session.totals,
        }));
        self.sessions.drop_first(&mut slot.run, outputs.len() - before);
        if slot.run.is_empty() {
            self.keys.release(place, key);
            self.slots.remove(place);
        } else {
            self.plan(place);
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

    /// An operator with the state that the bytes are.
    fn restored(&self, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = StateReader::new(bytes);
        reader.version(F::NAME, STATE_VERSION)?;
        let policy: SessionPolicy = reader.policy()?;
        let mut restored = Self::new(self.fold.clone(), policy, self.seed);
        restored.watermark = Watermark::restore(policy.max_disorder_ms(), &mut reader)?;
        restored.horizon_ms = reader.option_i64("horizon")?;
        restored.ids.restore(&mut reader)?;
        for _ in 0..reader.count("keys", F::Key::LEAST_LEN + 8)? {
            let at = reader.position();
            let key = F::Key::read(&mut reader)?;
            let (place, is_new) = restored.slots.find_or_insert(Some(key), || SessionSlot::new(key));
            restored.keys.hold(place, &key);
            let run = &mut restored.slots.at(place).run;
            let count = reader.count("sessions", 16 + F::Totals::LEN)?;
            let mut last_ms = None;
            for at in 0..count {
                let session = Session::read(&mut reader)?;
                if last_ms >= Some(session.first_ms) {
                    let at = reader.position();
                    return Err(RestoreError::Invalid { what: "session", at });
                }
                last_ms = Some(session.last_ms);
                restored.sessions.insert(run, at, session);
            }
            if !is_new || count == 0 || count > usize::from(u16::MAX) {
                return Err(RestoreError::Invalid { what: "key", at });
            }
        }
        reader.finish()?;
        restored.plan_all();
        Ok(restored)
    }
}

impl<F: Fold> Operator for Sessions<F> {
    type Record = F::Event;
    type Output = ClosedOf<F>;
    type Policy = SessionPolicy;

    fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    fn check_policy(&self, policy: &SessionPolicy) -> Result<(), PolicyRefused> {
        self.policy.bounds().check_change(&policy.bounds())
    }

    fn configure(&mut self, policy: &SessionPolicy, _outputs: &mut Vec<ClosedOf<F>>) {
        if *policy == self.policy {
            return;
        }
        let reach_ms = self.ids.reach_ms();
        self.ids
            .set_horizon(self.horizon_ms, reach_ms, policy.remembered_ms());
        self.watermark.allow_disorder(policy.max_disorder_ms());
        self.policy = *policy;
        self.plan_all();
    }

    fn prepare(&self, records: &[F::Event]) {
        let (ids, slots) = (self.ids.index(), self.slots.index());
        let mut hashes = [(0, 0); near::GROUP];
        let hashes = &mut hashes[..records.len().min(near::GROUP)];
        for (hashes, record) in hashes.iter_mut().zip(records) {
            let key = self.slots.hash(&Some(self.fold.key(record)));
            *hashes = (self.ids.hash(&record.id()), key);
        }
        for &(id, key) in &*hashes {
            near::ask(ids.first_line(id));
            near::ask(slots.first_line(key));
        }
        for &(id, key) in &*hashes {
            near::ask(ids.next_line(id));
            near::ask(slots.next_line(key));
            if let Some(place) = slots.guess(key) {
                near::ask(self.slots.get(place));
            }
        }
    }

    fn process(&mut self, record: &F::Event, outputs: &mut Vec<ClosedOf<F>>) -> Disposition {
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
        self.join(record);
        if self.watermark.observe(time_ms) {
            self.moved(outputs);
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<ClosedOf<F>>) {
        if self.watermark.advance(watermark_ms) {
            self.moved(outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    /// Of the last event that there was: its session is the last to close.
    fn open_until_ms(&self) -> Option<i64> {
        let newest_ms = self.watermark.max_event_time_ms()?;
        (!self.slots.is_empty()).then(|| self.policy.closes_by_ms(newest_ms))
    }

    fn freeze(&mut self) -> FrozenState {
        let (policy, watermark, horizon_ms) = (self.policy, self.watermark.clone(), self.horizon_ms);
        let (ids, keys) = (self.ids.freeze(), self.keys.freeze());
        let (count, slots) = (self.slots.len(), self.slots.freeze());
        let sessions = self.sessions.freeze();
        FrozenState::new(move |writer: &mut StateWriter<'_>| {
            writer.u8(STATE_VERSION);
            writer.policy(&policy);
            watermark.snapshot(writer);
            writer.option_i64(horizon_ms);
            ids(writer);
            writer.count(count);
            slots.for_each_page(|slots| {
                for slot in slots {
                    if let Some(key) = slot.key {
                        key.write(writer);
                        writer.count(slot.run.len());
                        for session in sessions.entries(&slot.run) {
                            session.write(writer);
                        }
                    }
                }
            });
            // Held until the last of them was written.
            drop(keys);
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = F::Key::reading(|| self.restored(bytes))?;
        Ok(())
    }
}

impl<F: Fold> KeyedOperator for Sessions<F> {
    const NAME: &'static str = F::NAME;

    fn within(policy: SessionPolicy, bounds: EventTimeBounds) -> SessionPolicy {
        policy.with_bounds(bounds)
    }

    fn bounds(policy: &SessionPolicy) -> EventTimeBounds {
        policy.bounds()
    }

    /// Of those with an open session.
    fn open_keys(&self) -> usize {
        self.slots.len()
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark.max_event_time_ms()
    }
}
