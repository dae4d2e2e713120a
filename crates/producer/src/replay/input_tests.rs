//! How files come: compressed, several, with marks and delimiters of their own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_domain::Transaction;

use super::case_tests::case;
use super::tests::{Replayed, mapping, options, order, run};
use super::*;

fn replay(files: &[PathBuf], mapping: &Path) -> Replayed {
    let directory = tempfile::tempdir().unwrap();
    run(&options(files, mapping, directory.path()))
}

fn good(files: &[PathBuf], mapping: &Path) -> Vec<Transaction> {
    let replayed = replay(files, mapping);
    assert_eq!((replayed.failure, replayed.rejected.len()), (None, 0));
    replayed
        .sent
        .into_iter()
        .map(|(transaction, _)| transaction)
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_are_their_content() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let mapping = case("C17/map.yml");
    let expected = good(&[case("C17/rows.csv")], &mapping);
    for (name, expected) in [("C17/rows.csv", &expected), ("C17/decimal.parquet", &expected)] {
        let plain = fs::read(case(name)).unwrap();
        let end = name.rsplit('/').next().unwrap();
        let zipped = write(&format!("{end}.gz"), &gzip(&plain));
        let zstd = write(
            &format!("{end}.zst"),
            &zstd::encode_all(plain.as_slice(), 3).unwrap(),
        );
        assert_eq!(good(&[zipped], &mapping), *expected, "{name} by gzip");
        assert_eq!(good(&[zstd], &mapping), *expected, "{name} by zstd");
    }
    // Members one after another, cut within a row, behind a byte order mark, and under a name that
    // does not say so.
    let text = [
        b"\xef\xbb\xbf".as_slice(),
        &fs::read(case("C17/rows.csv")).unwrap(),
    ]
    .concat();
    let members = [gzip(&text[..100]), gzip(&text[100..])].concat();
    assert_eq!(good(&[write("members.csv", &members)], &mapping), expected);
    let frames = [
        zstd::encode_all(&text[..100], 3).unwrap(),
        zstd::encode_all(&text[100..], 3).unwrap(),
    ];
    assert_eq!(
        good(&[write("frames.CSV.ZST", &frames.concat())], &mapping),
        expected
    );
}

#[test]
fn a_file_that_is_cut_off_gives_what_comes_before_and_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.csv.gz");
    let mut text = "id,user,amount,time,merchant\n".to_owned();
    for row in 0..20_000 {
        text += &format!(
            "{row},u{row},1.00,2024-03-01T10:00:00Z,m{}\n",
            row * 7_919 % 20_011
        );
    }
    let whole = gzip(text.as_bytes());
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let replayed = replay(&[path], &case("C22/map.yml"));
    let failure = replayed.failure.unwrap();
    assert!(failure.contains("cut.csv.gz after line"), "{failure}");
    assert!(replayed.sent.len() > 1_000 && replayed.sent.len() < 20_000);
}

#[test]
fn several_files_are_one_replay_and_rejects_name_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let bad = directory.path().join("bad.ndjson");
    fs::write(&bad, "oops\n").unwrap();
    let files = [
        case("C21/bom.csv"),
        bad.clone(),
        case("C21/bom.ndjson"),
        case("C09/ids.ndjson"),
    ];
    let replayed = replay(&files, &case("C21/map.yml"));
    assert_eq!(
        (replayed.sent.len(), replayed.rejected.len(), replayed.failure),
        (10, 1, None)
    );
    assert_eq!(replayed.rejected[0]["file"], bad.display().to_string());
    // A file that is not there ends it before anything is sent.
    let files = [case("C21/bom.csv"), directory.path().join("none.csv")];
    let options = options(&files, &case("C21/map.yml"), directory.path());
    let error = Replay::open(&options, super::tests::JSON, Default::default(), order(), &|| {
        false
    })
    .err()
    .unwrap();
    assert!(format!("{error:#}").contains("none.csv"), "{error:#}");
}

#[test]
fn what_is_no_text_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for (bytes, expected) in [
        (b"PK\x03\x04rest".as_slice(), "Excel workbook"),
        (b"\xff\xfei\0d\0", "iconv -f UTF-16"),
        (b"[{\"id\":1}]", "one JSON array"),
        (b"", "is empty"),
        (b"id,user\rx,y\r", "end with CR alone"),
        (b"id;user;amount;time;merchant\n", "give file: {delimiter: ';'}"),
        (
            b"id,user,amount,time,h\xe4ndler\n",
            "not UTF-8: convert the file, as by iconv -f WINDOWS-1252",
        ),
        (
            b"id,user,amount,time,time,merchant\n",
            "column time, which the mapping names, is there twice",
        ),
    ] {
        let path = directory.path().join(if bytes.starts_with(b"[") {
            "a.json"
        } else {
            "a.csv"
        });
        fs::write(&path, bytes).unwrap();
        let mapping = Mapping::load(&case("C21/map.yml")).unwrap();
        let error = mapping.open(&path, FileFormat::of(&path).unwrap()).err().unwrap();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
    let error = FileFormat::of(Path::new("bank.xlsx")).unwrap_err().to_string();
    assert!(error.contains("save it as CSV"), "{error}");
    let error = FileFormat::of(Path::new("-")).unwrap_err().to_string();
    assert!(error.contains("--file-format"), "{error}");
}

