//! No crate of ours depends on one that stands above it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// From the top down; a crate may depend on those of lower rows.
const ORDER: &[&[&str]] = &[
    &["millrace-tests"],
    &["millrace-lab"],
    &["millrace"],
    &["millrace-verify"],
    &[
        "millrace-producer",
        "millrace-gateway",
        "millrace-rekey",
        "millrace-aggregator",
        "millrace-detector",
        "millrace-elastic-sink",
        "millrace-lake-sink",
        "millrace-cassandra-sink",
        "millrace-clickstream-jobs",
        "millrace-iot-jobs",
        "millrace-commerce-jobs",
    ],
    &["millrace-service"],
    &["millrace-runtime", "millrace-sink", "millrace-publisher"],
    &["millrace-kafka", "millrace-telemetry", "millrace-incidents"],
    &["millrace-settings"],
    &["millrace-catalog", "millrace-fraud", "millrace-stack"],
    &[
        "millrace-payments",
        "millrace-clickstream",
        "millrace-iot",
        "millrace-commerce",
        "millrace-rules",
    ],
    &["millrace-engine", "millrace-domain"],
    &["millrace-registry"],
    &[
        "millrace-contract",
        "millrace-evaluation",
        "millrace-http",
        "millrace-kafka-batch",
    ],
];

/// What a crate may not import though it stands below; tests of its own may.
const NEVER: &[(&str, &[&str])] = &[
    // It is given the names of topics, and knows no job and no record's content.
    (
        "millrace-kafka",
        &[
            "millrace-catalog",
            "millrace-registry",
            "millrace-engine",
            "millrace-fraud",
            "millrace-payments",
            "millrace-clickstream",
            "millrace-iot",
            "millrace-commerce",
        ],
    ),
    // A job is given the names too, and knows what a record is.
    (
        "millrace-runtime",
        &[
            "millrace-catalog",
            "millrace-registry",
            "millrace-fraud",
            "millrace-payments",
            "millrace-clickstream",
            "millrace-iot",
            "millrace-commerce",
        ],
    ),
    // A store's crate gives it the names too, and says what a record is.
    (
        "millrace-sink",
        &[
            "millrace-catalog",
            "millrace-registry",
            "millrace-domain",
            "millrace-fraud",
            "millrace-payments",
            "millrace-clickstream",
            "millrace-iot",
            "millrace-commerce",
        ],
    ),
    // Who makes records says what they are, and names the topics.
    (
        "millrace-publisher",
        &[
            "millrace-catalog",
            "millrace-registry",
            "millrace-domain",
            "millrace-fraud",
            "millrace-payments",
            "millrace-clickstream",
            "millrace-iot",
            "millrace-commerce",
            "millrace-settings",
        ],
    ),
    // Who puts both together gives it schemas; its tests ask a registry.
    ("millrace-domain", &["millrace-registry"]),
    ("millrace-stack", &["millrace-domain", "millrace-contract"]),
];

fn row(order: &[&[&str]], name: &str) -> Option<usize> {
    order.iter().position(|row| row.contains(&name))
}

/// Each crate with its dependencies, and whether it is only the tests' one.
type Dependencies = BTreeMap<String, Vec<(String, bool)>>;

fn problems(order: &[&[&str]], never: &[(&str, &[&str])], crates: &Dependencies) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, dependencies) in crates {
        let Some(own) = row(order, name) else {
            problems.push(format!("{name} has no place in the order: give it one"));
            continue;
        };
        let ours = dependencies
            .iter()
            .filter(|(dependency, _)| crates.contains_key(dependency));
        for (dependency, is_of_tests) in ours {
            if row(order, dependency).is_some_and(|row| row <= own) {
                problems.push(format!("{name} depends on {dependency}, which is not below it"));
            }
            let is_refused = |(of, refused): &(&str, &[&str])| of == name && refused.contains(&&**dependency);
            if !is_of_tests && never.iter().any(is_refused) {
                problems.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    problems
}

fn workspace() -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let dependency = |value: &Value| (text(&value["name"]), value["kind"] == "dev");
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies");
            (text(&package["name"]), all.iter().map(dependency).collect())
        })
        .collect()
}

#[test]
fn no_dependency_runs_up() {
    let crates = workspace();
    assert!(crates.contains_key("millrace"), "{crates:?}");
    assert_eq!(problems(ORDER, NEVER, &crates), [""; 0]);
}

#[test]
fn one_that_runs_up_or_aside_is_found() {
    let of = |all: &[(&str, &str, bool)]| -> Dependencies {
        let mut crates = Dependencies::new();
        for (name, dependency, is_of_tests) in all {
            crates.entry((*dependency).to_owned()).or_default();
            let dependencies = crates.entry((*name).to_owned()).or_default();
            dependencies.push(((*dependency).to_owned(), *is_of_tests));
        }
        crates
    };
    let found = |all: &[(&str, &str, bool)]| problems(ORDER, NEVER, &of(all));
    assert_eq!(
        found(&[("millrace-domain", "millrace-engine", false)]),
        ["millrace-domain depends on millrace-engine, which is not below it"]
    );
    assert_eq!(
        found(&[("millrace-rekey", "millrace-detector", true)]),
        ["millrace-rekey depends on millrace-detector, which is not below it"]
    );
    let aside = |is_of_tests| found(&[("millrace-kafka", "millrace-catalog", is_of_tests)]);
    assert_eq!(
        aside(false),
        ["millrace-kafka must not depend on millrace-catalog"]
    );
    assert_eq!(aside(true), [""; 0]);
    assert_eq!(
        found(&[("millrace-new", "millrace-domain", false)]),
        ["millrace-new has no place in the order: give it one"]
    );
}
