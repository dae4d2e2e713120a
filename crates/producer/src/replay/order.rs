//! Which rows would be late, before they are sent or while they are.

use jiff::Timestamp;
use millrace_domain::{EventTimeLimits, InvalidValue, Transaction};
use millrace_kafka::partition_for;
use millrace_settings::Settings;

/// The bounds on event time that the aggregator goes by, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Size of a window.
    pub window_ms: i64,
    /// How long a window takes records after the watermark has passed its end.
    pub allowed_lateness_ms: i64,
    /// How far the watermark stays behind the highest event time.
    pub max_disorder_ms: i64,
    /// How far ahead of the clock an event time may be.
    pub max_future_ms: i64,
    /// The earliest event time, since 1970.
    pub earliest_ms: i64,
}

impl Bounds {
    /// Whether the aggregator takes a transaction's event time, in a record that is appended at
    /// `append_ms`: else the record is a dead letter, and no watermark moves by it. `None` where a
    /// producer stamps it, which bounds nothing.
    ///
    /// # Errors
    /// Before the earliest time, or too far ahead.
    pub fn check(&self, transaction: &Transaction, append_ms: Option<i64>) -> Result<(), InvalidValue> {
        let limits = EventTimeLimits {
            earliest_ms: Some(self.earliest_ms),
            max_future_ms: self.max_future_ms,
        };
        transaction.check_event_time(append_ms, limits)
    }
}

impl From<&Settings> for Bounds {
    fn from(settings: &Settings) -> Self {
        let aggregator = &settings.aggregator;
        Self {
            window_ms: aggregator.window_ms,
            allowed_lateness_ms: aggregator.allowed_lateness_ms,
            max_disorder_ms: aggregator.event_time.max_disorder_ms,
            max_future_ms: aggregator.event_time.max_future_ms,
            earliest_ms: aggregator.event_time.earliest_time.ms(),
        }
    }
}

/// What the topic that the aggregator reads has seen before a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The topic's full name.
    pub topic: String,
    /// Each partition's watermark; none where nothing has been seen.
    pub watermarks: Vec<Option<i64>>,
}

/// Follows the watermarks of the topic's partitions as rows go by, as the aggregator does.
#[derive(Debug, Clone)]
pub struct Order {
    bounds: Bounds,
    stream: Stream,
    watermarks: Vec<Option<i64>>,
    found: Found,
}

/// What was found of the rows so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Rows.
    pub rows: u64,
    /// Those whose window the stream had closed before the replay.
    pub late_by_stream: u64,
    /// Those whose window an earlier row of their partition closes.
    pub late_by_order: u64,
    /// Those older than an earlier row of their partition by more than the disorder allowed, late
    /// or not.
    pub disordered: u64,
}

impl Found {
    /// Rows that go to the late topic.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late_by_stream + self.late_by_order
    }
}

impl Order {
    /// Starts from what the stream has seen.
    #[must_use]
    pub fn new(bounds: Bounds, stream: Stream) -> Self {
        Self {
            bounds,
            watermarks: stream.watermarks.clone(),
            stream,
            found: Found::default(),
        }
    }

    /// The bounds it goes by.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What was found so far.
    #[must_use]
    pub fn found(&self) -> Found {
        self.found
    }

    /// Looks at a transaction that is sent next.
    pub fn look(&mut self, transaction: &Transaction) {
        let Bounds {
            window_ms,
            allowed_lateness_ms,
            max_disorder_ms,
            ..
        } = self.bounds;
        let time_ms = transaction.transaction_time_ms;
        let partitions = i32::try_from(self.watermarks.len()).unwrap_or(i32::MAX);
        let partition = partition_for(transaction.user_id.text().as_bytes(), partitions) as usize;
        let closes_ms = time_ms - time_ms.rem_euclid(window_ms) + window_ms + allowed_lateness_ms;
        let is_closed = |watermark: Option<i64>| watermark.is_some_and(|watermark| watermark >= closes_ms);
        self.found.rows += 1;
        let watermark = &mut self.watermarks[partition];
        if is_closed(self.stream.watermarks[partition]) {
            self.found.late_by_stream += 1;
        } else if is_closed(*watermark) {
            self.found.late_by_order += 1;
        }
        self.found.disordered += u64::from(watermark.is_some_and(|watermark| time_ms < watermark));
        *watermark = (*watermark).max(Some(time_ms - max_disorder_ms));
    }

    /// Why the rows so far should not be sent as they are; `None` if none of them is late.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let Found {
            rows,
            late_by_stream,
            late_by_order,
            disordered,
        } = self.found;
        let fate = "they would go to the late topic and into no aggregate";
        let mut objections = Vec::new();
        if late_by_stream > 0 {
            let closed = self.stream.watermarks.iter().copied().flatten().max();
            let closed = closed.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            objections.push(format!(
                "{late_by_stream} of {rows} rows are older than what {} has seen: its windows are closed{}, and {fate}. \
                 Replay into topics that have seen no later time (`millrace up --file FILE --mapping MAPPING` after \
                 `millrace down --volumes`, or a MILLRACE__KAFKA__TOPIC_PREFIX of their own for every service), or move \
                 the rows to now with --shift-to now --speed 1",
                self.stream.topic,
                closed.map_or_else(String::new, |closed| format!(" up to {closed}"))
            ));
        }
        if late_by_order > 0 {
            objections.push(format!(
                "{disordered} of {rows} rows come after one that is younger by more than {} ms \
                 (aggregator.event_time.max_disorder_ms), {late_by_order} of them after their window has closed: {fate}. \
                 Sort the rows by time with --sort",
                self.bounds.max_disorder_ms
            ));
        }
        (!objections.is_empty()).then(|| objections.join(". ") + ". --force sends them as they are")
    }
}
