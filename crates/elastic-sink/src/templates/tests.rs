use super::*;

fn settings() -> Settings {
    Settings {
        index_prefix: "t1-".to_owned(),
        shards: 2,
        replicas: 1,
        ..Settings::default()
    }
}

fn mapping(stream: Stream) -> Value {
    serde_json::from_str(mapping_text(stream)).unwrap()
}

fn assert_strict(mapping: &Value, at: &str) {
    assert_eq!(mapping["dynamic"], "strict", "{at}");
    for (name, field) in mapping["properties"].as_object().unwrap() {
        if field.get("properties").is_some() {
            assert_strict(field, name);
        } else {
            let plain = [
                "alias",
                "boolean",
                "date",
                "double",
                "flattened",
                "geo_point",
                "keyword",
                "long",
                "text",
            ];
            assert!(
                plain.contains(&field["type"].as_str().unwrap()),
                "{at}.{name} needs a module"
            );
        }
    }
}

#[test]
fn mappings_are_strict_all_the_way_down_and_of_plain_types() {
    for stream in Stream::ALL {
        assert_strict(&mapping(stream), stream.index());
    }
}

#[test]
fn every_sum_has_its_exact_twin() {
    for stream in Stream::ALL {
        let fields = fields(stream);
        let kind = |name: &str| {
            fields
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.kind.as_str())
        };
        for field in &fields {
            if let Some(plain) = field.name.strip_suffix("Units") {
                assert_eq!(
                    (kind(plain), field.kind.as_str()),
                    (Some("double"), "long"),
                    "{plain}"
                );
            }
        }
        assert_eq!(kind("@timestamp"), Some("date"));
    }
    assert_eq!(
        fields(Stream::ANOMALIES)
            .iter()
            .filter(|field| field.name.starts_with("evidence."))
            .count(),
        2
    );
}

#[test]
fn a_template_has_prefix_shards_and_policy() {
    let template = template(
        Stream::ANOMALIES,
        &settings(),
        &mapping(Stream::ANOMALIES),
        Some("p"),
    );
    assert_eq!(template["index_patterns"], json!(["t1-millrace-anomalies-*"]));
    let index = &template["template"]["settings"]["index"];
    assert_eq!(
        *index,
        json!({"number_of_shards": 2, "number_of_replicas": 1, "lifecycle": {"name": "p"}})
    );
}

#[test]
fn no_two_patterns_meet() {
    for first in Stream::ALL {
        for second in Stream::ALL {
            let prefix = index_pattern(first, &settings()).trim_end_matches('*').to_owned();
            let other = index_pattern(second, &settings());
            assert_eq!(other.starts_with(&prefix), first == second, "{prefix} {other}");
        }
    }
}
