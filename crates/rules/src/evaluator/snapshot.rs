//! An evaluator's state as bytes, and back.
//!
//! States go by what they are of, not by their place: another version takes over those of the
//! measures that both have, with windows no longer than before, and begins the others anew.

use std::sync::Arc;

use super::table::Kept;
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

impl Evaluator {
    /// Appends the state: the same bytes for the same records, whatever the seed.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut writer = Writer(bytes);
        let plan = self.version.plan();
        writer.u8(FORMAT);
        writer.i64(self.watermark_ms);
        writer.len(self.tables.len());
        for table in &self.tables {
            writer.u8(table.entity as u8);
            writer.len(table.keeps().len());
            for measure in plan.of(table.entity) {
                writer.u8(measure.keeps as u8);
                writer.i64(measure.longest_ms);
                writer.text(&measure.text);
            }
            let sorted = table.sorted(self.watermark_ms);
            writer.len(sorted.len());
            for kept in sorted {
                kept.key.iter().for_each(|word| writer.u64(*word));
                writer.i64(kept.newest_ms);
                kept.states.iter().for_each(|state| state.write(&mut writer));
            }
        }
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
