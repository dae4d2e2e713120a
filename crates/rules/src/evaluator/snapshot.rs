//! An evaluator's state as bytes, and back.
//!
//! States go by what they are of, not by their place: another version takes over those of the
//! measures that both have, with windows no longer than before, and begins the others anew.

use std::sync::Arc;

use super::table::{FrozenKept, Kept, Table};
use super::{Evaluator, Version};
use crate::catalogue::Entity;
use crate::plan::{Keeps, Measure};
use crate::state::{Reader, State, StateError, Writer};

const FORMAT: u8 = 1;

/// A measure as a snapshot has it.
struct Written {
    keeps: Keeps,
    /// Its place among the states of an entity, where the version has it too.
    local: Option<usize>,
}

/// An evaluator's state as it was at one moment, whatever is processed afterwards.
#[derive(Debug)]
pub struct FrozenEvaluator {
    version: Arc<Version>,
    watermark_ms: i64,
    tables: Vec<FrozenTable>,
}

#[derive(Debug)]
struct FrozenTable {
    entity: Entity,
    forgotten_before_ms: i64,
    kept: FrozenKept,
}

impl FrozenEvaluator {
    /// Gives the state to `put` in parts: the same bytes for the same records, whatever the seed.
    pub fn write(self, mut put: impl FnMut(&[u8])) {
        let plan = self.version.plan();
        let mut part = Vec::new();
        let mut writer = Writer(&mut part);
        writer.u8(FORMAT);
        writer.i64(self.watermark_ms);
        writer.len(self.tables.len());
        for table in &self.tables {
            let mut writer = Writer(&mut part);
            writer.u8(table.entity as u8);
            writer.len(plan.of(table.entity).count());
            for measure in plan.of(table.entity) {
                writer.u8(measure.keeps as u8);
                writer.i64(measure.longest_ms);
                writer.text(&measure.text);
            }
            let live = table
                .kept
                .iter()
                .filter(|kept| kept.is_live(table.forgotten_before_ms));
            let mut sorted: Vec<_> = live.collect();
            sorted.sort_unstable_by_key(|kept| kept.key);
            writer.len(sorted.len());
            for kept in sorted {
                put(&part);
                part.clear();
                let mut writer = Writer(&mut part);
                kept.key.iter().for_each(|word| writer.u64(*word));
                writer.i64(kept.newest_ms);
                kept.states.iter().for_each(|state| state.write(&mut writer));
            }
        }
        put(&part);
    }
}

impl Evaluator {
    /// The state of this moment, to be written by another thread while records go on. It copies
    /// nothing that is in proportion to the state.
    pub fn freeze(&mut self) -> FrozenEvaluator {
        let watermark_ms = self.watermark_ms;
        let freeze = |table: &mut Table| FrozenTable {
            entity: table.entity,
            forgotten_before_ms: table.forgotten_before_ms(watermark_ms),
            kept: table.freeze(),
        };
        FrozenEvaluator {
            version: Arc::clone(&self.version),
            watermark_ms,
            tables: self.tables.iter_mut().map(freeze).collect(),
        }
    }

    /// Appends the state: as [`FrozenEvaluator::write`].
    pub fn encode(&mut self, bytes: &mut Vec<u8>) {
        self.freeze().write(|part| bytes.extend_from_slice(part));
    }

    /// Goes on with another version, and says which measures it begins anew. It takes over the
    /// states of the measures that both have, with windows no longer than before, and every
    /// entity's highest event time.
    pub fn change(&mut self, version: &Arc<Version>) -> Vec<String> {
        if version.hash() == self.version.hash() {
            return Vec::new();
        }
        let mut next = Self::new(Arc::clone(version), self.seed);
        next.watermark_ms = self.watermark_ms;
        next.set_lists(&self.lists);
        let mut anew = Vec::new();
        for table in &mut next.tables {
            let wanted: Vec<_> = version.plan().of(table.entity).collect();
            let found = |measure: &&Measure| self.version.plan().find(measure).map(|found| found.local);
            let from: Vec<_> = wanted.iter().map(found).collect();
            let lacking = wanted.iter().zip(&from).filter(|(_, from)| from.is_none());
            anew.extend(lacking.map(|(measure, _)| measure.text.clone()));
            let Some(before) = self
                .tables
                .iter_mut()
                .find(|before| before.entity == table.entity)
            else {
                continue;
            };
            before.take_live(self.watermark_ms, |kept| {
                let taken = from.iter().zip(&wanted).map(|(from, measure)| {
                    let fresh = State::new(measure.keeps);
                    from.map_or(fresh.clone(), |local| {
                        std::mem::replace(&mut kept.states[local], fresh)
                    })
                });
                table.insert(Kept {
                    key: kept.key,
                    newest_ms: kept.newest_ms,
                    states: taken.collect(),
                });
            });
        }
        for (rule, tally) in version.rules().iter().zip(&mut next.tallies) {
            let before = self
                .version
                .rules()
                .iter()
                .position(|before| before.name() == rule.name());
            *tally = before.map_or(*tally, |before| self.tallies[before]);
        }
        *self = next;
        anew
    }

