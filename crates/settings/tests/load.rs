//! What the configuration takes, and what it refuses in which words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use millrace_settings::{Emit, Format, LogFormat, Settings, SettingsError};
use tempfile::TempDir;

/// Loads a file of this text and these variables; the folder's name is left out of what is
/// returned.
fn load(yaml: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("millrace.yml");
    std::fs::write(&path, yaml).expect("a file");
    Settings::load_with(Some(&path), owned(variables)).map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    })
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn refusal(yaml: &str, variables: &[(&str, &str)]) -> String {
    load(yaml, variables).expect_err("a refusal")
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/millrace.yml")
}

#[test]
fn the_reference_file_equals_the_defaults() {
    let settings = Settings::load_with(Some(&reference()), []).expect("the reference is valid");
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_reference_file_names_every_key() {
    fn keys(value: &serde_json::Value, path: &str, all: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            keys(value, &format!("{path}.{key}"), all);
            all.insert(format!("{path}.{key}"));
        }
    }
    let text = std::fs::read_to_string(reference()).expect("the reference is there");
    let (mut written, mut known) = (BTreeSet::new(), BTreeSet::new());
    keys(
        &serde_yaml_ng::from_str(&text).expect("the reference is YAML"),
        "",
        &mut written,
    );
    keys(
        &serde_json::to_value(Settings::default()).expect("JSON"),
        "",
        &mut known,
    );
    assert_eq!(written, known);
}

#[test]
fn an_empty_file_and_an_empty_section_leave_the_defaults() {
    assert_eq!(load("", &[]), Ok(Settings::default()));
    assert_eq!(
        load("# nothing\nproducer:\n  # rate_per_s: 5\n", &[]),
        Ok(Settings::default())
    );
}

#[test]
fn variables_go_before_the_file_and_the_file_before_the_defaults() {
    let yaml = "producer:\n  rate_per_s: 5\n  seed: 7\n";
    let settings = load(yaml, &[("MILLRACE__PRODUCER__RATE_PER_S", "9")]).expect("valid");
    assert_eq!(
        (
            settings.producer.rate_per_s,
            settings.producer.seed,
            settings.producer.users
        ),
        (9, 7, 100_000)
    );
}

#[test]
fn variables_are_read_as_their_keys_type() {
    let settings = load(
        "",
        &[
            ("MILLRACE__KAFKA__TOPIC_PREFIX", "123"),
            ("MILLRACE__DETECTOR__RULES__REPLAY__ENABLED", "false"),
            ("MILLRACE__ELASTIC_SINK__TRANSACTION_SHARE", "1"),
            ("MILLRACE__PRODUCER__FORMAT", "json"),
            ("MILLRACE__TELEMETRY__LOG_FORMAT", "text"),
            ("MILLRACE__ELASTICSEARCH__USERNAME", ""),
            ("MILLRACE__KAFKA__RETENTION_MS", "-1"),
            ("MILLRACE_RATE", "not one of ours"),
        ],
    )
    .expect("valid");
    assert_eq!(settings.kafka.topic_prefix, "123");
    assert!(!settings.detector.rules.replay.enabled);
    assert_eq!(settings.elastic_sink.transaction_share, 1.0);
    assert_eq!(settings.producer.format, Format::Json);
    assert_eq!(settings.telemetry.log_format, LogFormat::Text);
    assert_eq!(settings.elasticsearch.username, None);
    assert_eq!(settings.kafka.retention_ms, -1);
}

