//! No secret in what a person or a log may see.

use millrace_settings::Settings;

const SECRET: &str = "hunter2";

#[test]
fn debug_hides_every_secret() {
    let variables = [
        ("MILLRACE__SCHEMA_REGISTRY__USERNAME", "me"),
        ("MILLRACE__SCHEMA_REGISTRY__PASSWORD", SECRET),
        ("MILLRACE__ELASTICSEARCH__API_KEY", SECRET),
        ("MILLRACE__KAFKA__PROPERTIES__SASL_PASSWORD", SECRET),
        ("MILLRACE__PRODUCER__PROPERTIES__SSL_KEY_PASSWORD", SECRET),
        (
            "MILLRACE__AGGREGATOR__WORKER__CONSUMER_PROPERTIES__SSL_KEY_PEM",
            SECRET,
        ),
        (
            "MILLRACE__DETECTOR__WORKER__PRODUCER_PROPERTIES__SASL_OAUTHBEARER_CLIENT_SECRET",
            SECRET,
        ),
        (
            "MILLRACE__ELASTIC_SINK__CONSUMER_PROPERTIES__SASL_PASSWORD",
            SECRET,
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load_with(None, variables).expect("valid");
    assert_eq!(settings.schema_registry.password.as_deref(), Some(SECRET));
    for shown in [format!("{settings:?}"), format!("{settings:#?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("127.0.0.1:19092"), "{shown}");
    }
}

#[test]
fn no_refusal_shows_a_secret() {
    for (name, value) in [
        ("MILLRACE__SCHEMA_REGISTRY__PASSWORD", SECRET),
        ("MILLRACE__ELASTICSEARCH__PASSWORD", SECRET),
        ("MILLRACE__KAFKA__PROPERTIES", "{sasl.password: hunter2"),
        ("MILLRACE__KAFKA__PROPERTIES", "hunter2"),
        ("MILLRACE__ELASTICSEARCH__URL", "http://me:hunter2@host:9200"),
        ("MILLRACE__ELASTICSEARCH__URL", "me:hunter2@host:9200"),
        ("MILLRACE__GATEWAY__API_KEYS__BANK", SECRET),
        ("MILLRACE__GATEWAY__API_KEYS", SECRET),
        ("MILLRACE__PASSWORD", SECRET),
        ("MILLRACE__ELASTICSEARCH__PASSWORD__MORE", SECRET),
    ] {
        let error = Settings::load_with(None, [(name.to_owned(), value.to_owned())]).expect_err(name);
        for shown in [format!("{error}"), format!("{error:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("millrace.yml");
    for yaml in [
        "elasticsearch:\n  username: me\n  password: [hunter2]\n",
        "elasticsearch:\n  api_key: {hunter2: 1}\n",
        "kafka:\n  properties:\n    sasl.password: [hunter2]\n",
    ] {
        std::fs::write(&path, yaml).expect("a file");
        let error = Settings::load_with(Some(&path), []).expect_err(yaml);
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}
