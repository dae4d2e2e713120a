//! Records of CSV files, with quotes that agree and quotes that do not.

use proptest::prelude::*;

use super::csv_reader::*;

/// What a text is read as: the fields of each record, or the line that is bad, with the line's
/// number.
fn read(text: &str, fields: usize) -> Vec<(u64, Result<Vec<String>, String>)> {
    let mut reader = CsvReader::new(text.as_bytes(), Dialect::default());
    reader.expect(fields);
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    std::iter::from_fn(|| match reader.read().unwrap() {
        Outcome::Record => Some((reader.line(), Ok(reader.record().iter().map(owned).collect()))),
        Outcome::Bad(_) => Some((reader.line(), Err(owned(reader.bad_line())))),
        Outcome::End => None,
    })
    .collect()
}

fn good(line: u64, fields: &[&str]) -> (u64, Result<Vec<String>, String>) {
    (line, Ok(fields.iter().map(|&field| field.to_owned()).collect()))
}

fn bad(line: u64, text: &str) -> (u64, Result<Vec<String>, String>) {
    (line, Err(text.to_owned()))
}

#[test]
fn a_stray_quote_costs_its_own_line() {
    let (one, two) = (good(1, &["1", "a"]), good(3, &["3", "c"]));
    // Not closed at all, closed in vain by a later quoted field, and joined with a row whose quote
    // is stray too.
    assert_eq!(
        read("1,a\n2,\"b\n3,c\n", 2),
        [one.clone(), bad(2, "2,\"b"), two.clone()]
    );
    assert_eq!(
        read("1,a\r\n2,\"b\r\n3,\"c\"\r\n", 2),
        [one.clone(), bad(2, "2,\"b"), two.clone()]
    );
    assert_eq!(
        read("1,a\n2,\"b\n3,\",c\"\n4,d", 2),
        [one, bad(2, "2,\"b"), good(3, &["3", ",c"]), good(4, &["4", "d"])]
    );
    assert_eq!(
        read("1,\"a\n2,\"\n3,c\n", 2),
        [good(1, &["1", "a\n2,"]), two],
        "two stray quotes can make a row of the right width, and nothing tells it from one that is meant"
    );
    assert_eq!(
        read("1,\"a\n2,\",b\n3,c\n", 2),
        [bad(1, "1,\"a"), bad(2, "2,\",b"), good(3, &["3", "c"])]
    );
}

#[test]
fn quoted_fields_may_have_delimiters_quotes_and_lines() {
    assert_eq!(
        read("1,\"a, \"\"b\"\"\nc\"\n\n2,\"\"\n3,\"d\" \n4,e \"f\" g\n5,", 2),
        [
            good(1, &["1", "a, \"b\"\nc"]),
            good(4, &["2", ""]),
            good(5, &["3", "d"]),
            good(6, &["4", "e \"f\" g"]),
            good(7, &["5", ""]),
        ]
    );
    let mut unquoted = CsvReader::new(
        "1;\"a\n".as_bytes(),
        Dialect {
            delimiter: b';',
            quote: None,
        },
    );
    assert_eq!(unquoted.read().unwrap(), Outcome::Record);
    assert_eq!(unquoted.record().get(1), b"\"a");
}

#[test]
fn a_quote_that_stays_open_is_found_in_files_of_any_size() {
    let rows = format!("1,{}\n", "a".repeat(200)).repeat(25_000);
    let text = format!("0,\"x\n{rows}");
    assert!(text.len() > MAX_RECORD_BYTES);
    let read = read(&text, 2);
    assert_eq!(read[0], bad(1, "0,\"x"));
    assert_eq!(read.len(), 25_001);
    assert!(read[1..].iter().all(|(_, row)| row.is_ok()));
    let long = format!("1,a\n2,{}\n3,c\n", "b".repeat(MAX_RECORD_BYTES));
    let read = self::read(&long, 2);
    assert_eq!(
        (&read[0], &read[2]),
        (&good(1, &["1", "a"]), &good(3, &["3", "c"]))
    );
    assert!(read[1].1.is_err() && read.len() == 3);
}

proptest! {
    #[test]
    fn what_a_library_writes_is_read(rows in prop::collection::vec(
        prop::collection::vec("[a\",\n\r é]{0,6}", 3), 1..20)
    ) {
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::NonNumeric).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let read: Vec<Vec<String>> = read(&text, 3).into_iter().map(|(_, row)| row.unwrap()).collect();
        prop_assert_eq!(read, rows);
    }
}
