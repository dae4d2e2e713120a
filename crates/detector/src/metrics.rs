//! The detector's own metrics.

use crate::judgements::{self, Judgements};
use crate::snoozed::Snoozed;
use millrace_domain::{ListPurpose, Severity};
use millrace_fraud::Listings;
use millrace_telemetry::metrics::{MetricError, counter, counters, gauge, int_gauges};
use prometheus::core::{AtomicI64, GenericGaugeVec};
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

/// What the detector counts.
#[derive(Debug, Clone)]
pub struct DetectMetrics {
    anomalies: IntCounterVec,
    unknown_locations: IntCounter,
    profiles: GenericGaugeVec<AtomicI64>,
    judgements: IntCounterVec,
    rule_change: Gauge,
    refused_changes: IntCounter,
    snoozed: IntCounterVec,
    entries: GenericGaugeVec<AtomicI64>,
    refused_entries: IntCounter,
}

impl DetectMetrics {
    /// The metrics of the job.
    ///
    /// # Errors
    /// A name is taken by another metric.
    pub fn new(job: &'static str) -> Result<Self, MetricError> {
        let anomalies = counters(
            "millrace_anomalies_total",
            "Anomalies raised.",
            &["rule", "severity"],
        )?;
        let unknown_locations = counters(
            "millrace_unknown_locations_total",
            "Card purchases in a place that the reference data does not know: impossible travel skips them.",
            &["operator"],
        )?;
        let profiles = int_gauges(
            "millrace_profiles",
            "Users with a profile in memory.",
            &["partition"],
        )?;
        Ok(Self {
            anomalies,
            unknown_locations: unknown_locations.with_label_values(&[job]),
            profiles,
            judgements: judgements::counter()?,
            rule_change: gauge(
                "millrace_rule_change",
                "The number of the change of fraud_rules that the rule set is of; 0 of the configuration's files.",
            )?,
            refused_changes: counter(
                "millrace_refused_rule_changes_total",
                "Changes of fraud_rules that this process cannot judge by: it goes on with the one before.",
            )?,
            snoozed: counters(
                "millrace_snoozed_alerts_total",
                "Alerts that were not raised, as the rule is snoozed about the user.",
                &["rule"],
            )?,
            entries: int_gauges(
                "millrace_list_entries",
                "Entries of the topic lists that are gone by: of lists that rules look into, and snoozes.",
                &["purpose"],
            )?,
            refused_entries: counter(
                "millrace_refused_list_entries_total",
                "Entries of the topic lists that this process does not go by: too many, or none that it can.",
            )?,
        })
    }

    /// Shows which change of the rules is in force.
    pub(crate) fn rule_change(&self, number: u64) {
        self.rule_change.set(number as f64);
    }

    /// Counts a change of the rules that was refused.
    pub(crate) fn refused_change(&self) {
        self.refused_changes.inc();
    }

    /// Shows how many entries of lists, and snoozes, there are.
    pub(crate) fn lists(&self, listings: &Listings) {
        let snoozes = listings.snoozes();
        for (purpose, count) in [
            (ListPurpose::List, listings.len() - snoozes),
            (ListPurpose::Snooze, snoozes),
        ] {
            let gauge = self.entries.with_label_values(&[purpose.as_str()]);
            gauge.set(count as i64);
        }
    }

    /// Counts an entry of a list that was refused.
    pub(crate) fn refused_entry(&self) {
        self.refused_entries.inc();
    }

    /// Counts an anomaly. Rules and severities are few.
    pub(crate) fn anomaly(&self, rule: &str, severity: Severity) {
        self.anomalies.with_label_values(&[rule, severity.as_str()]).inc();
    }

    /// Counts purchases in unknown places.
    pub(crate) fn unknown_locations(&self, count: u64) {
        self.unknown_locations.inc_by(count);
    }

    /// The metrics of one partition.
    pub(crate) fn partition(&self, partition: i32) -> PartitionMetrics {
        let label = partition.to_string();
        PartitionMetrics {
            unknown_locations: 0,
            snoozed: Snoozed::new(self.snoozed.clone()),
            judgements: Judgements::new(self.judgements.clone()),
            shown: self.profiles.with_label_values(&[&label]),
            profiles: self.profiles.clone(),
            label,
        }
    }
}

/// One partition's metrics; they go when its task does.
#[derive(Debug)]
pub struct PartitionMetrics {
    /// Purchases in unknown places that the operator has met, as counted so far.
    pub(crate) unknown_locations: u64,
    /// Alerts that were not raised.
    pub(crate) snoozed: Snoozed,
    /// Of the rule set's rules.
    pub(crate) judgements: Judgements,
    shown: IntGauge,
    profiles: GenericGaugeVec<AtomicI64>,
    label: String,
}

impl PartitionMetrics {
    /// Shows how many users have a profile.
    pub(crate) fn show_profiles(&self, profiles: usize) {
        self.shown.set(profiles as i64);
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        // Gone already where a new task of the same partition was dropped before: no error.
        let _ = self.profiles.remove_label_values(&[&self.label]);
    }
}
