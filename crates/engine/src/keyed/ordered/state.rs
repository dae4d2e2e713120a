//! The state of all keys as bytes.

use super::slot::{OrderedSlot, Waiting};
use super::{MOST_WAITING, Machine, Ordered, OrderedPolicy, Stored as _};
use crate::snapshot::{StateReader, StateWriter};
use crate::windowed::Key as _;
use crate::{FrozenState, RestoreError, Watermark};

/// First byte of the state; see [`StateReader::version`].
const STATE_VERSION: u8 = 0x41;

impl<M: Machine> Ordered<M> {
    pub(super) fn frozen(&mut self) -> FrozenState {
        let (policy, watermark, horizon_ms) = (self.policy, self.watermark.clone(), self.horizon_ms);
        let (ids, keys) = (self.ids.freeze(), self.keys.freeze());
        let (count, slots) = (self.slots.len(), self.slots.freeze());
        let waiting = self.waiting.freeze();
        FrozenState::new(move |writer: &mut StateWriter<'_>| {
            writer.u8(STATE_VERSION);
            writer.policy(&policy);
            watermark.snapshot(writer);
            writer.option_i64(horizon_ms);
            ids(writer);
            writer.count(count);
            slots.for_each_page(|slots| {
                for slot in slots {
                    let Some(key) = slot.key else { continue };
                    key.write(writer);
                    writer.bool(slot.state.is_some());
                    if let Some(state) = &slot.state {
                        state.write(writer);
                    }
                    writer.count(slot.run.len());
                    for event in waiting.entries(&slot.run) {
                        event.write(writer);
                    }
                }
            });
            // Held until the last of them was written.
            drop(keys);
        })
    }

    /// An operator with the state that the bytes are.
    pub(super) fn restored(&self, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = StateReader::new(bytes);
        reader.version(M::NAME, STATE_VERSION)?;
        let policy: OrderedPolicy<M::Settings> = reader.policy()?;
        let mut restored = Self::new(self.machine.clone(), policy, self.seed);
        restored.watermark = Watermark::restore(policy.max_disorder_ms(), &mut reader)?;
        restored.horizon_ms = reader.option_i64("horizon")?;
        restored.ids.restore(&mut reader)?;
        for _ in 0..reader.count("keys", M::Key::LEAST_LEN + 1 + 8)? {
            restored.read_key(&mut reader)?;
        }
        reader.finish()?;
        restored.plan_all();
        Ok(restored)
    }

    fn read_key(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let at = reader.position();
        let key = M::Key::read(reader)?;
        let (place, is_new) = self.slots.find_or_insert(Some(key), || OrderedSlot::new(key));
        self.keys.hold(place, &key);
        let slot = self.slots.at(place);
        if reader.bool("whether a key has a state")? {
            slot.state = Some(M::State::read(reader)?);
        }
        let count = reader.count("events that wait", Waiting::<M::Input>::LEAST_LEN)?;
        let is_held = count > 0 || slot.state.is_some();
        if !is_new || !is_held || count > usize::from(MOST_WAITING) {
            return Err(RestoreError::Invalid { what: "key", at });
        }
        let mut last = None;
        for place in 0..count {
            let at = reader.position();
            let event = Waiting::read(reader)?;
            if last >= Some(event.order()) || self.horizon_ms > Some(event.time_ms) {
                let what = "event that waits";
                return Err(RestoreError::Invalid { what, at });
            }
            last = Some(event.order());
            self.waiting.insert(&mut slot.run, place, event);
        }
        Ok(())
    }
}
