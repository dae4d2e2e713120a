//! Files of shapes that users have: each is replayed by the mapping proposed for it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::case_tests::case;
use super::super::tests::{options, run};
use super::super::{Mapping, ReplayOptions};
use super::propose;

const CARDS: &str = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO\n\
    0,2018-04-01 00:00:31,596,3156,57.16,0,0\n\
    1,2018-04-01 00:02:10,4961,3412,81.51,0,0\n\
    2,2018-04-01 00:07:56,2,1365,146.0,0,0\n\
    3,2018-04-01 00:09:29,4128,8737,85.64999999999,0,0\n";

const BANK: &str = "\u{feff}Buchung;Kunde;Händler;Betrag;Währung;Art;Ausland;Zeit\n\
    B-1;k1;L1;1.234,56;EUR;Sale;ja;13.03.2024 10:00:00\n\
    B-2;k2;L2;12,50;CHF;Return;nein;14.03.2024 10:00:01\n";

const NESTED: &str = "{\"id\":\"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11\",\"payer\":{\"id\":12345678901,\"city\":\"Paris\"},\
    \"merchant\":\"m\",\"amount\":1.5,\"currency\":\"EUR\",\"ts\":1709287200123,\"tags\":[1]}\n\
    {\"id\":\"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a12\",\"payer\":{\"id\":2},\"merchant\":\"m\",\"amount\":2,\
    \"currency\":\"EUR\",\"ts\":1709287201123}\n";

/// As an export of a bank's is: a mark before it, lines as on Windows, the newest first.
fn export(id: &str) -> String {
    let mut text = format!(
        "\u{feff}{id};Buchungszeit (lokal);Konto/IBAN;Händler;Betrag;Währung;Soll/Haben;Saldo;Zahlungsart;Ausland?\r\n"
    );
    for row in (10..40).rev() {
        let (way, method) = if row % 7 == 0 {
            ("Haben", "Überweisung")
        } else {
            ("Soll", "Kreditkarte")
        };
        text += &format!(
            "2026-BU-{row};27.03.2026 09:00:{row};DE02;\"Bahn; Fern\";1.234,{row};EUR;{way};{row},50;{method};nein\r\n"
        );
    }
    text
}

/// The proposal for a file, which then is replayed by it: how many rows were sent.
fn propose_and_replay(path: &Path, folder: &Path) -> (String, usize) {
    let text = propose(path, None).unwrap();
    let mapping = folder.join("proposed.yml");
    fs::write(&mapping, &text).unwrap();
    Mapping::load(&mapping).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = ReplayOptions {
        sort: true,
        ..options(&[path.to_owned()], &mapping, folder)
    };
    let replayed = run(&options);
    assert!(replayed.rejected.is_empty(), "{:?}\n{text}", replayed.rejected);
    (text, replayed.sent.len())
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn card_transactions_are_understood_and_their_ground_truth_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (text, sent) = propose_and_replay(&write(folder.path(), "cards.csv", CARDS), folder.path());
    assert_eq!(sent, 4);
    has(
        &text,
        &[
            "\ntransactionId: {uuid5: \"cards/{TRANSACTION_ID}\"}\n",
            "\nuserId: {column: \"CUSTOMER_ID\"}\n",
            "\nmerchantId: {column: \"TERMINAL_ID\"}\n",
            "\namount: {column: \"TX_AMOUNT\", decimals: 2}\n",
            "\ntransactionTime: {column: \"TX_DATETIME\", zone: UTC}\n",
            "\ncurrency: {constant: EUR}\n",
            "# - currency: no column has it; EUR is a guess\n",
            "# - transactionTime: the times of TX_DATETIME name no zone; UTC is a guess\n",
            "# Columns that are not used: TX_FRAUD, TX_FRAUD_SCENARIO\n",
        ],
    );
}

#[test]
fn a_bank_s_file_keeps_its_marks_words_and_delimiter() {
    let folder = tempfile::tempdir().unwrap();
    let (text, sent) = propose_and_replay(&write(folder.path(), "bank.csv", BANK), folder.path());
    assert_eq!(sent, 2);
    has(
        &text,
        &[
            "\nfile: {delimiter: \";\"}\n",
            "\namount: {column: \"Betrag\", decimal_mark: \",\", thousands_mark: \".\"}\n",
            "\ntransactionTime: {column: \"Zeit\", format: \"%d.%m.%Y %H:%M:%S\", zone: UTC}\n",
            "\nisInternational: {column: \"Ausland\", values: {\"ja\": true, \"nein\": false}}\n",
            "\nuserId: {column: \"Kunde\"}\n",
        ],
    );
}

