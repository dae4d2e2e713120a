//! The metrics of windows.

use millrace_telemetry::metrics::{MetricError, counters, int_gauges};
use prometheus::core::{AtomicI64, GenericGaugeVec};
use prometheus::{IntCounter, IntGauge};

/// What a job counts of its windows. Of sessions, the open ones are counted by key.
#[derive(Debug, Clone)]
pub struct WindowMetrics {
    job: &'static str,
    closed: IntCounter,
    open: GenericGaugeVec<AtomicI64>,
}

impl WindowMetrics {
    /// The metrics of one job.
    ///
    /// # Errors
    /// A name is taken by another metric.
    pub fn of(job: &'static str) -> Result<Self, MetricError> {
        let closed = counters(
            "millrace_windows_closed_total",
            "Windows closed with a result, for each partition of the input.",
            &["operator"],
        )?;
        let open = int_gauges(
            "millrace_open_windows",
            "Windows with records that wait for the watermark.",
            &["operator", "partition"],
        )?;
        Ok(Self {
            job,
            closed: closed.with_label_values(&[job]),
            open,
        })
    }

    /// The metrics of one partition.
    pub(crate) fn partition(&self, partition: i32) -> PartitionMetrics {
        let labels = [self.job.to_owned(), partition.to_string()];
        PartitionMetrics {
            closed: self.closed.clone(),
            open_windows: 0,
            shown: self.open.with_label_values(&labels),
            open: self.open.clone(),
            labels,
        }
    }
}

/// One partition's metrics; they go when its task does.
#[derive(Debug)]
pub struct PartitionMetrics {
    closed: IntCounter,
    open_windows: usize,
    shown: IntGauge,
    open: GenericGaugeVec<AtomicI64>,
    labels: [String; 2],
}

impl PartitionMetrics {
    /// Shows how many windows are open, where that has changed.
    #[inline]
    pub(crate) fn show_open(&mut self, windows: usize) {
        if self.open_windows != windows {
            self.show_restored(windows);
        }
    }

    /// Shows how many windows are open in a state that was restored.
    pub(crate) fn show_restored(&mut self, windows: usize) {
        self.open_windows = windows;
        self.shown.set(windows as i64);
    }

    /// Counts windows of which each key has its own, as sessions are.
    pub(crate) fn count_closed_each(&self, windows: usize) {
        self.closed.inc_by(windows as u64);
    }

    /// Counts the windows in outputs that are sorted by window, given their starts.
    pub(crate) fn count_closed(&self, window_starts_ms: impl Iterator<Item = i64>) {
        let mut last = None;
        for start_ms in window_starts_ms {
            if last.replace(start_ms) != Some(start_ms) {
                self.closed.inc();
            }
        }
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        // Gone already where a new task of the same partition was dropped before: no error.
        let _ = self.open.remove_label_values(&self.labels);
    }
}
