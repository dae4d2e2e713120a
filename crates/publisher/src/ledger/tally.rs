//! Counts and sums of what was acknowledged and of what failed.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::{Class, Entry};

/// A window's start in milliseconds since 1970, and the key of its sums.
pub(crate) type WindowKey<E> = (i64, <E as Entry>::Key);

/// Sums by window and key.
pub(crate) type Windows<E> = FxHashMap<WindowKey<E>, <E as Entry>::Sums>;

/// What one thread counted since it was last asked.
#[derive(Debug)]
pub struct Tally<E: Entry> {
    /// Records acknowledged, whatever they are, without asides.
    pub acknowledged: u64,
    /// Records of unknown outcome: the brokers may have them or not.
    pub failed: u64,
    /// Acknowledged records whose id had been sent before.
    pub duplicates: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged asides.
    pub asides: u64,
    /// Asides of unknown outcome.
    pub failed_asides: u64,
    /// What was acknowledged, each id once.
    pub windows: Windows<E>,
    /// Acknowledged records whose id had been sent before.
    pub repeated_windows: Windows<E>,
    /// What is of unknown outcome, each id once.
    pub failed_windows: Windows<E>,
    /// Failures of either kind by error code.
    pub failures: BTreeMap<String, u64>,
}

impl<E: Entry> Default for Tally<E> {
    /// Nothing.
    fn default() -> Self {
        Self {
            acknowledged: 0,
            failed: 0,
            duplicates: 0,
            malformed: 0,
            asides: 0,
            failed_asides: 0,
            windows: Windows::<E>::default(),
            repeated_windows: Windows::<E>::default(),
            failed_windows: Windows::<E>::default(),
            failures: BTreeMap::new(),
        }
    }
}

impl<E: Entry> Tally<E> {
    /// Counts an acknowledged record.
    #[inline]
    pub fn acknowledge(&mut self, entry: &E, window_ms: i64) {
        let class = entry.class();
        if class == Class::Aside {
            self.asides += 1;
            return;
        }
        self.acknowledged += 1;
        match class {
            Class::First => entry.add_to(self.windows.entry(key(entry, window_ms)).or_default()),
            Class::Repeat => {
                self.duplicates += 1;
                entry.add_to(self.repeated_windows.entry(key(entry, window_ms)).or_default());
            }
            Class::Malformed | Class::Aside => self.malformed += 1,
        }
    }

    /// Counts a record of unknown outcome. A repeat changes no window, so it leaves none in doubt.
    pub fn fail(&mut self, entry: &E, window_ms: i64, code: &str) {
        let class = entry.class();
        if class == Class::Aside {
            self.failed_asides += 1;
        } else {
            self.failed += 1;
        }
        if class == Class::First {
            entry.add_to(self.failed_windows.entry(key(entry, window_ms)).or_default());
        }
        *self.failures.entry(code.to_owned()).or_default() += 1;
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.duplicates += other.duplicates;
        self.malformed += other.malformed;
        self.asides += other.asides;
        self.failed_asides += other.failed_asides;
        for (windows, more) in [
            (&mut self.windows, other.windows),
            (&mut self.repeated_windows, other.repeated_windows),
            (&mut self.failed_windows, other.failed_windows),
        ] {
            for (key, sums) in more {
                E::merge(windows.entry(key).or_default(), &sums);
            }
        }
        for (code, count) in other.failures {
            *self.failures.entry(code).or_default() += count;
        }
    }
}

#[inline]
fn key<E: Entry>(entry: &E, window_ms: i64) -> WindowKey<E> {
    let event_time_ms = entry.event_time_ms();
    (event_time_ms - event_time_ms.rem_euclid(window_ms), entry.key())
}
