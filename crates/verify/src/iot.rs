//! Sensors, where they are enabled: device minutes; alerts and last known states are in `repeat`.

use millrace_catalog::iot::{
    DEVICE_ALERTS, MINUTE_DOCUMENTS, MINUTES_MERGE, MINUTES_PARTIAL, PIPELINE, topic,
};
use millrace_iot::{DeviceMinute, Reading};
use millrace_telemetry::Shutdown;

use crate::check::{Verification, wait_for};
use crate::repeat::job::{self, BY_TOPIC};
use crate::repeat::windowed;
use crate::stream::{Counting, Made, OfStream, Part, Stream, Tally};

pub(crate) const VERIFICATION: Verification = Verification {
    pipeline: &PIPELINE,
    open: |settings| {
        let stream = Stream {
            pipeline: &PIPELINE,
            reads: "the sensors",
            events: "readings",
            topic: topic::READINGS,
            late: topic::LATE,
            ledgers: settings.producer.iot_ledger_dir(),
            window_ms: settings.iot.window_ms,
            money: None,
            documents: None,
        };
        let readings = OfStream::open::<Reading>(settings, stream)?;
        let readings = readings.making(&OF_MINUTES, |minute: &DeviceMinute| Part {
            of: minute.device_id.hash().as_u128(),
            start_ms: minute.window_start_ms,
            tally: Tally::of_events(minute.count),
        })?;
        Ok(Box::new(readings))
    },
    repeat: |settings| {
        let prepared = wait_for(millrace_iot_jobs::prepare(settings, &Shutdown::new()));
        let (partial, merge, alerts) = prepared?;
        let mut differences = windowed::compare(
            settings,
            (&MINUTES_PARTIAL, &partial, BY_TOPIC),
            (&MINUTES_MERGE, &merge, BY_TOPIC),
            &job::whole,
        )?;
        differences.extend(job::while_still(settings, &alerts, || {
            job::compare(settings, &DEVICE_ALERTS, &alerts, BY_TOPIC, &job::whole)
        })?);
        Ok(differences)
    },
};

static OF_MINUTES: Made = Made {
    documents: &MINUTE_DOCUMENTS,
    name: "device minutes",
    unit: "readings",
    field: "count",
    money_field: None,
    counting: Counting::InWindows,
};