const GERMAN: &str = r#"
file: {delimiter: ";", columns: [nr, kunde, betrag, zeit, laden, ausland]}
transactionId: {uuid5: "de/{nr}"}
userId: {column: kunde}
amount: {column: betrag, decimal_mark: ",", thousands_mark: "."}
transactionTime: {column: zeit, format: "%d.%m.%Y %H:%M:%S", zone: Europe/Berlin}
merchantId: {column: laden}
transactionType: {constant: purchase}
location: {constant: Berlin}
paymentMethod: {constant: credit_card}
isInternational: {column: ausland, values: {ja: true, nein: false}, default: false}
currency: {constant: EUR}
"#;

#[test]
fn marks_delimiters_and_truth_values_are_the_mappings() {
    let directory = tempfile::tempdir().unwrap();
    let (path, map) = (directory.path().join("de.csv"), directory.path().join("map.yml"));
    fs::write(&map, format!("\u{feff}{GERMAN}")).unwrap();
    let text = "1;k1;1.234,56;01.03.2024 10:00:00;\"Laden; 1\";ja\n\
                2;k2;12,5;01.03.2024 10:00:01;L2;Nein\n\
                3;k3;12.5;01.03.2024 10:00:02;L3;nein\n\
                4;k4;7;01.03.2024 10:00:03;L4;\n";
    fs::write(&path, text).unwrap();
    let replayed = replay(&[path], &map);
    let sent: Vec<_> = replayed
        .sent
        .iter()
        .map(|(sent, _)| {
            (
                sent.amount.units(),
                sent.is_international,
                sent.merchant_id.to_string(),
            )
        })
        .collect();
    assert_eq!(
        sent,
        [
            (12_345_600, true, "Laden; 1".to_owned()),
            (70_000, false, "L4".to_owned())
        ]
    );
    assert_eq!(replayed.sent[0].0.transaction_time_ms, 1_709_283_600_000);
    let reasons: Vec<&str> = replayed
        .rejected
        .iter()
        .map(|reject| reject["reason"].as_str().unwrap())
        .collect();
    assert!(
        reasons[0].starts_with("isInternational: \"Nein\" is not true"),
        "{reasons:?}"
    );
    assert_eq!(reasons[1], "amount: \"12.5\" is not a number as 1.234,56");
    // Numbers of a format that has numbers are written in one way.
    let ndjson = directory.path().join("de.ndjson");
    let row =
        "{\"nr\":1,\"kunde\":\"k\",\"betrag\":1234.5,\"zeit\":\"01.03.2024 10:00:00\",\"laden\":\"L\"}\n";
    fs::write(&ndjson, row.to_owned() + &row.replace("1234.5", "\"1.234,5\"")).unwrap();
    let units: Vec<i64> = good(&[ndjson], &map)
        .iter()
        .map(|sent| sent.amount.units())
        .collect();
    assert_eq!(units, [12_345_000, 12_345_000]);
}

#[test]
fn json_columns_are_found_by_their_path() {
    let directory = tempfile::tempdir().unwrap();
    let (path, map) = (
        directory.path().join("deep.ndjson"),
        directory.path().join("map.yml"),
    );
    let text = fs::read_to_string(case("C21/map.yml")).unwrap();
    fs::write(&map, text.replace("column: user", "column: payer.card.id")).unwrap();
    let row = |payer: &str| {
        format!("{{\"id\":1,{payer}\"amount\":1,\"time\":\"2024-03-01T10:00:01Z\",\"merchant\":\"m\"}}\n")
    };
    let rows = [
        row("\"payer\":{\"card\":{\"id\":12345678901,\"x\":[1]}},"),
        row("\"payer.card\":{\"id\":\"u2\"},"),
        row("\"payer\":{\"card\":{\"id\":\"no\"}},\"payer.card.id\":\"u3\","),
        row("\"payer\":null,"),
        row("\"payer\":{\"card\":{\"id\":{}}},"),
    ];
    fs::write(&path, "\u{feff}".to_owned() + &rows.join("\u{feff}")).unwrap();
    let replayed = replay(&[path], &map);
    let users: Vec<_> = replayed
        .sent
        .iter()
        .map(|(sent, _)| sent.user_id.to_string())
        .collect();
    assert_eq!(users, ["12345678901", "u2", "u3"]);
    let reasons: Vec<_> = replayed
        .rejected
        .iter()
        .map(|reject| reject["reason"].to_string())
        .collect();
    assert!(
        reasons[0].contains("column payer.card.id is empty"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("payer.card.id is no single value"),
        "{reasons:?}"
    );
}

#[test]
fn a_file_entry_that_cannot_be_used_is_named() {
    for (from, to, expected) in [
        (
            "delimiter: \";\"",
            "delimiter: \"::\"",
            "file: delimiter \"::\" must be one ASCII character",
        ),
        (
            "delimiter: \";\"",
            "quote: \",\"",
            "file: delimiter and quote must differ",
        ),
        ("ausland]}", "nr]}", "file: columns has nr twice"),
        (
            "decimal_mark: \",\"",
            "decimal_mark: \".\"",
            "amount: thousands_mark and decimal_mark are both '.'",
        ),
        (
            "decimal_mark: \",\"",
            "decimal_mark: \"x\"",
            "amount: decimal_mark 'x' must be",
        ),
        (
            "thousands_mark: \".\"",
            "thousands_mark: \"x\"",
            "amount: thousands_mark 'x' must be",
        ),
        (
            "{column: kunde}",
            "{column: kunde, decimal_mark: \",\"}",
            "userId: decimal_mark and thousands_mark are for",
        ),
        (
            "zone: Europe/Berlin",
            "zone: UTC, disambiguation: first",
            "disambiguation \"first\" must be",
        ),
    ] {
        let error = mapping(&GERMAN.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
