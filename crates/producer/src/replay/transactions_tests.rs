//! Files read without a stream.

use std::fs;
use std::path::PathBuf;

use super::*;

const MAPPING: &str = "transactionId: {uuid5: \"case/{id}\"}\nuserId: {column: user}\n\
                       amount: {column: amount}\ntransactionTime: {column: time}\n\
                       merchantId: {constant: m}\ntransactionType: {constant: purchase}\n\
                       location: {constant: Oslo}\npaymentMethod: {constant: credit_card}\n\
                       isInternational: {constant: false}\ncurrency: {constant: EUR}\n";

/// The third row is bad, and the last one of before 2000.
const ROWS: &str = "id,user,amount,time,fraud\n1,b,1,2024-03-01T10:00:02Z,1\n\
                    2,a,2,2024-03-01T10:00:01Z,0\n3,c,-1,2024-03-01T10:00:00Z,0\n\
                    4,d,4,1970-01-20T10:00:00Z,1\n";

fn put(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn transactions_come_by_time_and_bad_rows_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mapping) = (put(&folder, "a.csv", ROWS), put(&folder, "m.yml", MAPPING));
    let rejects = folder.path().join("rejects.ndjson");
    let mut transactions =
        Transactions::open(&[file], None, &mapping, Some(&rejects), 946_684_800_000).unwrap();
    let mut users = Vec::new();
    while let Some(transaction) = transactions.read().unwrap() {
        users.push(transaction.user_id.to_string());
    }
    assert_eq!(users, ["a", "b"]);
    assert_eq!(transactions.rejected(), 2);
    drop(transactions);
    let written = fs::read_to_string(rejects).unwrap();
    assert_eq!(written.lines().count(), 2, "{written}");
    assert!(
        written.contains("must be above 0") && written.contains("earliest_time"),
        "{written}"
    );
}

#[test]
fn other_columns_come_with_their_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mapping) = (put(&folder, "a.csv", ROWS), put(&folder, "m.yml", MAPPING));
    let mut seen = Vec::new();
    visit(
        std::slice::from_ref(&file),
        None,
        &mapping,
        &["fraud".to_owned()],
        |transaction, cells| {
            seen.push(format!("{} {}", transaction.user_id, cells[0]));
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(seen, ["b 1", "a 0", "d 1"]);
    let columns = ["frued".to_owned()];
    let missing = visit(&[file], None, &mapping, &columns, |_, _| Ok(())).unwrap_err();
    assert!(
        missing.to_string().contains("there is no column frued"),
        "{missing}"
    );
}
