//! Every metric of the code is on a board or in a rule, and boards, rules and documents name no
//! other.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the services call themselves in metrics' names.
const PREFIX: &str = "millrace_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of all files below a folder whose names end with one of these.
fn texts(folder: &Path, ends: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, ends, found);
        } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// The words of a text that begin as a metric does.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(PREFIX))
}

/// The metrics that the crates register: their names are texts of nothing else, but for those of
/// crates in filters of logs.
fn registered() -> BTreeSet<String> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        texts(&entry.unwrap().path().join("src"), &[".rs"], &mut sources);
    }
    let mut names = BTreeSet::new();
    for source in &sources {
        for quoted in source.split('"').filter(|part| part.starts_with(PREFIX)) {
            if words(quoted).next() == Some(quoted) && !is_crate(quoted) {
                names.insert(quoted.to_owned());
            }
        }
    }
    assert!(names.contains("millrace_consumer_lag_records"), "{names:?}");
    names
}

/// The metrics that texts name, a histogram's series by its own name.
fn named<'a>(texts: &'a [String], metrics: &BTreeSet<String>) -> BTreeSet<&'a str> {
    let all = texts.iter().flat_map(|text| words(text));
    all.map(|word| {
        let series = ["_bucket", "_sum", "_count"];
        let base = series.iter().find_map(|end| word.strip_suffix(end));
        base.filter(|base| metrics.contains(*base)).unwrap_or(word)
    })
    .collect()
}

fn boards_and_rules() -> Vec<String> {
    let mut found = Vec::new();
    texts(&root().join("grafana"), &[".json"], &mut found);
    texts(
        &root().join("prometheus"),
        &["alerts.yml", "alerts.test.yml"],
        &mut found,
    );
    assert!(found.len() > 2, "boards, rules and their tests");
    found
}

#[test]
fn every_metric_is_on_a_board_or_in_a_rule() {
    let (metrics, texts) = (registered(), boards_and_rules());
    let shown = named(&texts, &metrics);
    let hidden: Vec<_> = metrics
        .iter()
        .filter(|name| !shown.contains(name.as_str()))
        .collect();
    assert!(hidden.is_empty(), "nobody sees {hidden:?}");
}

#[test]
fn boards_rules_and_documents_name_metrics_that_exist() {
    let metrics = registered();
    let mut texts_of_all = boards_and_rules();
    texts(&root().join("docs"), &[".md"], &mut texts_of_all);
    texts(&root().join("config"), &[".yml"], &mut texts_of_all);
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        texts_of_all.push(fs::read_to_string(root().join(document)).unwrap());
    }
    let unknown: Vec<_> = named(&texts_of_all, &metrics)
        .into_iter()
        // Names of crates, which logs are filtered by, and of packages in Python, have no unit;
        // what is gone is told of in the past.
        .filter(|name| !metrics.contains(*name) && !name.ends_with('_'))
        .filter(|name| !is_crate(name) && !root().join("analysis").join(name).is_dir())
        .collect();
    assert!(unknown.is_empty(), "there is no {unknown:?}");
}

/// Whether a word is a crate's name, as it is in a log filter.
fn is_crate(word: &str) -> bool {
    root()
        .join("crates")
        .join(word.trim_start_matches(PREFIX).replace('_', "-"))
        .is_dir()
}
