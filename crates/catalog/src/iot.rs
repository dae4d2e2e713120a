//! Sensors, where they are enabled: the readings of each device and minute, in two stages; alerts,
//! and what is known last of each device.

use millrace_contract::Contract as _;
use millrace_iot::{DeviceAlert, DeviceMinute, DeviceMinutePartial, DeviceState, Reading};

use crate::{DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, Retention, Service, StreamSpec, When, Writer};

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
        StreamSpec {
            log_append_time: true,
            value_schema: Some(Reading::SCHEMA),
            writer: Writer::Others,
            dead_letters: &[owner(MINUTES_PARTIAL.name)],
            ..StreamSpec::of_jobs(topic::READINGS, 5)
        },
        indexed(topic::MINUTES, DeviceMinute::SCHEMA),
        StreamSpec {
            value_schema: Some(DeviceMinutePartial::SCHEMA),
            dead_letters: &[owner(MINUTES_MERGE.name)],
            ..StreamSpec::of_jobs(topic::PARTIALS, 3)
        },
        indexed(topic::ALERTS, DeviceAlert::SCHEMA),
        StreamSpec {
            retention: Retention::Compacted,
            ..indexed(topic::STATES, DeviceState::SCHEMA)
        },
        StreamSpec {
            takes_copies: true,
            commands: &["dlq"],
            ..StreamSpec::of_jobs(topic::LATE, 5)
        },
    ],
    jobs: &[MINUTES_PARTIAL, MINUTES_MERGE, DEVICE_ALERTS],
    documents: &[MINUTE_DOCUMENTS, ALERT_DOCUMENTS, STATE_DOCUMENTS],
};

/// Statistics of readings.
pub const MINUTE_DOCUMENTS: DocumentSpec = documents(
    topic::MINUTES,
    "millrace-device-minutes",
    include_str!("../mappings/device-minutes.json"),
);

/// Alerts.
pub const ALERT_DOCUMENTS: DocumentSpec = documents(
    topic::ALERTS,
    "millrace-device-alerts",
    include_str!("../mappings/device-alerts.json"),
);

/// What is known last of devices.
pub const STATE_DOCUMENTS: DocumentSpec = documents(
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
    JobSpec {
        name,
        service: Service::Iot,
        when: When::Always,
        input,
        control,
        control_in_place: None,
        writes: &[],
    }
}

/// Who owns the dead letters of what is documents too.
const SINK: &[DeadLetterOwner] = &[owner(Service::ElasticSink.name())];

/// A stream of results, which are documents too.
const fn indexed(name: &'static str, schema: &'static str) -> StreamSpec {
    StreamSpec {
        value_schema: Some(schema),
        dead_letters: SINK,
        ..StreamSpec::of_jobs(name, 3)
    }
}

const fn documents(stream: &'static str, index: &'static str, mapping: &'static str) -> DocumentSpec {
    DocumentSpec {
        stream,
        service: Service::ElasticSink,
        index,
        mapping,
    }
}

const fn owner(name: &'static str) -> DeadLetterOwner {
    DeadLetterOwner {
        when: When::Always,
        name,
    }
}
