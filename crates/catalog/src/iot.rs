//! Sensors, where they are enabled: the readings of each device and minute, in two stages; alerts,
//! and what is known last of each device.

use millrace_contract::Contract as _;
use millrace_iot::{DeviceAlert, DeviceMinute, DeviceMinutePartial, DeviceState, Reading};

use crate::{DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, Retention, RowsSpec, Service, StreamSpec};

/// The names of its topics, before any prefix.
pub mod topic {
    /// Readings, keyed by device.
    pub const READINGS: &str = "iot";
    /// Final statistics of readings, keyed by device.
    pub const MINUTES: &str = "device_minutes";
    /// Internal: what one partition adds to a device's window, keyed by device, and its watermarks.
    pub const PARTIALS: &str = "device_minutes.partials";
    /// Starts and ends of alerts, keyed by device.
    pub const ALERTS: &str = "device_alerts";
    /// What is known last of each device, keyed by it, and compacted: a device that has said
    /// nothing for longer than Elasticsearch keeps a month's index is still there.
    pub const STATES: &str = "device_states";
    /// Readings that came after their window had closed.
    pub const LATE: &str = "iot.late";
}

/// The pipeline.
pub const PIPELINE: Pipeline = Pipeline {
    name: "iot",
    enabled_by: Some(Service::Iot),
    streams: &[
        StreamSpec::of_events(
            topic::READINGS,
            Reading::SCHEMA,
            &[DeadLetterOwner::always(MINUTES_PARTIAL.name)],
        ),
        StreamSpec::indexed(topic::MINUTES, DeviceMinute::SCHEMA),
        StreamSpec::between_stages(
            topic::PARTIALS,
            DeviceMinutePartial::SCHEMA,
            &[DeadLetterOwner::always(MINUTES_MERGE.name)],
        ),
        StreamSpec::indexed(topic::ALERTS, DeviceAlert::SCHEMA),
        StreamSpec {
            retention: Retention::Compacted,
            ..StreamSpec::indexed(topic::STATES, DeviceState::SCHEMA)
        },
        StreamSpec::of_late(topic::LATE),
    ],
    jobs: &[MINUTES_PARTIAL, MINUTES_MERGE, DEVICE_ALERTS],
    documents: &[MINUTE_DOCUMENTS, ALERT_DOCUMENTS, STATE_DOCUMENTS],
    rows: &[
        RowsSpec::lake_events::<Reading>(topic::READINGS, "iot", "ts"),
        RowsSpec::lake_results::<DeviceMinute>(topic::MINUTES, "device_minutes", "windowStart"),
        RowsSpec::lake_results::<DeviceAlert>(topic::ALERTS, "device_alerts", "ts"),
    ],
};

/// Statistics of readings.
pub const MINUTE_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::MINUTES,
    "millrace-device-minutes",
    include_str!("../mappings/device-minutes.json"),
);

/// Alerts.
pub const ALERT_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::ALERTS,
    "millrace-device-alerts",
    include_str!("../mappings/device-alerts.json"),
);

/// What is known last of devices.
pub const STATE_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::STATES,
    "millrace-devices",
    include_str!("../mappings/devices.json"),
);

/// The first stage of device minutes.
pub const MINUTES_PARTIAL: JobSpec = JobSpec {
    writes: &[topic::PARTIALS, topic::LATE],
    ..job(
        "device-minutes-partial",
        topic::READINGS,
        "device_minutes.control",
    )
};

/// The second stage of device minutes.
pub const MINUTES_MERGE: JobSpec = JobSpec {
    writes: &[topic::MINUTES],
    ..job(
        "device-minutes-merge",
        topic::PARTIALS,
        "device_minutes.partials.control",
    )
};

/// Alerts and last known states.
pub const DEVICE_ALERTS: JobSpec = JobSpec {
    writes: &[topic::ALERTS, topic::STATES],
    ..job("device-alerts", topic::READINGS, "device_alerts.control")
};

const fn job(name: &'static str, input: &'static str, control: &'static str) -> JobSpec {
    JobSpec::of(Service::Iot, name, input, control)
}
