//! What changes of settings may do to windows and sources, without a run of the operators.

use std::collections::{BTreeMap, BTreeSet};

use millrace_contract::framing;
use millrace_domain::PartialContent;
use millrace_domain::codec::partial;
use millrace_engine::windowed::MergePolicy;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::simulation::Output;

use crate::jobs::{PARTIALS, WINDOW_MS};

/// Each window of a source is a whole one of a size that may be set, and no two overlap: a new size
/// begins at a boundary that windows of both have.
pub(crate) fn verify_windows(first: &[Output]) {
    let mut windows: BTreeMap<i32, BTreeSet<(i64, i64)>> = BTreeMap::new();
    for output in first.iter().filter(|output| output.topic == PARTIALS) {
        let (_, body) = framing::split(&output.payload).unwrap();
        if let PartialContent::Final(contributions) = partial::decode(body).unwrap().content {
            let of_source = windows.entry(output.source).or_default();
            let bounds = contributions
                .iter()
                .map(|it| (it.window_start_ms, it.window_end_ms));
            of_source.extend(bounds);
        }
    }
    for (source, windows) in windows {
        for (start_ms, end_ms) in &windows {
            let size_ms = end_ms - start_ms;
            let is_whole = WINDOW_MS.contains(&size_ms) && start_ms % size_ms == 0;
            assert!(is_whole, "source {source}: {start_ms} to {end_ms} is no window");
        }
        let is_apart = windows.iter().is_sorted_by(|one, next| one.1 <= next.0);
        assert!(is_apart, "source {source}: {windows:?}");
    }
}

/// Stage 2 waits for no fewer sources than before.
pub(crate) fn verify_sources(controls: &[ControlRecord]) {
    let policies = controls.iter().filter_map(|record| record.policy());
    let sources: Vec<_> = policies
        .map(|(text, _)| {
            serde_json::from_str::<MergePolicy>(text)
                .unwrap()
                .source_partitions()
        })
        .collect();
    assert!(sources.is_sorted(), "{sources:?}");
}
