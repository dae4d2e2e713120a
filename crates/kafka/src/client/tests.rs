use rdkafka::consumer::BaseConsumer;

use super::*;

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn extra_properties_override_defaults() {
    let worker = Worker {
        consumer_properties: properties(&[("fetch.wait.max.ms", "7")]),
        producer_properties: properties(&[("linger.ms", "1"), ("compression.type", "zstd")]),
        ..Worker::default()
    };
    let kafka = Kafka {
        properties: properties(&[("security.protocol", "SASL_SSL"), ("linger.ms", "3")]),
        ..Kafka::default()
    };
    let consumer = worker_consumer_config(&kafka, &worker, "g", "m-0").unwrap();
    assert_eq!(consumer.get("fetch.wait.max.ms"), Some("7"));
    assert_eq!(consumer.get("security.protocol"), Some("SASL_SSL"));
    assert_eq!(consumer.get("group.instance.id"), Some("m-0"));
    let producer = transactional_producer_config(&kafka, &worker, "t").unwrap();
    assert_eq!(producer.get("linger.ms"), Some("1"), "the nearer section wins");
    assert_eq!(producer.get("compression.type"), Some("zstd"));
}

#[test]
fn the_guarantees_are_set() {
    let (kafka, worker) = (Kafka::default(), Worker::default());
    let consumer = worker_consumer_config(&kafka, &worker, "g", "m").unwrap();
    let producer = transactional_producer_config(&kafka, &worker, "t").unwrap();
    for (config, name, value) in [
        (&consumer, "enable.auto.commit", "false"),
        (&consumer, "isolation.level", "read_committed"),
        (&consumer, "check.crcs", "true"),
        (&consumer, "partition.assignment.strategy", "cooperative-sticky"),
        (&consumer, "auto.offset.reset", "error"),
        (&consumer, "session.timeout.ms", "45000"),
        (&producer, "acks", "all"),
        (&producer, "enable.idempotence", "true"),
        (&producer, "partitioner", "murmur2_random"),
        (&producer, "transaction.timeout.ms", "30000"),
        (&producer, "message.timeout.ms", "20000"),
    ] {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
}

#[test]
fn what_breaks_the_guarantees_is_refused_by_name() {
    let consumer = |name: &str, value: &str| {
        let worker = Worker {
            consumer_properties: properties(&[(name, value)]),
            ..Worker::default()
        };
        worker_consumer_config(&Kafka::default(), &worker, "g", "m").map(|_| ())
    };
    let producer = |name: &str, value: &str| {
        let worker = Worker {
            producer_properties: properties(&[(name, value)]),
            ..Worker::default()
        };
        transactional_producer_config(&Kafka::default(), &worker, "t").map(|_| ())
    };
    for (name, value) in [
        ("enable.auto.commit", "true"),
        ("isolation.level", "read_uncommitted"),
        ("check.crcs", "false"),
        ("partition.assignment.strategy", "range"),
        ("auto.offset.reset", "latest"),
        ("group.protocol", "consumer"),
        ("group.id", "mine"),
    ] {
        let error = consumer(name, value).unwrap_err().to_string();
        assert!(
            error.contains(&format!("worker.consumer_properties.{name}")) && error.contains(value),
            "{error}"
        );
    }
    for (name, value) in [
        ("acks", "1"),
        ("request.required.acks", "0"),
        ("enable.idempotence", "false"),
        ("partitioner", "consistent_random"),
        ("transactional.id", "mine"),
    ] {
        let error = producer(name, value).unwrap_err().to_string();
        assert!(
            error.contains(&format!("worker.producer_properties.{name}")) && error.contains(value),
            "{error}"
        );
    }
    assert_eq!(producer("acks", "-1"), Ok(()), "the same in other words");
    assert_eq!(consumer("isolation.level", "read_committed"), Ok(()));
}

#[test]
fn what_librdkafka_refuses_is_named_with_its_section() {
    for (name, value, words) in [
        ("security.protokol", "SSL", "security.protokol"),
        ("security.protocol", "TLS", "security.protocol"),
        ("compression.type", "zip", "compression.type"),
    ] {
        let kafka = Kafka {
            properties: properties(&[(name, value)]),
            ..Kafka::default()
        };
        let error = idempotent_producer_config(&kafka, &Properties::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("kafka.properties.{name}: ")),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn tls_and_every_way_to_log_in_are_compiled_in() {
    for (protocol, mechanism) in [
        ("SSL", "PLAIN"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-256"),
        ("SASL_SSL", "SCRAM-SHA-512"),
        ("SASL_SSL", "OAUTHBEARER"),
    ] {
        let kafka = Kafka {
            properties: properties(&[
                ("security.protocol", protocol),
                ("sasl.mechanism", mechanism),
                ("sasl.username", "millrace"),
                ("sasl.password", "secret"),
            ]),
            ..Kafka::default()
        };
        let made = admin_config(&kafka).unwrap().create_with_context(LogBridge);
        let made: Result<BaseConsumer<LogBridge>, _> = made;
        assert!(made.is_ok(), "{protocol} {mechanism}: {:?}", made.err());
    }
}

#[test]
fn every_configuration_is_one_that_librdkafka_takes() {
    let (kafka, worker) = (Kafka::default(), Worker::default());
    for config in [
        admin_config(&kafka),
        consumer_config(&kafka, "g", &Properties::new()),
        reader_config(&kafka, "g"),
        high_watermark_config(&kafka, "g"),
        worker_consumer_config(&kafka, &worker, "g", "m"),
        transactional_producer_config(&kafka, &worker, "t"),
        idempotent_producer_config(&kafka, &Properties::new()),
    ] {
        config.unwrap().create_native_config().unwrap();
    }
}

/// A login with tokens of an OpenID provider.
fn with_tokens(endpoint: &str) -> Kafka {
    let wanted = properties(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", endpoint),
        ("sasl.oauthbearer.client.id", "millrace"),
        ("sasl.oauthbearer.client.secret", "secret"),
        ("sasl.oauthbearer.scope", "kafka"),
        ("sasl.oauthbearer.extensions", "logicalCluster=lkc-1"),
    ]);
    Kafka {
        properties: wanted,
        ..Kafka::default()
    }
}

#[cfg(feature = "oidc")]
#[test]
fn a_client_that_asks_an_openid_provider_is_made() {
    let make = |kafka: &Kafka| -> Result<BaseConsumer<LogBridge>, _> {
        admin_config(kafka).unwrap().create_with_context(LogBridge)
    };
    make(&with_tokens("https://127.0.0.1:1/token")).unwrap();
    let error = make(&with_tokens("")).err().unwrap().to_string();
    assert!(error.contains("sasl.oauthbearer.token.endpoint.url"), "{error}");
}

#[cfg(not(feature = "oidc"))]
#[test]
fn tokens_of_an_openid_provider_are_refused_with_what_to_do() {
    let error = admin_config(&with_tokens("https://127.0.0.1:1/token"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("kafka.properties.sasl.oauthbearer.") && error.contains("--features oidc"),
        "{error}"
    );
}
