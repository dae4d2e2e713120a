use millrace_catalog::payments::topic::{DEAD_LETTER_REPLAYS, LATE, PARTIALS, TRANSACTIONS};
use millrace_catalog::{Installation, topic_spec, topics};
use millrace_domain::plan::Action;

use super::*;

fn spec(name: &str) -> &'static TopicSpec {
    topic_spec(name).unwrap()
}

fn own(value: &str) -> Found {
    Found {
        value: value.to_owned(),
        is_own: true,
    }
}

fn broker_default(value: &str) -> Found {
    Found {
        is_own: false,
        ..own(value)
    }
}

/// What is done, without flags, and the words.
fn planned(topic: &str, setting: &str, found: &Found, wanted: &str) -> Option<(Action, String)> {
    let plan = difference(spec(topic), setting, found, wanted, Consent::default())?;
    let said = plan.to_string();
    assert!(said.contains(&found.value) && said.contains(wanted), "{said}");
    let forced = Consent {
        overwrite: true,
        accept_data_loss: true,
    };
    let plan_forced = difference(spec(topic), setting, found, wanted, forced).unwrap();
    assert_eq!(plan_forced.action, Action::Change, "{said}");
    Some((plan.action, said))
}

fn setting(topic: &str, key: &str) -> Option<String> {
    let settings = settings_of_new(&Kafka::default(), spec(topic));
    settings.into_iter().find(|(name, _)| *name == key).map(|it| it.1)
}