    /// An evaluator of `version` with the state of an evaluator of this or another version, and the
    /// measures that it begins anew.
    ///
    /// # Errors
    /// Bytes that [`Evaluator::encode`] has not written.
    pub fn decode(
        version: Arc<Version>,
        seed: usize,
        bytes: &[u8],
    ) -> Result<(Self, Vec<String>), StateError> {
        let mut evaluator = Self::new(version, seed);
        let mut reader = Reader::new(bytes);
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(StateError::Format(format, FORMAT));
        }
        evaluator.watermark_ms = reader.time_ms()?;
        let mut taken = Vec::new();
        for _ in 0..reader.len(9)? {
            evaluator.read_table(&mut reader, &mut taken)?;
        }
        reader.finish()?;
        let plan = evaluator.version.plan();
        let anew = plan.measures.iter().map(|measure| measure.text.clone());
        let anew = anew.filter(|text| !taken.contains(text)).collect();
        Ok((evaluator, anew))
    }

    fn read_table(&mut self, reader: &mut Reader<'_>, taken: &mut Vec<String>) -> Result<(), StateError> {
        let entity = reader.u8()?;
        let entity = Entity::ALL
            .into_iter()
            .find(|known| *known as u8 == entity)
            .ok_or(StateError::Impossible("entity"))?;
        let mut written = Vec::new();
        for _ in 0..reader.len(13)? {
            written.push(self.read_measure(entity, reader, taken)?);
        }
        let table = self.tables.iter().position(|table| table.entity == entity);
        for _ in 0..reader.len(32)? {
            let key = [reader.u64()?, reader.u64()?, reader.u64()?];
            let newest_ms = reader.time_ms()?;
            let mut states: Box<[State]> = match table {
                Some(table) => self.tables[table]
                    .keeps()
                    .iter()
                    .map(|keeps| State::new(*keeps))
                    .collect(),
                None => Box::default(),
            };
            for measure in &written {
                let state = State::read(measure.keeps, reader)?;
                if let (Some(local), Some(_)) = (measure.local, table) {
                    states[local] = state;
                }
            }
            if let Some(table) = table {
                if self.tables[table].has(&key) {
                    return Err(StateError::Impossible("entity, a second time"));
                }
                self.tables[table].insert(Kept {
                    key,
                    newest_ms,
                    states,
                });
            }
        }
        Ok(())
    }

    fn read_measure(
        &self,
        entity: Entity,
        reader: &mut Reader<'_>,
        taken: &mut Vec<String>,
    ) -> Result<Written, StateError> {
        const ALL: [Keeps; 6] = [
            Keeps::Ring,
            Keeps::Values,
            Keeps::Last,
            Keeps::Streak,
            Keeps::Habits,
            Keeps::Quiet,
        ];
        let keeps = reader.u8()?;
        let keeps = ALL
            .into_iter()
            .find(|known| *known as u8 == keeps)
            .ok_or(StateError::Impossible("kind of state"))?;
        let longest_ms = reader.i64()?;
        let text = reader.text()?;
        let same = |measure: &&Measure| {
            measure.keeps == keeps && measure.text == text && measure.longest_ms <= longest_ms
        };
        let found = self.version.plan().of(entity).find(same);
        taken.extend(found.map(|measure| measure.text.clone()));
        Ok(Written {
            keeps,
            local: found.map(|measure| measure.local),
        })
    }
}
