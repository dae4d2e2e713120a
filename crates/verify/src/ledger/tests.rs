use millrace_domain::TransactionId;
use millrace_producer::ledger::Facts;
use millrace_publisher::ledger::Heading;
use tempfile::TempDir;

use super::*;

type Ledger = millrace_publisher::ledger::Ledger<Facts>;

fn ledger(run: &str, topic: &str, window_ms: i64, finished: bool, id_prefix: Option<&str>) -> String {
    serde_json::json!({
        "run_id": run, "started_ms": 1, "finished": finished, "topic": topic, "acknowledged": 5, "failed": 1,
        "duplicates": 1, "malformed": 1, "labels": 2, "failed_labels": 0, "window_ms": window_ms,
        "id_prefix": id_prefix, "forgotten_windows": 0,
        "windows": [
            {"start_ms": 0, "currency": "EUR", "purchase_count": 1, "purchase_sum_units": "100",
             "refund_count": 0, "refund_sum_units": "0"},
            {"start_ms": 30_000, "currency": "EUR", "purchase_count": 1, "purchase_sum_units": "11",
             "refund_count": 1, "refund_sum_units": "7"}
        ],
        "repeated_windows": [
            {"start_ms": 30_000, "currency": "EUR", "purchase_count": 1, "purchase_sum_units": "11",
             "refund_count": 0, "refund_sum_units": "0"}
        ],
        "failed_windows": [],
    })
    .to_string()
}

fn folder(files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn of_eur(windows: &Windows) -> (u64, i128, u64) {
    let window = windows[&(0, Currency::parse(b"EUR").unwrap())];
    (
        window.purchase_count,
        window.purchase_sum.units(),
        window.refund_count,
    )
}

#[test]
fn runs_of_the_topic_are_added_in_windows_that_all_fit_into() {
    let folder = folder(&[
        ("a.json", ledger("a", "t", 30_000, true, Some("01020304"))),
        ("b.json", ledger("b", "t", 60_000, false, Some("01020305"))),
        ("c.json", ledger("c", "other", 60_000, true, None)),
        ("d.json", ledger("d", "t", 30_000, true, None)),
        ("b.json.tmp", "torn".to_owned()),
    ]);
    let expected = read(folder.path(), "t", 10_000).unwrap();
    assert_eq!(expected.window_ms, 60_000);
    assert_eq!(
        (expected.runs, expected.acknowledged, expected.labels),
        (3, 15, 6)
    );
    assert_eq!(of_eur(&expected.once), (6, 333, 3));
    assert_eq!(of_eur(&expected.vouched), (3, 122, 1), "copies are records too");
    assert_eq!(
        of_eur(&expected.others),
        (6, 244, 2),
        "of a killed run and of a file"
    );
    let id = |last| TransactionId::from_bytes([1, 2, 3, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(expected.vouches_for(&id(4)) && !expected.vouches_for(&id(5)));
    assert!(!expected.are_ids_unique());
}

#[test]
fn ids_are_unique_where_every_run_has_its_own_and_has_ended() {
    let one = |prefix, finished, failed: u64| {
        let text = ledger("a", "t", 60_000, finished, prefix)
            .replace(r#""failed":1"#, &format!(r#""failed":{failed}"#));
        read(folder(&[("a.json", text)]).path(), "t", 60_000)
            .unwrap()
            .are_ids_unique()
    };
    assert!(one(Some("01020304"), true, 0));
    assert!(
        !one(Some("01020304"), true, 1),
        "what is in doubt has to be looked for"
    );
    assert!(!one(Some("01020304"), false, 0));
    assert!(!one(None, true, 0));
}

#[test]
fn a_run_that_goes_on_is_told_from_one_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let heading = |run: &str| Heading {
        run_id: run.to_owned(),
        started_ms: 1,
        run_in_ids: None,
        topic: "t".to_owned(),
        window_ms: 60_000,
    };
    let running = Ledger::create(folder.path(), &heading("running")).unwrap();
    // Its lock goes with it, as with a process that is killed.
    drop(Ledger::create(folder.path(), &heading("killed")).unwrap());
    Ledger::create(folder.path(), &heading("ended"))
        .unwrap()
        .finish()
        .unwrap();
    let expected = read(folder.path(), "t", 60_000).unwrap();
    assert_eq!(
        (expected.runs, expected.running, expected.killed),
        (3, vec!["running".to_owned()], vec!["killed".to_owned()])
    );
    drop(running);
    assert_eq!(
        read(folder.path(), "t", 60_000).unwrap().killed,
        ["killed", "running"]
    );
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_added() {
    assert_eq!(read(Path::new("/nowhere/at/all"), "t", 60_000).unwrap().runs, 0);
    let folder = folder(&[
        ("empty.json", String::new()),
        ("odd.json", ledger("odd", "t", 7_000_001, true, None)),
        ("other.json", "{}".to_owned()),
        (
            "sum.json",
            ledger("sum", "t", 60_000, true, None).replace("\"100\"", "\"much\""),
        ),
        ("good.json", ledger("good", "t", 60_000, true, None)),
    ]);
    let expected = read(folder.path(), "t", 60_000).unwrap();
    assert_eq!(expected.runs, 1);
    assert_eq!(
        of_eur(&expected.once),
        (2, 111, 1),
        "nothing of those that cannot be read"
    );
    let reasons = ["it is empty", "7000001 ms", "missing field", "\"much\""];
    assert_eq!(expected.unreadable.len(), reasons.len());
    for ((named, name), reason) in expected
        .unreadable
        .iter()
        .zip(["empty.json", "odd.json", "other.json", "sum.json"])
        .zip(reasons)
    {
        assert!(named.contains(name) && named.contains(reason), "{named}");
    }
}

#[test]
fn a_ledger_of_an_older_release_has_no_copies() {
    let mut old: serde_json::Value = serde_json::from_str(&ledger("a", "t", 60_000, true, None)).unwrap();
    let fields = old.as_object_mut().unwrap();
    fields.remove("repeated_windows");
    fields.remove("id_prefix");
    let expected = read(folder(&[("a.json", old.to_string())]).path(), "t", 60_000).unwrap();
    assert_eq!(of_eur(&expected.others), (2, 111, 1));
}
