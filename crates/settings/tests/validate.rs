//! Values that are of the right type but cannot be.

use millrace_settings::Settings;

/// The refusal of these variables, without its first line.
fn refusal(variables: &[(&str, &str)]) -> String {
    let variables = variables
        .iter()
        .map(|(key, value)| (format!("MILLRACE__{key}"), (*value).to_owned()));
    let error = Settings::load_with(None, variables)
        .expect_err("a refusal")
        .to_string();
    error.replace("the configuration is refused:\n", "")
}

#[test]
fn the_defaults_are_valid() {
    Settings::default().validate().expect("valid");
}

#[test]
fn impossible_connections() {
    insta::assert_snapshot!(refusal(&[
        ("KAFKA__BOOTSTRAP_SERVERS", "broker:9092,broker,:1,broker:0"),
        ("KAFKA__TOPIC_PREFIX", "a b"),
        ("KAFKA__REPLICATION_FACTOR", "1"),
        ("KAFKA__RETENTION_MS", "-2"),
        ("KAFKA__PROPERTIES__GROUP_ID", "mine"),
        ("KAFKA__PROPERTIES__ISOLATION_LEVEL", "read_uncommitted"),
        ("SCHEMA_REGISTRY__URL", "localhost:8081"),
        ("SCHEMA_REGISTRY__TIMEOUT_MS", "0"),
        ("ELASTICSEARCH__URL", "not an address"),
        ("ELASTICSEARCH__INDEX_PREFIX", "Test-"),
        ("ELASTICSEARCH__SHARDS", "0"),
        ("KIBANA__URL", "ftp://host"),
        ("TELEMETRY__LOG_LEVEL", " "),
        ("TELEMETRY__BIND_HOST", "everywhere"),
    ]));
}

#[test]
fn a_level_that_is_mistyped_is_no_part() {
    for (text, word) in [
        ("verbose", "\"verbose\""),
        ("info,millrace_kafka", "\"millrace_kafka\""),
        ("inf, warn", "\"inf\""),
    ] {
        let refused = refusal(&[("TELEMETRY__LOG_LEVEL", text)]);
        assert!(
            refused.contains(&format!("has {word}: must be a level"))
                && refused.contains("millrace_kafka=debug"),
            "{refused}"
        );
    }
    for text in [
        "INFO",
        "3",
        "off",
        "info, millrace_kafka=debug",
        "warn,[job]=info",
        "info,[job{a,b}]=debug",
    ] {
        let variables = [("MILLRACE__TELEMETRY__LOG_LEVEL".to_owned(), text.to_owned())];
        assert!(Settings::load_with(None, variables).is_ok(), "{text}");
    }
}

#[test]
fn impossible_services() {
    insta::assert_snapshot!(refusal(&[
        ("PRODUCER__METRICS_PORT", "9103"),
        ("PRODUCER__USERS", "0"),
        ("PRODUCER__ZIPF_EXPONENT", ".nan"),
        ("PRODUCER__REFUND_SHARE", "1.01"),
        ("PRODUCER__FRAUD_SHARE", "-0.1"),
        ("PRODUCER__MAX_DISORDER_MS", "-1"),
        ("PRODUCER__LEDGER_DIR", ""),
        ("AGGREGATOR__WINDOW_MS", "70000"),
        ("AGGREGATOR__ALLOWED_LATENESS_MS", "-1"),
        ("AGGREGATOR__EMIT", "every 71s"),
        ("AGGREGATOR__EVENT_TIME__MAX_DISORDER_MS", "-1"),
        ("DETECTOR__EVENT_TIME__MAX_FUTURE_MS", "-1"),
        ("DETECTOR__DEDUP_HORIZON_MS", "0"),
        ("ELASTIC_SINK__TRANSACTION_SHARE", "2"),
        ("ELASTIC_SINK__BULK_BYTES", "1"),
        ("ELASTIC_SINK__RETRY_INITIAL_MS", "500"),
        ("ELASTIC_SINK__RETRY_MAX_MS", "400"),
        ("SNAPSHOTS__KEEP", "0"),
    ]));
}

#[test]
fn timeouts_against_each_other() {
    insta::assert_snapshot!(refusal(&[
        ("AGGREGATOR__WORKER__TRANSACTION_TIMEOUT_MS", "50000"),
        ("AGGREGATOR__WORKER__DRAIN_TIMEOUT_MS", "45000"),
        ("DETECTOR__WORKER__COMMIT_INTERVAL_MS", "30000"),
        ("DETECTOR__WORKER__SESSION_TIMEOUT_MS", "31000"),
        ("DETECTOR__WORKER__TRANSACTION_TIMEOUT_MS", "1000"),
        ("DETECTOR__WORKER__IDLE_TIMEOUT_MS", "0"),
    ]));
}

