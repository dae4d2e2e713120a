//! Records of the tests: what thermometers read.

use serde::{Deserialize, Serialize};

use crate::{Class, Entry};

/// A temperature, by thermometer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) class: Class,
    pub(crate) thermometer: &'static str,
    pub(crate) event_time_ms: i64,
    pub(crate) degrees: i64,
}

impl Reading {
    pub(crate) fn first(thermometer: &'static str, event_time_ms: i64, degrees: i64) -> Self {
        Self {
            class: Class::First,
            thermometer,
            event_time_ms,
            degrees,
        }
    }
}

/// How many readings, and their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) start_ms: i64,
    pub(crate) thermometer: String,
    pub(crate) count: u64,
    pub(crate) sum: i64,
}

impl Entry for Reading {
    type Key = &'static str;
    type Sums = (u64, i64);
    type Line = Line;

    fn class(&self) -> Class {
        self.class
    }

    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    fn key(&self) -> &'static str {
        self.thermometer
    }

    fn add_to(&self, (count, sum): &mut (u64, i64)) {
        *count += 1;
        *sum += self.degrees;
    }

    fn merge((count, sum): &mut (u64, i64), other: &(u64, i64)) {
        *count += other.0;
        *sum += other.1;
    }

    fn line(start_ms: i64, thermometer: &'static str, &(count, sum): &(u64, i64)) -> Line {
        Line {
            start_ms,
            thermometer: thermometer.to_owned(),
            count,
            sum,
        }
    }
}