#[test]
fn the_source_is_stamped_by_the_broker_and_kept_for_seven_days() {
    for (key, value) in [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "604800000"),
        ("cleanup.policy", "delete"),
        ("min.insync.replicas", "2"),
    ] {
        assert_eq!(setting(TRANSACTIONS, key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn reference_data_is_compacted_and_never_deleted() {
    assert_eq!(
        setting(DEAD_LETTER_REPLAYS, "cleanup.policy").as_deref(),
        Some("compact")
    );
    assert_eq!(setting(DEAD_LETTER_REPLAYS, "retention.ms"), None);
}

#[test]
fn what_a_new_topic_is_made_with_is_as_it_should_be() {
    for spec in &topics(Installation::default()) {
        for (key, value) in settings_of_existing(&Kafka::default(), spec) {
            let found = own(&value);
            assert_eq!(difference(spec, key, &found, &value, Consent::default()), None);
        }
    }
}

#[test]
fn no_retention_is_ever_shortened() {
    for topic in [TRANSACTIONS, PARTIALS] {
        for found in ["-1", "2592000000"] {
            for found in [own(found), broker_default(found)] {
                let (action, said) = planned(topic, "retention.ms", &found, "604800000").unwrap();
                assert_eq!(action, Action::Keep);
                assert!(
                    said.contains("longer") && said.contains("--accept-data-loss"),
                    "{said}"
                );
            }
        }
    }
}

#[test]
fn a_longer_retention_of_ones_own_is_applied_and_the_source_is_others() {
    for (found, wanted) in [("604800000", "2592000000"), ("604800000", "-1")] {
        let (action, said) = planned(PARTIALS, "retention.ms", &own(found), wanted).unwrap();
        assert_eq!(action, Action::Change, "{said}");
        let (action, said) = planned(TRANSACTIONS, "retention.ms", &own(found), wanted).unwrap();
        assert_eq!(action, Action::Keep);
        assert!(
            said.contains("sooner") && said.ends_with("--overwrite` sets it"),
            "{said}"
        );
    }
}

#[test]
fn a_bound_on_size_that_somebody_has_set_is_told_and_the_brokers_own_is_not() {
    let (action, _) = planned(TRANSACTIONS, "retention.bytes", &own("1000000"), "-1").unwrap();
    assert_eq!(action, Action::Keep);
    assert!(planned(TRANSACTIONS, "retention.bytes", &broker_default("1000000"), "-1").is_none());
}

#[test]
fn a_compacted_topic_is_refused_with_what_to_do() {
    for found in ["compact", "compact,delete", "delete,compact"] {
        let (action, said) = planned(TRANSACTIONS, "cleanup.policy", &own(found), "delete").unwrap();
        assert_eq!(action, Action::Refuse);
        assert!(
            said.contains("topic_prefix") && said.contains("--accept-data-loss"),
            "{said}"
        );
    }
    {
        let topic = DEAD_LETTER_REPLAYS;
        let (action, _) = planned(topic, "cleanup.policy", &broker_default("delete"), "compact").unwrap();
        assert_eq!(action, Action::Keep);
    }
}

#[test]
fn the_sources_stamps_are_the_brokers() {
    let key = "message.timestamp.type";
    let (action, said) = planned(TRANSACTIONS, key, &own("CreateTime"), "LogAppendTime").unwrap();
    assert_eq!(action, Action::Change);
    assert!(said.contains("from CreateTime to LogAppendTime"), "{said}");
    let (action, _) = planned(PARTIALS, key, &own("LogAppendTime"), "CreateTime").unwrap();
    assert_eq!(action, Action::Keep);
}

#[test]
fn limits_on_size_are_raised_where_records_would_be_refused() {
    let action = |topic, found: &Found| {
        let settings = settings_of_existing(&Kafka::default(), spec(topic));
        let (_, wanted) = settings
            .into_iter()
            .find(|(key, _)| *key == "max.message.bytes")?;
        planned(topic, "max.message.bytes", found, &wanted).map(|it| it.0)
    };
    assert_eq!(action(LATE, &broker_default("1048588")), Some(Action::Change));
    assert_eq!(action(LATE, &own("100000")), Some(Action::Keep));
    assert_eq!(action(LATE, &own("5000000")), None);
    for found in [own("1000"), broker_default("1000")] {
        assert_eq!(action(PARTIALS, &found), Some(Action::Change));
        assert_eq!(action(TRANSACTIONS, &found), None);
    }
    assert_eq!(action(PARTIALS, &own("5000000")), None);
}

#[test]
fn a_new_topic_has_a_limit_of_its_own_where_the_brokers_is_too_low() {
    let raised = Some(("max.message.bytes", "1048588".to_owned()));
    assert_eq!(limit_of_new(spec(PARTIALS), Some(1_000)), raised);
    for (topic, brokers) in [
        (PARTIALS, Some(1_048_588)),
        (PARTIALS, None),
        (LATE, Some(1_000)),
        (TRANSACTIONS, Some(1_000)),
    ] {
        assert_eq!(limit_of_new(spec(topic), brokers), None, "{topic} {brokers:?}");
    }
}

#[test]
fn replicas_in_sync_stay() {
    let key = "min.insync.replicas";
    let (action, said) = planned(PARTIALS, key, &own("1"), "2").unwrap();
    assert!(action == Action::Keep && said.contains("can be lost"), "{said}");
    let (action, said) = planned(PARTIALS, key, &broker_default("3"), "2").unwrap();
    assert!(
        action == Action::Keep && said.contains("nothing can be written"),
        "{said}"
    );
}

#[test]
fn fewer_partitions_are_refused_and_replicas_told() {
    let (source, merchants) = (spec(TRANSACTIONS), spec(DEAD_LETTER_REPLAYS));
    let said = partitions(source, 2).unwrap();
    assert_eq!(said.action, Action::Refuse);
    assert!(said.to_string().contains("is 2 and must be 5"), "{said}");
    assert_eq!((partitions(source, 5), partitions(source, 8)), (None, None));
    assert_eq!(partitions(merchants, 2).unwrap().action, Action::Refuse);
    assert_eq!(replicas(1, 3).unwrap().action, Action::Keep);
    assert_eq!((replicas(3, 3), replicas(3, 1)), (None, None));
}
