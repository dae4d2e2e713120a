use millrace_iot::{AlertKind, Device, Measure, Measured};
use serde_json::{Value, json};

use super::*;

const TIME_MS: i64 = 1_767_225_540_000;

fn device() -> Device {
    Device::new("sensor-\"1\"").unwrap()
}

fn a_minute() -> DeviceMinute {
    DeviceMinute {
        device_id: device(),
        window_start_ms: TIME_MS,
        window_end_ms: TIME_MS + 60_000,
        count: 3,
        temp_mean: 0.1,
        temp_min: -20.0,
        temp_max: 1e-3,
        temp_std_dev: 0.0,
        humidity_mean: 40.125,
        humidity_min: 40.0,
        humidity_max: 40.25,
        humidity_std_dev: 0.125,
    }
}

fn an_alert(status: AlertStatus) -> DeviceAlert {
    DeviceAlert {
        device_id: device(),
        measure: Measure::Temp,
        kind: AlertKind::High,
        status,
        since_ms: TIME_MS,
        time_ms: match status {
            AlertStatus::Started => TIME_MS,
            AlertStatus::Ended | AlertStatus::Forgotten => TIME_MS + 1_500,
        },
        value: Measured::of_units(60_001),
    }
}

fn a_state() -> DeviceState {
    DeviceState {
        device_id: device(),
        time_ms: TIME_MS,
        temp: Measured::of_units(-1).unwrap(),
        humidity: Measured::of_units(40_000).unwrap(),
        open_alerts: 2,
        is_silent: true,
    }
}

fn source(document: &Document) -> Value {
    serde_json::from_str(&document.source).unwrap()
}

#[test]
fn every_field_is_in_its_template() {
    for document in [
        device_minute(&a_minute()).unwrap(),
        device_alert(&an_alert(AlertStatus::Ended)).unwrap(),
        device_state(&a_state(), 0).unwrap(),
    ] {
        let fields = crate::templates::fields(document.stream);
        for name in source(&document).as_object().unwrap().keys() {
            let found = fields.iter().any(|field| field.name == *name);
            assert!(found, "{name} of {:?}", document.stream);
        }
    }
}

#[test]
fn a_minute_has_its_figures_to_the_last_digit() {
    let document = device_minute(&a_minute()).unwrap();
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": TIME_MS, "windowEnd": TIME_MS + 60_000, "deviceId": "sensor-\"1\"", "count": 3,
            "tempMean": 0.1, "tempMin": -20, "tempMax": 0.001, "tempStdDev": 0,
            "humidityMean": 40.125, "humidityMin": 40, "humidityMax": 40.25, "humidityStdDev": 0.125,
        })
    );
    assert_eq!(document.id, format!("{}_{TIME_MS}", device().hash()));
    assert_eq!(document.version, 1);
}

#[test]
fn the_end_of_an_alert_takes_the_place_of_its_start() {
    let [start, end] =
        [AlertStatus::Started, AlertStatus::Ended].map(|status| device_alert(&an_alert(status)).unwrap());
    assert_eq!((&start.id, start.month), (&end.id, end.month));
    assert!(start.version < end.version);
    let mut expected = json!({
        "@timestamp": TIME_MS, "deviceId": "sensor-\"1\"", "measure": "temp", "kind": "high",
        "status": "started", "value": 60.001,
    });
    assert_eq!(source(&start), expected);
    expected["status"] = "ended".into();
    expected["end"] = (TIME_MS + 1_500).into();
    expected["durationMs"] = 1_500.into();
    assert_eq!(source(&end), expected);
}

#[test]
fn of_a_devices_states_the_last_in_the_log_stays() {
    let [first, next] = [0, 1].map(|offset| device_state(&a_state(), offset).unwrap());
    assert_eq!(first.id, next.id);
    assert!(0 < first.version && first.version < next.version);
    assert_eq!(
        source(&first),
        json!({
            "@timestamp": TIME_MS, "deviceId": "sensor-\"1\"", "temp": -0.001, "humidity": 40,
            "openAlerts": 2, "silent": true,
        })
    );
}
