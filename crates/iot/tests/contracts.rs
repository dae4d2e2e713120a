//! The records and their schemas.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_contract::{Contract as _, Encode as _};
use millrace_iot::{DeviceAlert, DeviceMinute, DeviceMinutePartial, DeviceState, Measured, Reading};
use support::reading;

#[test]
fn records_and_schemas_say_the_same() {
    for checked in [
        Reading::check_schema(),
        DeviceMinute::check_schema(),
        DeviceMinutePartial::check_schema(),
        DeviceAlert::check_schema(),
        DeviceState::check_schema(),
    ] {
        assert_eq!(checked, Ok(()));
    }
    let most = Measured::MAX.value();
    assert!(Reading::SCHEMA.contains(&format!("from -{most} to {most}")));
}

#[test]
fn a_reading_is_read_from_both_forms_to_the_nearest_thousandth() {
    let json = br#"{"event_id": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "device_id": "sensor-1",
        "temp": 21.43749, "humidity": 40, "ts": 5}"#;
    let found = Reading::FROM_JSON.unwrap()(json).unwrap();
    assert_eq!((found.temp.units(), found.humidity.units()), (21_437, 40_000));
    assert_eq!(found.device_id, reading(0, 1, (0, 0), 7).device_id);
    let mut body = Vec::new();
    found.encode(&mut body);
    assert_eq!(Reading::decode(&body), Ok(found));
    let mut json = Vec::new();
    found.encode_json(&mut json);
    assert_eq!(Reading::FROM_JSON.unwrap()(&json), Ok(found));
}

#[test]
fn a_reading_that_is_none_is_refused_by_its_field() {
    let good = r#"{"event_id":"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11","device_id":"d","temp":1.5,"humidity":2.5,"ts":5}"#;
    let refused = |from: &str, to: &str| {
        let json = good.replace(from, to);
        assert_ne!(json, good);
        Reading::FROM_JSON.unwrap()(json.as_bytes()).unwrap_err().code()
    };
    assert!(Reading::FROM_JSON.unwrap()(good.as_bytes()).is_ok());
    assert_eq!(refused("6f1c2b1e", "6f1c"), "invalid_uuid");
    assert_eq!(refused(r#""d""#, r#""""#), "invalid_id");
    assert_eq!(refused("1.5", "1e7"), "reading_out_of_range");
    assert_eq!(refused(":5", ":-5"), "time_out_of_range");
}
