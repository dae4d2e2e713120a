//! What a change of a setting does over existing state is said beside its key.

use std::fs;
use std::path::Path;

/// The sections whose jobs write results, and what in them no result depends on.
const SECTIONS: [&str; 7] = [
    "aggregator",
    "detector",
    "rekey",
    "clickstream",
    "iot",
    "commerce",
    "incidents",
];
const WITHOUT: [&str; 3] = ["metrics_port", "worker", "enabled"];

/// Each key with a value, by its path, and whether the comment right above it has the rule.
fn keys(text: &str) -> Vec<(String, bool)> {
    let mut path: Vec<(usize, &str)> = Vec::new();
    let (mut keys, mut has_rule) = (Vec::new(), false);
    for line in text.lines() {
        let body = line.trim_start();
        if let Some(comment) = body.strip_prefix('#') {
            has_rule |= comment.trim_start().starts_with("In place");
            continue;
        }
        let is_said = std::mem::take(&mut has_rule);
        let Some((key, value)) = body.split_once(':') else {
            continue;
        };
        let depth = line.len() - body.len();
        path.retain(|(above, _)| *above < depth);
        path.push((depth, key));
        if !value.trim().is_empty() {
            let names: Vec<_> = path.iter().map(|(_, key)| *key).collect();
            keys.push((names.join("."), is_said));
        }
    }
    keys
}

#[test]
fn every_key_that_results_depend_on_says_what_its_change_does_in_place() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/millrace.yml");
    let keys = keys(&fs::read_to_string(file).expect("the configuration"));
    let mut said = 0;
    for (key, is_said) in &keys {
        let mut parts = key.split('.');
        let section = parts.next().unwrap_or_default();
        let is_of_results =
            SECTIONS.contains(&section) && !parts.next().is_some_and(|part| WITHOUT.contains(&part));
        assert_eq!(
            *is_said, is_of_results,
            "{key}: a comment \"In place: …\" right above it, where results depend on it"
        );
        said += usize::from(*is_said);
    }
    assert!(said > 20, "{said} keys");
}

#[test]
fn a_rule_is_found_above_its_own_key_alone() {
    let text = "a:\n  # What it is.\n  # In place: at once.\n  one: 1\n  two: 2\n  # In place: later.\n  b:\n    three: 3\n";
    let expected = [("a.one", true), ("a.two", false), ("a.b.three", false)];
    let expected = expected.map(|(key, is_said)| (key.to_owned(), is_said));
    assert_eq!(keys(text), expected);
}
