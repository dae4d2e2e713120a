//! Types of Parquet, as other programs write them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::csv_rows::CsvOptions;
use super::rows::{Cell, FileFormat, open};

/// A column's values, with the definition level of each row where it is not required.
enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<[u32; 3]>),
    Float(Vec<f32>),
    Bytes(Vec<&'static [u8]>),
    Fixed(Vec<Vec<u8>>),
}

/// Writes a file of one row group.
fn write(directory: &Path, schema: &str, columns: Vec<(Values, Option<Vec<i16>>)>) -> PathBuf {
    let path = directory.join("types.parquet");
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).unwrap());
    // Dictionaries are how most programs write texts.
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(true).build());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (values, levels) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let levels = levels.as_deref();
        match (column.untyped(), values) {
            (ColumnWriter::Int32ColumnWriter(writer), Values::Int32(values)) => {
                writer.write_batch(&values, levels, None)
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Int64(values)) => {
                writer.write_batch(&values, levels, None)
            }
            (ColumnWriter::FloatColumnWriter(writer), Values::Float(values)) => {
                writer.write_batch(&values, levels, None)
            }
            (ColumnWriter::Int96ColumnWriter(writer), Values::Int96(values)) => {
                let values: Vec<Int96> = values
                    .into_iter()
                    .map(|value| Int96::from(value.to_vec()))
                    .collect();
                writer.write_batch(&values, levels, None)
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Bytes(values)) => {
                let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
                writer.write_batch(&values, levels, None)
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Values::Fixed(values)) => {
                let values: Vec<FixedLenByteArray> =
                    values.into_iter().map(FixedLenByteArray::from).collect();
                writer.write_batch(&values, levels, None)
            }
            _ => panic!("the values are not of the column's type"),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    path
}

/// The cells of a column, or why a row has none.
fn cells(path: &Path, column: &str) -> Vec<Result<Cell, String>> {
    let columns = [column.to_owned()];
    let mut rows = open(path, FileFormat::Parquet, &CsvOptions::default(), &columns).unwrap();
    let mut cells = Vec::new();
    std::iter::from_fn(|| {
        let row = rows.next_row(&mut cells).unwrap()?;
        Some(row.map(|()| cells[0].clone()))
    })
    .collect()
}

fn one(schema: &str, values: Values) -> Vec<Result<Cell, String>> {
    let directory = tempfile::tempdir().unwrap();
    cells(&write(directory.path(), schema, vec![(values, None)]), "x")
}

fn number(text: &str) -> Result<Cell, String> {
    Ok(Cell::Number(text.to_owned()))
}

fn text(text: &str) -> Result<Cell, String> {
    Ok(Cell::Text(text.to_owned()))
}

#[test]
fn numbers_are_what_they_stand_for() {
    let int64 = |schema: &str, value| one(schema, Values::Int64(vec![value])).remove(0);
    assert_eq!(
        int64("required int64 x (UINT_64);", -1),
        number("18446744073709551615")
    );
    assert_eq!(
        int64("required int64 x;", i64::MIN),
        number("-9223372036854775808")
    );
    assert_eq!(
        int64("required int64 x (DECIMAL(18, 4));", -50_001),
        number("-5.0001")
    );
    let int32 = |schema: &str, value| one(schema, Values::Int32(vec![value])).remove(0);
    assert_eq!(int32("required int32 x (UINT_32);", -1), number("4294967295"));
    assert_eq!(int32("required int32 x (UINT_8);", 200), number("200"));
    assert_eq!(int32("required int32 x (DECIMAL(9, 2));", 1_250), number("12.50"));
    assert_eq!(
        one("required float x;", Values::Float(vec![57.16]))[0],
        number("57.16")
    );
    let wide = Values::Bytes(vec![&[0x01, 0, 0, 0, 0, 0, 0, 0, 0], &[0xff]]);
    assert_eq!(
        one("required binary x (DECIMAL(38, 0));", wide),
        [number("18446744073709551616"), number("-1")]
    );
    let fixed = Values::Fixed(vec![vec![0xff; 16], vec![0; 16]]);
    assert_eq!(
        one("required fixed_len_byte_array(16) x (DECIMAL(38, 2));", fixed),
        [number("-0.01"), number("0.00")]
    );
}

