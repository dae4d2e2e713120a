//! The different values of a text or an enum, each with the highest event time it came with.

use super::{Reader, StateError, Writer};

/// More different values than this are "at least this many".
pub(crate) const AT_LEAST: u32 = 25;
/// Values that are kept; beyond, those that were seen longest ago give way.
pub(crate) const MAX_VALUES: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    /// In no order that means anything but that of the state's bytes.
    seen: Vec<(u128, i64)>,
    /// The highest event time of a value that gave way.
    cut_ms: i64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            seen: Vec::new(),
            cut_ms: i64::MIN,
        }
    }
}

/// What was known of a transaction's value before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prior {
    code: u128,
    last_ms: i64,
    cut_ms: i64,
}

impl Prior {
    pub(crate) const NONE: Self = Self {
        code: 0,
        last_ms: i64::MIN,
        cut_ms: i64::MIN,
    };

    /// 1 if the value was not there after `start_ms`, 0 if it was, NaN if nobody can say.
    pub(crate) fn is_first(&self, start_ms: i64) -> f64 {
        if self.last_ms > start_ms {
            0.0
        } else if self.cut_ms > start_ms {
            f64::NAN
        } else {
            1.0
        }
    }
}

impl Values {
    pub(crate) fn prior(&self, code: u128) -> Prior {
        let found = self.seen.iter().find(|(seen, _)| *seen == code);
        Prior {
            code,
            last_ms: found.map_or(i64::MIN, |(_, last_ms)| *last_ms),
            cut_ms: self.cut_ms,
        }
    }

    /// Learns a value; `oldest_ms` is where the longest window begins.
    pub(crate) fn learn(&mut self, code: u128, time_ms: i64, oldest_ms: i64) {
        if time_ms <= oldest_ms {
            return;
        }
        if let Some((_, last_ms)) = self.seen.iter_mut().find(|(seen, _)| *seen == code) {
            *last_ms = time_ms.max(*last_ms);
            return;
        }
        self.seen.retain(|(_, last_ms)| *last_ms > oldest_ms);
        self.seen.push((code, time_ms));
        if self.seen.len() > MAX_VALUES {
            let oldest = self
                .seen
                .iter()
                .enumerate()
                .min_by_key(|(_, (code, last_ms))| (*last_ms, *code))
                .map_or(0, |(at, _)| at);
            let (_, last_ms) = self.seen.remove(oldest);
            self.cut_ms = self.cut_ms.max(last_ms);
        }
    }

    /// How many were there after `start_ms`, at most [`AT_LEAST`]. Without the transaction's own,
    /// if what was before it is given.
    pub(crate) fn distinct(&self, start_ms: i64, without: Option<Prior>) -> u32 {
        let mut found = 0;
        for &(code, last_ms) in &self.seen {
            let last_ms = match without {
                Some(prior) if prior.code == code => prior.last_ms,
                _ => last_ms,
            };
            found += u32::from(last_ms > start_ms);
        }
        found.min(AT_LEAST)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.i64(self.cut_ms);
        writer.len(self.seen.len());
        for (code, last_ms) in &self.seen {
            writer.u128(*code);
            writer.i64(*last_ms);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let cut_ms = reader.time_ms()?;
        let length = reader.len(24)?;
        if length > MAX_VALUES {
            return Err(StateError::Impossible("number of values"));
        }
        let mut seen = Vec::with_capacity(length);
        for _ in 0..length {
            seen.push((reader.u128()?, reader.time_ms()?));
        }
        Ok(Self { seen, cut_ms })
    }
}