#[test]
fn impossible_rules() {
    insta::assert_snapshot!(refusal(&[
        ("DETECTOR__RULES__VELOCITY__SPAN_MS", "0"),
        ("DETECTOR__RULES__VELOCITY__MAX_COUNT", "0"),
        ("DETECTOR__RULES__VELOCITY__MAX_SUM_RATIO", "0.5"),
        ("DETECTOR__RULES__AMOUNT_OUTLIER__SMOOTHING", "0"),
        ("DETECTOR__RULES__AMOUNT_OUTLIER__MAX_Z_SCORE", "-1"),
        ("DETECTOR__RULES__AMOUNT_OUTLIER__MIN_DEVIATION", "0"),
        ("DETECTOR__RULES__IMPOSSIBLE_TRAVEL__MAX_SPEED_KM_PER_H", "0"),
        ("DETECTOR__RULES__IMPOSSIBLE_TRAVEL__MIN_DISTANCE_KM", "-1"),
    ]));
}

#[test]
fn a_property_is_traced_to_its_variable() {
    let error = refusal(&[("KAFKA__PROPERTIES__ACKS", "1")]);
    assert!(
        error.contains("variable MILLRACE__KAFKA__PROPERTIES__ACKS: kafka.properties.acks:"),
        "{error}"
    );
}

#[test]
fn early_results_come_at_least_once_a_window() {
    let emit = |text: &str, window_ms: i64| {
        let mut settings = Settings::default();
        settings.aggregator.window_ms = window_ms;
        settings.aggregator.emit = text.parse().expect("an interval");
        settings.validate().map_err(|error| error.to_string())
    };
    assert_eq!(emit("every 1 s", 1_000), Ok(()));
    assert_eq!(emit("every 60 s", 60_000), Ok(()));
    for (text, window_ms) in [
        ("every 0 s", 60_000),
        ("every 61 s", 60_000),
        ("every 11 s", 10_000),
    ] {
        let error = emit(text, window_ms).expect_err("a refusal");
        let named = format!("aggregator.emit: is {text:?}: an interval must be at least 1 s");
        assert!(
            error.contains(&named) && error.contains(&window_ms.to_string()),
            "{error}"
        );
    }
}

#[test]
fn windows_that_divide_a_day_are_taken() {
    let mut settings = Settings::default();
    for window_ms in [1_000, 10_000, 60_000, 3_600_000, 86_400_000] {
        settings.aggregator.window_ms = window_ms;
        settings.validate().expect("valid");
    }
}

#[test]
fn any_free_port_may_be_asked_for_more_than_once() {
    let mut settings = Settings::default();
    settings.producer.metrics_port = 0;
    settings.detector.metrics_port = 0;
    settings.validate().expect("valid");
}

#[test]
fn rekeying_is_for_both_jobs_or_neither() {
    let key = |job| format!("MILLRACE__{job}__MISPLACED_RECORDS");
    let refused = refusal(&[("DETECTOR__MISPLACED_RECORDS", "rekey")]);
    assert!(
        refused.contains("aggregator.misplaced_records: must be rekey, as detector.misplaced_records is"),
        "{refused}"
    );
    let both = ["AGGREGATOR", "DETECTOR"].map(|job| (key(job), "rekey".to_owned()));
    let settings = Settings::load_with(None, both.clone()).expect("valid");
    assert!(settings.rekeys());
    // Its port counts where it runs alone.
    let port = ("MILLRACE__REKEY__METRICS_PORT".to_owned(), "9103".to_owned());
    Settings::load_with(None, [port.clone()]).expect("valid");
    let all = both.clone().into_iter().chain([port]);
    let refused = Settings::load_with(None, all).expect_err("a refusal").to_string();
    assert!(refused.contains("rekey.metrics_port: is 9103"), "{refused}");

    // Its skew is disorder to both jobs, where it runs.
    let skew = ("MILLRACE__REKEY__MAX_SKEW_MS".to_owned(), "3001".to_owned());
    let disorder = (
        "MILLRACE__DETECTOR__EVENT_TIME__MAX_DISORDER_MS".to_owned(),
        "3000".to_owned(),
    );
    Settings::load_with(None, [skew.clone(), disorder.clone()]).expect("valid");
    let all = || both.clone().into_iter().chain([disorder.clone()]);
    let refused = Settings::load_with(None, all().chain([skew]))
        .expect_err("a refusal")
        .to_string();
    assert!(
        refused.contains(
            "rekey.max_skew_ms: is 3001: must be at most detector.event_time.max_disorder_ms, which is 3000"
        ),
        "{refused}"
    );
    let equal = ("MILLRACE__REKEY__MAX_SKEW_MS".to_owned(), "3000".to_owned());
    Settings::load_with(None, all().chain([equal])).expect("valid");
}

