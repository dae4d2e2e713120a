//! Registering metrics: in one registry per process, by name, with an error rather than a panic.
//!
//! A name may be registered more than once with the same labels, as two jobs in a process do: both
//! get the same metric.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts,
};
use thiserror::Error;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bucket bounds of a duration in seconds, from half a millisecond to a minute.
pub const DURATION_BUCKETS_S: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

/// Bucket bounds of a size in bytes, from one kibibyte to 64 mebibytes.
pub const SIZE_BUCKETS_BYTES: [f64; 9] = [
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Why a metric cannot be registered.
#[derive(Debug, Error)]
pub enum MetricError {
    /// The name or a label is no legal one.
    #[error("the metric {name} cannot be registered: {reason}")]
    Refused {
        /// The metric.
        name: String,
        /// The library's reason.
        reason: prometheus::Error,
    },
    /// The name is taken by a metric of another kind or with other labels.
    #[error("the metric {name} is registered already, of another kind or with other labels than {labels:?}")]
    Taken {
        /// The metric.
        name: String,
        /// The labels it was to have.
        labels: Vec<String>,
    },
}

/// A counter without labels.
///
/// # Errors
/// See [`MetricError`].
pub fn counter(name: &str, help: &str) -> Result<IntCounter, MetricError> {
    let made = counters(name, help, &[])?;
    made.get_metric_with_label_values::<&str>(&[])
        .map_err(refused(name))
}

/// A counter for each combination of the labels' values.
///
/// # Errors
/// See [`MetricError`].
pub fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricError> {
    register(name, labels, || IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge of whole numbers without labels.
///
/// # Errors
/// See [`MetricError`].
pub fn int_gauge(name: &str, help: &str) -> Result<IntGauge, MetricError> {
    let made = int_gauges(name, help, &[])?;
    made.get_metric_with_label_values::<&str>(&[])
        .map_err(refused(name))
}

/// A gauge of whole numbers for each combination of the labels' values.
///
/// # Errors
/// See [`MetricError`].
pub fn int_gauges(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricError> {
    register(name, labels, || IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A gauge without labels.
///
/// # Errors
/// See [`MetricError`].
pub fn gauge(name: &str, help: &str) -> Result<Gauge, MetricError> {
    let made = gauges(name, help, &[])?;
    made.get_metric_with_label_values::<&str>(&[])
        .map_err(refused(name))
}

/// A gauge for each combination of the labels' values.
///
/// # Errors
/// See [`MetricError`].
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricError> {
    register(name, labels, || GaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram without labels; `buckets` are the upper bounds, rising.
///
/// # Errors
/// See [`MetricError`].
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricError> {
    let made = histograms(name, help, &[], buckets)?;
    made.get_metric_with_label_values::<&str>(&[])
        .map_err(refused(name))
}

/// A histogram for each combination of the labels' values; `buckets` are the upper bounds, rising.
///
/// # Errors
/// See [`MetricError`].
pub fn histograms(
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, MetricError> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(name, labels, || HistogramVec::new(options, labels))
}

/// What is registered: the labels and the metric, by name.
type Registered = HashMap<String, (Vec<String>, Box<dyn Any + Send>)>;

fn register<M>(
    name: &str,
    labels: &[&str],
    make: impl FnOnce() -> prometheus::Result<M>,
) -> Result<M, MetricError>
where
    M: Collector + Clone + 'static,
{
    static REGISTERED: OnceLock<Mutex<Registered>> = OnceLock::new();
    // The map is whole after a panic elsewhere: nothing below leaves it half changed.
    let mut registered = REGISTERED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((its_labels, metric)) = registered.get(name) {
        return match metric.downcast_ref::<M>() {
            Some(metric) if its_labels == labels => Ok(metric.clone()),
            _ => Err(MetricError::Taken {
                name: name.to_owned(),
                labels: labels.iter().copied().map(str::to_owned).collect(),
            }),
        };
    }
    let metric = make().map_err(refused(name))?;
    prometheus::register(Box::new(metric.clone())).map_err(refused(name))?;
    let labels = labels.iter().copied().map(str::to_owned).collect();
    registered.insert(name.to_owned(), (labels, Box::new(metric.clone())));
    Ok(metric)
}

pub(crate) fn refused(name: &str) -> impl FnOnce(prometheus::Error) -> MetricError {
    let name = name.to_owned();
    |reason| MetricError::Refused { name, reason }
}

/// Registers `millrace_build_info`.
pub(crate) fn build_info() -> Result<(), MetricError> {
    let name = "millrace_build_info";
    let made = int_gauges(
        name,
        "1, with the version of this build as a label.",
        &["version"],
    )?;
    made.get_metric_with_label_values(&[VERSION])
        .map_err(refused(name))?
        .set(1);
    Ok(())
}

/// Everything registered, with the process's own metrics, in the Prometheus text format.
///
/// # Errors
/// A metric that has no values in common with its own description.
pub fn text() -> Result<String, prometheus::Error> {
    prometheus::TextEncoder::new().encode_to_string(&prometheus::gather())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_registered_twice_is_one_metric() {
        let first = counters("test_twice_total", "help", &["operator"]).expect("registers");
        let second = counters("test_twice_total", "help", &["operator"]).expect("is there");
        first.with_label_values(&["a"]).inc();
        second.with_label_values(&["a"]).inc();
        assert_eq!(first.with_label_values(&["a"]).get(), 2);
    }

    #[test]
    fn another_kind_or_other_labels_are_refused() {
        counters("test_taken", "help", &["operator"]).expect("registers");
        let other_labels = counters("test_taken", "help", &["rule"]).expect_err("a refusal");
        let other_kind = gauges("test_taken", "help", &["operator"]).expect_err("a refusal");
        for error in [other_labels, other_kind] {
            assert!(matches!(error, MetricError::Taken { .. }), "{error}");
        }
    }

    #[test]
    fn an_illegal_name_is_an_error() {
        let error = gauge("not a name", "help").expect_err("a refusal");
        assert!(
            error
                .to_string()
                .starts_with("the metric not a name cannot be registered"),
            "{error}"
        );
    }

    #[test]
    fn the_text_has_values_build_and_process() {
        build_info().expect("registers");
        crate::process::register().expect("registers");
        histogram("test_duration_seconds", "help", &DURATION_BUCKETS_S)
            .expect("registers")
            .observe(0.02);
        int_gauge("test_records", "help").expect("registers").set(3);
        counter("test_sent_total", "help").expect("registers").inc();
        let text = text().expect("encodes");
        for line in [
            format!("millrace_build_info{{version=\"{VERSION}\"}} 1"),
            "test_duration_seconds_bucket{le=\"0.025\"} 1".to_owned(),
            "test_duration_seconds_bucket{le=\"0.01\"} 0".to_owned(),
            "test_records 3".to_owned(),
            "test_sent_total 1".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
