//! Documents of devices.

use millrace_catalog::iot::{ALERT_DOCUMENTS, MINUTE_DOCUMENTS, STATE_DOCUMENTS};
use millrace_contract::Symbols as _;
use millrace_iot::{AlertStatus, DeviceAlert, DeviceMinute, DeviceState};

use super::{Document, Fields, NoDocument, month};
use crate::stream::Stream;

const MINUTES: Stream = Stream::of_documents(&MINUTE_DOCUMENTS);
const ALERTS: Stream = Stream::of_documents(&ALERT_DOCUMENTS);
const STATES: Stream = Stream::of_documents(&STATE_DOCUMENTS);

/// Of a result that is final.
const VERSION: i64 = 1;

/// The document of a device's readings in a window.
///
/// # Errors
/// The window lies outside the years 1970 to 9999.
pub fn device_minute(minute: &DeviceMinute) -> Result<Document, NoDocument> {
    let month = month("windowStart", minute.window_start_ms)?;
    let mut fields = Fields::at(minute.window_start_ms);
    fields.plain("windowEnd", minute.window_end_ms);
    fields.text("deviceId", minute.device_id.as_str());
    fields.plain("count", minute.count);
    for (name, value) in [
        ("tempMean", minute.temp_mean),
        ("tempMin", minute.temp_min),
        ("tempMax", minute.temp_max),
        ("tempStdDev", minute.temp_std_dev),
        ("humidityMean", minute.humidity_mean),
        ("humidityMin", minute.humidity_min),
        ("humidityMax", minute.humidity_max),
        ("humidityStdDev", minute.humidity_std_dev),
    ] {
        fields.plain(name, value);
    }
    Ok(Document {
        stream: MINUTES,
        month,
        id: format!("{}_{}", minute.device_id.hash(), minute.window_start_ms),
        version: VERSION,
        source: fields.end(),
    })
}

/// The document of an alert: its end takes the place of its start.
///
/// # Errors
/// It starts outside the years 1970 to 9999.
pub fn device_alert(alert: &DeviceAlert) -> Result<Document, NoDocument> {
    let month = month("since", alert.since_ms)?;
    let mut fields = Fields::at(alert.since_ms);
    fields.text("deviceId", alert.device_id.as_str());
    fields.text("measure", alert.measure.as_str());
    fields.text("kind", alert.kind.as_str());
    fields.text("status", alert.status.as_str());
    let is_over = alert.status != AlertStatus::Started;
    if is_over {
        fields.plain("end", alert.time_ms);
        fields.plain("durationMs", alert.time_ms.saturating_sub(alert.since_ms));
    }
    if let Some(value) = alert.value {
        fields.plain("value", value.value());
    }
    Ok(Document {
        stream: ALERTS,
        month,
        id: format!(
            "{}_{}_{}_{}",
            alert.device_id.hash(),
            alert.measure.as_str(),
            alert.kind.as_str(),
            alert.since_ms
        ),
        version: VERSION + i64::from(is_over),
        source: fields.end(),
    })
}

/// The document of what is known last of a device, as read at `offset`: what is later in the log
/// stays, and all of a device lies in one partition.
///
/// # Errors
/// Its last reading lies outside the years 1970 to 9999.
pub fn device_state(state: &DeviceState, offset: i64) -> Result<Document, NoDocument> {
    let month = month("ts", state.time_ms)?;
    let mut fields = Fields::at(state.time_ms);
    fields.text("deviceId", state.device_id.as_str());
    fields.plain("temp", state.temp.value());
    fields.plain("humidity", state.humidity.value());
    fields.plain("openAlerts", state.open_alerts);
    fields.plain("silent", state.is_silent);
    Ok(Document {
        stream: STATES,
        month,
        id: state.device_id.hash().to_string(),
        version: offset.saturating_add(1),
        source: fields.end(),
    })
}

#[cfg(test)]
mod tests;