#[test]
fn texts_are_a_list_or_have_commas_between() {
    fn files(yaml: &str, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let loaded = load(yaml, variables).map_err(|error| format!("{error:?}"));
        loaded.map(|settings| settings.detector.rules.files)
    }
    fn in_file(list: &str) -> String {
        format!("detector:\n  rules:\n    files: {list}\n")
    }
    let two = Ok(vec!["a.yml".to_owned(), "library/velocity.yml".to_owned()]);
    assert_eq!(files(&in_file("[a.yml, library/velocity.yml]"), &[]), two);
    assert_eq!(files(&in_file("a.yml, library/velocity.yml"), &[]), two);
    let name = "MILLRACE__DETECTOR__RULES__FILES";
    assert_eq!(files("", &[(name, "a.yml,library/velocity.yml")]), two);
    assert_eq!(files("", &[(name, r#"["a.yml", "library/velocity.yml"]"#)]), two);
    assert_eq!(
        files(&in_file("a.yml"), &[(name, "")]),
        Ok(vec!["a.yml".to_owned()])
    );
    let refused = refusal(&in_file("[a.yml, 3]"), &[]);
    assert!(
        refused.contains("detector.rules.files: is a list: must be a list of texts"),
        "{refused}"
    );
    let mut settings = Settings::default();
    settings.detector.rules.files = vec!["with, comma.yml".to_owned(), "b".to_owned()];
    assert_eq!(
        Settings::load_with(None, settings.variables()).ok(),
        Some(settings)
    );
}

#[test]
fn properties_come_from_file_and_variables_together() {
    let yaml = "kafka:\n  properties:\n    socket.keepalive.enable: true\n    security.protocol: PLAINTEXT\n    a.number: 20\n";
    let settings = load(
        yaml,
        &[
            ("MILLRACE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL"),
            ("MILLRACE__KAFKA__PROPERTIES__log_level", "7"),
            ("MILLRACE__KAFKA__PROPERTIES", "{client.rack: a}"),
        ],
    )
    .expect("valid");
    let given: Vec<_> = settings
        .kafka
        .properties
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        given,
        [
            "a.number=20",
            "client.rack=a",
            "log_level=7",
            "security.protocol=SASL_SSL",
            "socket.keepalive.enable=true"
        ]
    );
}

#[test]
fn what_variables_writes_load_reads() {
    let mut settings = Settings::default();
    settings.producer.zipf_exponent = 1.25;
    settings.producer.seed = u64::MAX;
    settings.aggregator.emit = Emit::Every { seconds: 10 };
    settings.schema_registry.username = Some("me".to_owned());
    settings.schema_registry.password = Some("a'b\"c $d #e".to_owned());
    settings.producer.format = Format::Json;
    for (property, value) in [
        ("sasl.password", "x=y"),
        ("enabled_events", "1"),
        ("ssl.ca.PEM", "p"),
    ] {
        settings
            .kafka
            .properties
            .insert(property.to_owned(), value.to_owned());
    }
    assert_eq!(
        Settings::load_with(None, settings.variables()).ok(),
        Some(settings)
    );
}

#[test]
fn a_file_asked_for_must_exist() {
    let error = Settings::load_with(Some(Path::new("no/such.yml")), []).expect_err("a refusal");
    assert!(matches!(error, SettingsError::Missing { .. }));
    insta::assert_snapshot!(error, @"no configuration file no/such.yml: give the path of an existing one, or none to use config/millrace.yml where it exists");
}

#[test]
fn unknown_keys_in_the_file_get_a_suggestion() {
    insta::assert_snapshot!(refusal(
        "producer:\n  rate_per_sec: 5\nsnapshot:\n  keep: 1\nwindow_ms: 5\nxyz: 1\n",
        &[]
    ));
}

#[test]
fn unknown_keys_in_variables_get_a_suggestion() {
    insta::assert_snapshot!(refusal(
        "",
        &[
            ("MILLRACE__PRODUCER__RATE", "5"),
            ("MILLRACE__PRODUCER__RATE_PER_S__MORE", "5"),
            ("MILLRACE__PRODUCER", "5"),
            ("MILLRACE__KAFKA__PROPERTIES__A__B", "5"),
            ("MILLRACE__", "5"),
        ]
    ));
}

#[test]
fn wrong_types_are_refused_with_their_source() {
    insta::assert_snapshot!(refusal(
        "producer:\n  rate_per_s: fast\n  users: 1.5\n  format: xml\nkafka:\n  topic_prefix: 12\n  properties: [a]\n  \
         retention_ms:\nkibana: here\n1: 2\n",
        &[
            ("MILLRACE__PRODUCER__SEED", "60_000"),
            ("MILLRACE__DETECTOR__RULES__REPLAY__ENABLED", "yes please"),
            ("MILLRACE__PRODUCER__THREADS", ""),
        ]
    ));
}

#[test]
fn names_and_ranges_of_types_are_refused_with_the_choices() {
    insta::assert_snapshot!(
        [
            refusal("producer:\n  format: xml\n", &[]),
            refusal("", &[("MILLRACE__PRODUCER__METRICS_PORT", "70000")]),
            refusal("producer:\n  rate_per_s: -1\n", &[]),
            refusal("", &[("MILLRACE__AGGREGATOR__EMIT", "every 10 minutes")]),
        ]
        .join("\n")
    );
}

#[test]
fn text_that_is_no_yaml_and_keys_given_twice_are_refused_with_their_line() {
    insta::assert_snapshot!(
        [
            refusal("producer: [", &[]),
            refusal("kafka: {}\nkafka: {}\n", &[])
        ]
        .join("\n")
    );
}

#[test]
fn a_default_path_may_be_absent() {
    // The working directory of a crate's tests is the crate's folder, which has no config/.
    assert_eq!(Settings::load_with(None, []).ok(), Some(Settings::default()));
}