#[test]
fn times_are_instants_or_local() {
    let noon = 1_522_584_031_000;
    let int64 = |schema: &str, value| one(schema, Values::Int64(vec![value])).remove(0);
    for (kind, value, expected) in [
        ("TIMESTAMP(MILLIS, true)", noon, Cell::Instant(noon)),
        ("TIMESTAMP(MICROS, false)", noon * 1_000 + 999, Cell::Local(noon)),
        (
            "TIMESTAMP(NANOS, true)",
            noon * 1_000_000 + 999_999,
            Cell::Instant(noon),
        ),
        ("TIMESTAMP(NANOS, true)", -1, Cell::Instant(-1)),
        ("TIMESTAMP_MILLIS", noon, Cell::Instant(noon)),
        (
            "TIME(MICROS, true)",
            3_661_250_000,
            Cell::Text("01:01:01.250000".to_owned()),
        ),
    ] {
        assert_eq!(
            int64(&format!("required int64 x ({kind});"), value),
            Ok(expected),
            "{kind}"
        );
    }
    // INT96 is a day of the Julian calendar and the nanoseconds of that day, and means UTC.
    let nanos: u64 = 12 * 3_600 * 1_000_000_000;
    let day = 2_440_588 + 17_622;
    let value = [(nanos & 0xffff_ffff) as u32, (nanos >> 32) as u32, day];
    assert_eq!(
        one("required int96 x;", Values::Int96(vec![value])),
        [Ok(Cell::Instant(17_622 * 86_400_000 + 43_200_000))]
    );
    let date = one("required int32 x (DATE);", Values::Int32(vec![17_622])).remove(0);
    assert_eq!(date.as_ref().unwrap().to_string(), "2018-04-01");
    assert_eq!(date, Ok(Cell::Date(17_622)));
    let time = one(
        "required int32 x (TIME(MILLIS, true));",
        Values::Int32(vec![43_231_000]),
    );
    assert_eq!(time, [text("12:00:31")]);
}

#[test]
fn texts_are_utf8_or_cost_their_row() {
    let words = Values::Bytes(vec![b"a", b" b ", b"", b"\xff\xfe", b"a"]);
    let bad = || Err("column x is not UTF-8".to_owned());
    let expected = [text("a"), text("b"), Ok(Cell::Empty), bad(), text("a")];
    assert_eq!(one("required binary x (UTF8);", words), expected);
    let fixed = || {
        vec![
            b"ab\0\0".to_vec(),
            b"abcd".to_vec(),
            b"\0\0\0\0".to_vec(),
            vec![0xff; 4],
        ]
    };
    assert_eq!(
        one("required fixed_len_byte_array(4) x;", Values::Fixed(fixed())),
        [text("ab"), text("abcd"), Ok(Cell::Empty), bad()]
    );
    let uuid = one(
        "required fixed_len_byte_array(16) x (UUID);",
        Values::Fixed(vec![vec![0xab; 16]]),
    );
    assert_eq!(uuid, [text("abababab-abab-abab-abab-abababababab")]);
}

#[test]
fn columns_in_structures_are_named_by_their_path() {
    let directory = tempfile::tempdir().unwrap();
    let schema = "optional group payer { optional group card { optional int64 id; } required int32 age; }";
    let ids = (Values::Int64(vec![7, 8]), Some(vec![3, 2, 1, 0, 3]));
    let ages = (Values::Int32(vec![1, 2, 3, 4]), Some(vec![1, 1, 1, 0, 1]));
    let path = write(directory.path(), schema, vec![ids, ages]);
    let empty = || Ok(Cell::Empty);
    let expected = [number("7"), empty(), empty(), empty(), number("8")];
    assert_eq!(cells(&path, "payer.card.id"), expected);
    assert_eq!(
        cells(&path, "payer.age"),
        [number("1"), number("2"), number("3"), empty(), number("4")]
    );
    let refused = |column: &str| {
        let columns = [column.to_owned()];
        let error = open(&path, FileFormat::Parquet, &CsvOptions::default(), &columns).err();
        error.unwrap().to_string()
    };
    assert!(refused("payer").contains("name one of payer.card.id, payer.age"));
    assert!(refused("payer.name").contains("there is no column payer.name"));
    let schema = "required group tags (LIST) { repeated group list { required int32 element; } }";
    let path = {
        let file = directory.path().join("list.parquet");
        let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).unwrap());
        SerializedFileWriter::new(File::create(&file).unwrap(), schema, Arc::default())
            .unwrap()
            .close()
            .unwrap();
        file
    };
    let columns = ["tags.list.element".to_owned()];
    let error = open(&path, FileFormat::Parquet, &CsvOptions::default(), &columns)
        .err()
        .unwrap();
    assert!(error.to_string().contains("is in a list"), "{error}");
}

#[test]
fn rows_before_a_page_that_cannot_be_read_are_given() {
    let directory = tempfile::tempdir().unwrap();
    let values: Vec<i64> = (0..5_000).collect();
    let schema = Arc::new(parse_message_type("message rows { required int64 x; }").unwrap());
    let path = directory.path().join("broken.parquet");
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(100)
        .build();
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    if let ColumnWriter::Int64ColumnWriter(writer) = column.untyped() {
        writer.write_batch(&values, None, None).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    // The header of a page in the midst of the column is written over.
    let mut bytes = fs::read(&path).unwrap();
    bytes[20_000..28_000].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let mut rows = open(
        &path,
        FileFormat::Parquet,
        &CsvOptions::default(),
        &["x".to_owned()],
    )
    .unwrap();
    let (mut read, mut cells) = (0, Vec::new());
    let error = loop {
        match rows.next_row(&mut cells) {
            Ok(Some(row)) => {
                row.unwrap();
                read += 1;
            }
            Ok(None) => panic!("the file is read to its end"),
            Err(error) => break format!("{error:#}"),
        }
    };
    assert!(read >= 500, "{read} rows before: {error}");
    assert!(
        error.contains(&format!("broken.parquet at row {}", read + 1)),
        "{error}"
    );
}
