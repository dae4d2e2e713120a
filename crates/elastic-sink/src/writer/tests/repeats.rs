//! Documents that are there already, against what the server has.

use super::*;
use crate::conflict::Repeat;

/// Stores these as they are but for one, in an index of this name.
fn store_but(server: &Server, documents: &[Document], other: usize, index: &str) {
    let mut stored = server.stored.lock().unwrap();
    for (at, document) in documents.iter().enumerate() {
        let mut source: Value = serde_json::from_str(&document.source).unwrap();
        if at == other {
            source["x"] = json!("corrected");
        }
        stored.insert((index.to_owned(), document.id.clone()), source);
    }
}

/// One corrected row among a thousand that are read again, behind an alias.
#[tokio::test]
async fn each_of_a_thousand_repeats_is_compared_in_the_index_that_has_it() {
    let server = server(Vec::new()).await;
    let all = documents(1_000);
    store_but(&server, &all, 617, "v2");
    let repeat = |index: Option<&str>| {
        let index = index.map(str::to_owned);
        all.iter()
            .map(move |document| Repeat {
                document,
                index: index.clone(),
            })
            .collect::<Vec<_>>()
    };
    let found = server.writer.conflicts.differing(&repeat(Some("v2"))).await;
    let ids: Vec<_> = found.foreign.iter().map(|document| &*document.id).collect();
    assert_eq!((ids, found.compared[&Stream::AGGREGATES]), (vec!["617"], 1_000));
    let elsewhere = server.writer.conflicts.differing(&repeat(None)).await;
    assert!(
        elsewhere.foreign.is_empty() && elsewhere.compared.is_empty(),
        "{elsewhere:?}"
    );
}

/// Of a long replay a few of each answer are compared, and the others are known not to be.
#[tokio::test]
async fn what_a_long_replay_leaves_out_is_known() {
    let server = server(Vec::new()).await;
    let all = documents(1_000);
    store_but(&server, &all, 1_000, "v2");
    let repeats: Vec<_> = all
        .iter()
        .map(|document| Repeat {
            document,
            index: Some("v2".to_owned()),
        })
        .collect();
    let mut compared = 0;
    for _ in 0..200 {
        let found = server.writer.conflicts.differing(&repeats).await;
        let count = found.compared[&Stream::AGGREGATES];
        assert!((16..=1_000).contains(&count), "{count}");
        compared += count;
        if count < 1_000 {
            assert!(compared >= 10_000, "{compared} at once");
            return;
        }
    }
    panic!("{compared} were compared, without a bound");
}
