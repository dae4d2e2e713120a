//! Ranges of settings, each in one place: for the check of the configuration and of the operator
//! alike. Those of the built-in rules are with the rules.

use std::fmt::Display;
use std::ops::RangeInclusive;

use millrace_engine::policy::DAY_MS;

use crate::settings::SettingError;

/// The range of a setting, ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range<T> {
    /// The key, below the detector's section.
    pub key: &'static str,
    /// The least that is right.
    pub least: T,
    /// The most that is right.
    pub most: T,
}

impl<T> Range<T> {
    pub(crate) const fn new(key: &'static str, least: T, most: T) -> Self {
        Self { key, least, most }
    }
}

impl<T: PartialOrd + Display + Copy> Range<T> {
    pub(crate) fn of(key: &'static str, range: RangeInclusive<T>) -> Self {
        let (least, most) = range.into_inner();
        Self { key, least, most }
    }

    /// Names a value that is not right; not-a-number is not.
    pub(crate) fn check(&self, value: T, refuse: &mut dyn FnMut(SettingError)) {
        if (self.least..=self.most).contains(&value) {
            return;
        }
        refuse(SettingError {
            key: self.key,
            value: value.to_string(),
            least: self.least.to_string(),
            most: self.most.to_string(),
        });
    }
}

/// How far the watermark may stay behind the highest event time.
pub const MAX_DISORDER_MS: Range<i64> = Range::new("event_time.max_disorder_ms", 0, DAY_MS);
/// How long a transaction id is remembered.
pub const DEDUP_HORIZON_MS: Range<i64> = Range::new("dedup_horizon_ms", 1, DAY_MS);
/// How long a user who stays away is remembered.
pub const PROFILE_RETENTION_MS: Range<i64> = Range::new("profile_retention_ms", DAY_MS, 400 * DAY_MS);
