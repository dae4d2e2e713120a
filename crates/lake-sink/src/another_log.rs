//! Whether the files of a partition are of the log that is read.
//!
//! A topic that is deleted and made anew begins its offsets again, so that its records would be
//! passed over as those of files that have their offsets. But a record that is in a file was there
//! when the file was written: one that the broker appended later is of another log.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use crate::name::FileName;

/// How far the brokers' clocks may be ahead of the store's.
const CLOCKS_MS: i64 = 10_000;

/// What is known of a partition's files.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    written_ms: Mutex<HashMap<FileName, Option<i64>>>,
    another_log: OnceLock<String>,
}

impl Origins {
    /// Why nothing of the partition may be passed over or written any more, once it is known.
    pub(crate) fn another_log(&self) -> Option<&str> {
        self.another_log.get().map(String::as_str)
    }

    /// Whether the record at `offset`, which the broker appended then, can be in `file`;
    /// `look` asks the store when that was written, once for each file.
    pub(crate) fn may_have(
        &self,
        file: FileName,
        (offset, append_time_ms): (i64, Option<i64>),
        look: impl FnOnce(&FileName) -> Option<i64>,
    ) -> bool {
        if self.another_log().is_some() {
            return false;
        }
        // What a producer says tells nothing.
        let Some(append_time_ms) = append_time_ms else {
            return true;
        };
        let mut known = self.written_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let written_ms = *known.entry(file).or_insert_with(|| look(&file));
        let Some(written_ms) = written_ms else { return true };
        if append_time_ms <= written_ms.saturating_add(CLOCKS_MS) {
            return true;
        }
        let told = told(&file, offset, (append_time_ms, written_ms));
        tracing::error!("{told}");
        // Another thread's word is as good.
        let _ = self.another_log.set(told);
        false
    }
}

fn told(file: &FileName, offset: i64, (append_time_ms, written_ms): (i64, i64)) -> String {
    let time = |ms| Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string());
    format!(
        "offset {offset} of partition {} of {} was appended at {}, and {}, which has that offset, was written at {}: the \
         topic was made anew. Nothing is written of it, as its offsets are those of other rows: set lake_sink.url to \
         another folder, or move {} away",
        file.partition,
        file.table,
        time(append_time_ms),
        file.path(),
        time(written_ms),
        file.table,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(last: i64) -> FileName {
        FileName {
            table: "transactions",
            day: "2026-01-31".parse().unwrap(),
            partition: 3,
            first: 0,
            last,
        }
    }

    #[test]
    fn a_record_that_came_after_its_file_is_of_another_log() {
        let origins = Origins::default();
        let may_have = |append_time_ms, written_ms: Option<i64>| {
            origins.may_have(file(9), (4, append_time_ms), |_| written_ms)
        };
        assert!(may_have(None, Some(50_000)), "its producer's clock is nobody's");
        assert!(may_have(Some(1_000), Some(50_000)));
        assert!(
            may_have(Some(60_000), None),
            "the file is asked for once, and clocks differ"
        );
        assert!(
            origins.may_have(file(19), (14, Some(90_000)), |_| None),
            "it was put together with others"
        );
        assert_eq!(origins.another_log(), None);
        assert!(!may_have(Some(60_001), None));
        let told = origins.another_log().unwrap();
        for part in [
            "offset 4 of partition 3 of transactions",
            "1970-01-01T00:01:00.001Z",
            "1970-01-01T00:00:50Z",
            "lake_sink.url",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(
            !may_have(Some(1_000), None),
            "then nothing is passed over any more"
        );
    }
}