#[test]
fn an_id_is_known_by_its_name_or_by_its_values() {
    let folder = tempfile::tempdir().unwrap();
    for (name, id, guessed) in [
        ("named.csv", "Buchungs-Nr.", false),
        ("unnamed.csv", "Beleg", true),
    ] {
        let (text, sent) = propose_and_replay(&write(folder.path(), name, &export(id)), folder.path());
        assert_eq!(sent, 30);
        let stem = name.trim_end_matches(".csv");
        has(
            &text,
            &[
                &format!("\ntransactionId: {{uuid5: \"{stem}/{{{id}}}\"}}\n"),
                "\nuserId: {column: \"Konto/IBAN\"}\n",
                "\ntransactionType: {column: \"Soll/Haben\", values: {\"Haben\": refund, \"Soll\": purchase}}\n",
                "\npaymentMethod: {column: \"Zahlungsart\", values: {\"Kreditkarte\": credit_card, \"Überweisung\": \
                 bank_transfer}}\n",
                "# Columns that are not used: Saldo\n",
            ],
        );
        let told = text.contains("Beleg tells the first 30 rows apart, but does it in all of them?");
        assert_eq!(told, guessed, "{text}");
    }
}

#[test]
fn nested_json_and_parquet_are_proposed_by_path_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let (text, sent) = propose_and_replay(&write(folder.path(), "deep.ndjson", NESTED), folder.path());
    assert_eq!(sent, 2);
    has(
        &text,
        &[
            "\ntransactionId: {column: \"id\"}\n",
            "\nuserId: {column: \"payer.id\"}\n",
            "\nlocation: {column: \"payer.city\", default: Unknown}\n",
            "\ntransactionTime: {column: \"ts\", format: \"epoch_ms\"}\n",
            "\ncurrency: {column: \"currency\"}\n",
        ],
    );
    for (name, rows) in [
        ("C17/decimal.parquet", 10),
        ("C17/plain.parquet", 10),
        ("C18/uuid.parquet", 10),
        ("C10/newest-first.csv", 600),
        ("C09/ids.ndjson", 6),
    ] {
        let (text, sent) = propose_and_replay(&case(name), folder.path());
        assert_eq!(sent, rows, "{name}:\n{text}");
    }
}

#[test]
fn what_cannot_be_decided_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "when,what,type\n01/02/2024,-5,X9\n03/04/2024,7,purchase\n";
    let text = propose(&write(folder.path(), "odd.csv", rows), None).unwrap();
    has(
        &text,
        &[
            "# - transactionTime: no column has times of a form that is known here; give column and format\n",
            "# - amount: no column has numbers and a name that suits; give one\n",
            "# - userId: no column has a name that suits; give one\n",
            "# - transactionType: type has X9, whose meaning is not known here",
        ],
    );
    let rows = "date,amount,user,shop\n01/02/2024,-5,u,s\n03/04/2024,7,u,s\n";
    let text = propose(&write(folder.path(), "us.csv", rows), None).unwrap();
    has(
        &text,
        &[
            "date can be read as \"%m/%d/%Y\" as well",
            "amount: 1 of 2 in amount are 0 or below",
            "transactionId: no column tells rows apart",
        ],
    );
    let latin = folder.path().join("latin.csv");
    let bytes = [
        b"date,amount,user,shop\n01/02/2024,5,u,s\n01/02/2024,5,M".as_slice(),
        b"\xfcller,s\n",
    ];
    fs::write(&latin, bytes.concat()).unwrap();
    let text = propose(&latin, None).unwrap();
    has(
        &text,
        &["# - 1 of the first 2 rows cannot be read, the first because column user is not UTF-8\n"],
    );
    fs::write(&latin, b"date,amount,user,h\xe4ndler\n01/02/2024,5,u,s\n").unwrap();
    let error = propose(&latin, None).unwrap_err().to_string();
    assert!(error.ends_with("iconv -f WINDOWS-1252 -t UTF-8"), "{error}");
    let error = propose(Path::new("-"), Some(super::FileFormat::Csv)).unwrap_err();
    assert!(error.to_string().contains("give its name"), "{error}");
}
