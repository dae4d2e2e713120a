//! What users' files hold, in `tests/cases`: each gives the right transactions, or says what is
//! wrong.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_domain::Transaction;
use uuid::Uuid;

use super::tests::{Replayed, options, run};

pub(super) fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

fn replay(file: &Path, mapping: &Path) -> Replayed {
    let directory = tempfile::tempdir().unwrap();
    let replayed = run(&options(&[file.to_owned()], mapping, directory.path()));
    assert_eq!(replayed.failure, None, "{}", file.display());
    replayed
}

fn transactions(file: &Path, mapping: &Path) -> Vec<Transaction> {
    let replayed = replay(file, mapping);
    assert!(replayed.rejected.is_empty(), "{:?}", replayed.rejected);
    replayed
        .sent
        .into_iter()
        .map(|(transaction, _)| transaction)
        .collect()
}

fn reason(reject: &serde_json::Value) -> &str {
    reject["reason"].as_str().unwrap()
}

#[test]
fn c09_numbers_of_any_length_keep_every_digit() {
    let mapping = case("C09/map.yml");
    for (name, users) in [("ids.ndjson", 6), ("ids-one-user.ndjson", 1)] {
        let text = fs::read_to_string(case("C09").join(name)).unwrap();
        let mut csv = "id,user,amount,time,merchant\n".to_owned();
        for line in text.lines() {
            let values: Vec<&str> = line
                .trim_matches(['{', '}'])
                .split(',')
                .map(|pair| pair.split_once(':').unwrap().1.trim_matches('"'))
                .collect();
            csv += &(values.join(",") + "\n");
        }
        let directory = tempfile::tempdir().unwrap();
        let as_csv = directory.path().join("ids.csv");
        fs::write(&as_csv, csv).unwrap();
        let sent = transactions(&case("C09").join(name), &mapping);
        assert_eq!(sent, transactions(&as_csv, &mapping));
        let mut ids: Vec<_> = sent
            .iter()
            .map(|transaction| transaction.transaction_id)
            .collect();
        let mut who: Vec<_> = sent.iter().map(|transaction| transaction.user_id).collect();
        ids.sort_unstable();
        ids.dedup();
        who.sort_unstable();
        who.dedup();
        assert_eq!((ids.len(), who.len()), (6, users));
        let units: i64 = sent.iter().map(|transaction| transaction.amount.units()).sum();
        assert_eq!(units, 2_100_000);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.ndjson");
    fs::write(
        &path,
        "{\"id\":74537604221222132710001,\"user\":\"u\",\"amount\":-1}\n",
    )
    .unwrap();
    let options = options(&[path], &mapping, directory.path());
    assert_eq!(run(&options).rejected.len(), 1);
    let rejects = fs::read_to_string(options.rejects.unwrap()).unwrap();
    assert!(rejects.contains("\"id\":74537604221222132710001,"), "{rejects}");
}

#[test]
fn c17_decimals_are_written_without_a_point_after_the_last_digit() {
    let mapping = case("C17/map.yml");
    let expected = transactions(&case("C17/rows.csv"), &mapping);
    assert_eq!(
        (expected.len(), expected[0].user_id.text().as_str()),
        (10, "u-4711")
    );
    assert_eq!(expected[9].merchant_id.text().as_str(), "123456789012");
    for name in ["plain.parquet", "decimal-ids.parquet", "decimal.parquet"] {
        assert_eq!(
            transactions(&case("C17").join(name), &mapping),
            expected,
            "{name}"
        );
    }
}

#[test]
fn c18_a_parquet_uuid_is_its_text() {
    let (file, mapping) = (case("C18/uuid.parquet"), case("C18/map.yml"));
    let ids = |mapping: &Path| -> Vec<String> {
        let sent = transactions(&file, mapping);
        sent.iter()
            .map(|transaction| transaction.transaction_id.to_string())
            .collect()
    };
    let expected: Vec<String> = (0..10)
        .map(|row| format!("0f3a5b1c-4d2e-4f60-8a7b-6c5d4e3f2a{row:02}"))
        .collect();
    assert_eq!(ids(&mapping), expected);
    let directory = tempfile::tempdir().unwrap();
    let templated = directory.path().join("map.yml");
    let text = fs::read_to_string(&mapping).unwrap();
    fs::write(&templated, text.replace("{column: id}", "{uuid5: \"x/{id}\"}")).unwrap();
    // The namespace of ids made of a column is fixed: the same text gives the same id in every
    // release.
    let namespace = Uuid::from_u128(0x1f8e_6b0a_93d2_4c57_8b41_c0de_77a9_5e36);
    let made: Vec<String> = expected
        .iter()
        .map(|id| Uuid::new_v5(&namespace, format!("x/{id}").as_bytes()).to_string())
        .collect();
    assert_eq!(ids(&templated), made);
}

#[test]
fn c19_a_text_that_is_no_utf8_costs_its_row() {
    let replayed = replay(&case("C19/badutf8.parquet"), &case("C19/map.yml"));
    assert_eq!((replayed.sent.len(), replayed.rejected.len()), (9, 1));
    let reject = &replayed.rejected[0];
    assert_eq!(
        (reject["row"].as_u64(), reason(reject)),
        (Some(4), "column merchant is not UTF-8")
    );
    assert!(
        reject["record"]["merchant"]
            .as_str()
            .unwrap()
            .contains('\u{fffd}'),
        "{reject}"
    );
    // The rows before it are sent before it is seen.
    let directory = tempfile::tempdir().unwrap();
    let first = super::ReplayOptions {
        count: Some(3),
        ..options(
            &[case("C19/badutf8.parquet")],
            &case("C19/map.yml"),
            directory.path(),
        )
    };
    let replayed = run(&first);
    assert_eq!((replayed.sent.len(), replayed.rejected.len()), (3, 0));
}

#[test]
fn c20_the_zone_holds_for_times_that_name_none() {
    let file = case("C20/local.csv");
    let times = |replayed: &Replayed| -> Vec<i64> {
        let sent = replayed.sent.iter();
        sent.map(|(transaction, _)| transaction.transaction_time_ms)
            .collect()
    };
    let nine = 1_709_283_600_000;
    let by_zone = replay(&file, &case("C20/map-zone.yml"));
    assert_eq!(times(&by_zone), [nine + 1_000, nine + 2_250, nine + 3_000]);
    let by_pattern = replay(&file, &case("C20/map-pattern.yml"));
    assert_eq!(times(&by_pattern), [nine + 1_000, nine + 2_250]);
    for (replayed, rejected) in [(by_zone, 2), (by_pattern, 3)] {
        assert_eq!(replayed.rejected.len(), rejected);
        let [.., gap, fold] = replayed.rejected.as_slice() else {
            panic!("{:?}", replayed.rejected);
        };
        assert!(reason(gap).contains("is not there in Europe/Paris"), "{gap}");
        assert!(reason(fold).contains("is there twice in Europe/Paris"), "{fold}");
    }
}

#[test]
fn c21_a_byte_order_mark_is_no_part_of_the_first_record() {
    let mapping = case("C21/map.yml");
    let as_csv = transactions(&case("C21/bom.csv"), &mapping);
    assert_eq!(as_csv.len(), 2);
    assert_eq!(transactions(&case("C21/bom.ndjson"), &mapping), as_csv);
}

#[test]
fn c22_a_quote_that_is_never_closed_costs_its_line() {
    let replayed = replay(&case("C22/stray.csv"), &case("C22/map.yml"));
    assert_eq!((replayed.sent.len(), replayed.rejected.len()), (4_999, 1));
    let reject = &replayed.rejected[0];
    assert_eq!(reject["line"], 11);
    assert!(
        reason(reject).contains("the quote that field 3 begins with is not closed"),
        "{reject}"
    );
    assert_eq!(reject["record"], "9,u9,\"Joe's,10.00,2024-03-01T10:00:09Z");
}