#[test]
fn a_gateway_beyond_loopback_needs_keys_or_a_word() {
    const HOST: (&str, &str) = ("GATEWAY__BIND_HOST", "0.0.0.0");
    let hash = format!("sha256:{}", "0f".repeat(32));
    let refused = refusal(&[HOST]);
    assert!(
        refused.contains("gateway.api_keys: is empty while gateway.bind_host is 0.0.0.0")
            && refused.contains("gateway.allow_anonymous: true"),
        "{refused}"
    );
    for right in [
        vec![HOST, ("GATEWAY__ALLOW_ANONYMOUS", "true")],
        vec![HOST, ("GATEWAY__API_KEYS__BANK", &*hash)],
        vec![("GATEWAY__BIND_HOST", "::1")],
    ] {
        let variables = right
            .iter()
            .map(|(name, value)| (format!("MILLRACE__{name}"), (*value).to_owned()));
        Settings::load_with(None, variables).expect("valid");
    }
}

#[test]
fn impossible_gateways() {
    insta::assert_snapshot!(refusal(&[
        ("GATEWAY__PORT", "9103"),
        ("GATEWAY__BIND_HOST", "everywhere"),
        ("GATEWAY__API_KEYS", "{bank_a: hunter2, 'a b': hunter3}"),
        ("GATEWAY__RATE_LIMITS_PER_S", "{bank_a: many, bank_b: 5}"),
        ("GATEWAY__MAX_BODY_BYTES", "100000000"),
        ("GATEWAY__MAX_ITEM_BYTES", "1"),
        ("GATEWAY__MAX_ITEMS", "60000"),
        ("GATEWAY__REQUEST_TIMEOUT_MS", "1"),
        ("GATEWAY__IDEMPOTENCY_TTL_MS", "0"),
    ]));
}

#[test]
fn limits_of_alerts_that_make_no_sense_are_refused_in_the_units_of_the_settings() {
    for (key, value, refused) in [
        (
            "TEMP_HIGH",
            "-20.5",
            "iot.alerts.temp_high: must be from -19.999 to 1000000",
        ),
        (
            "HUMIDITY_HYSTERESIS",
            "95",
            "iot.alerts.humidity_hysteresis: must be from 0 to 90",
        ),
        (
            "TEMP_LOW",
            "-2e6",
            "iot.alerts.temp_low: must be from -1000000 to 1000000",
        ),
        (
            "STUCK_READINGS",
            "1",
            "iot.alerts.stuck_readings: must be from 2 to 1000000",
        ),
        (
            "FORGET_AFTER_MS",
            "60000",
            "iot.alerts.forget_after_ms: must be from 60001 to 2592000000",
        ),
    ] {
        let found = refusal(&[(&format!("IOT__ALERTS__{key}"), value)]);
        assert!(found.contains(refused), "{found}");
    }
    let found = refusal(&[("IOT__MISPLACED_RECORDS", "rekey"), ("IOT__WINDOW_MS", "7000")]);
    assert!(
        found.contains("iot.misplaced_records") && found.contains("iot.window_ms"),
        "{found}"
    );
}

#[test]
fn a_shop_is_set_as_the_other_streams() {
    let found = refusal(&[
        ("COMMERCE__MISPLACED_RECORDS", "rekey"),
        ("COMMERCE__WINDOW_MS", "7000"),
        ("COMMERCE__SESSION_GAP_MS", "999"),
        ("COMMERCE__WORKER__COMMIT_INTERVAL_MS", "0"),
        ("PRODUCER__COMMERCE_PER_S", "100001"),
    ]);
    for key in [
        "commerce.misplaced_records",
        "commerce.window_ms",
        "commerce.session_gap_ms",
        "commerce.worker.commit_interval_ms",
        "producer.commerce_per_s",
    ] {
        assert!(found.contains(key), "{key}: {found}");
    }
}
