//! Every table against apache-avro: a row has what the record's value has.

mod values;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_contract::framing;
use millrace_kafka::{SourcePartitions, partition_for};
use millrace_registry::WriterSchema;
use millrace_sink::{Origin, PartitionKey, Record, SourceId};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row as Found};
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use self::values::{Values, is_same};
use super::*;
use crate::avro::snake_case;
use crate::cells::Cells;
use crate::file;
use crate::name::Day;
use crate::table::Row;

const SCHEMA_ID: u32 = 7;
const PARTITION: i32 = 3;
/// Of each table.
const RECORDS: i64 = 300;

fn schemas(newest: Option<&str>) -> TopicSchemas {
    let settings = Settings::default();
    let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
    let newest = newest.map(|schema| (SCHEMA_ID, WriterSchema::avro(schema)));
    TopicSchemas::new(fetcher, newest)
}

fn framed(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    framing::write_header(SCHEMA_ID, &mut bytes);
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    bytes.extend(writer.write_value_to_vec(value.clone()).unwrap());
    bytes
}

fn record(partition: i32, offset: i64, payload: &[u8]) -> Record<'_> {
    Record {
        origin: Origin {
            partition: PartitionKey {
                source: SourceId(0),
                partition,
            },
            offset,
        },
        append_time_ms: None,
        key: None,
        payload: Some(payload),
    }
}

fn rows_of(file: Vec<u8>) -> Vec<Found> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A record's fields by their columns' names, those of a record in it in its place.
fn fields(value: &Value) -> Vec<(String, &Value)> {
    let Value::Record(found) = value else {
        panic!("{value:?}")
    };
    let mut flat = Vec::new();
    for (name, value) in found {
        match value {
            Value::Record(_) => flat.extend(fields(value)),
            _ => flat.push((snake_case(name), value)),
        }
    }
    flat
}

#[test]
fn each_row_has_what_its_record_has() {
    for table in TABLES.iter() {
        let schema = Schema::parse_str(table.spec.records.schema).unwrap();
        let reader = of(
            &Settings::default(),
            [table],
            &schemas(Some(table.spec.records.schema)),
        );
        let mut values = Values::new(Xoshiro256PlusPlus::seed_from_u64(1));
        let (mut written, mut cells_of) = (Vec::new(), Vec::new());
        for offset in 0..RECORDS {
            let value = values.make(&schema);
            let payload = framed(&schema, &value);
            let mut cells = Cells::new();
            let row = reader[0]
                .rows
                .read(&record(PARTITION, 2 * offset, &payload), &mut cells);
            let time = fields(&value)
                .into_iter()
                .find_map(|(name, value)| (name == snake_case(table.spec.day)).then_some(value));
            let Some(Value::TimestampMillis(time_ms)) = time else {
                panic!("{} has no {}: {value:?}", table.name, table.spec.day);
            };
            let day = Day::of_ms(*time_ms).unwrap();
            assert_eq!(row.unwrap(), Row::Of(day), "{}: {value:?}", table.name);
            written.push(value);
            cells_of.push((2 * offset, cells));
        }
        let cells: Vec<_> = cells_of
            .iter()
            .map(|(offset, cells)| (*offset, cells.bytes()))
            .collect();
        let found = rows_of(file::encode(table, PARTITION, &cells).unwrap());
        assert_eq!(found.len(), written.len());
        for (offset, (row, value)) in (0..).step_by(2).zip(found.iter().zip(&written)) {
            let mut columns = row.get_column_iter();
            for (name, value) in fields(value) {
                let (found_name, found) = columns.next().unwrap();
                assert_eq!(*found_name, name, "{}", table.name);
                assert!(
                    is_same(found, value),
                    "{}.{name}: {found:?}, and in the record {value:?}",
                    table.name
                );
            }
            let place: Vec<_> = columns.map(|(_, field)| field.clone()).collect();
            assert_eq!(place, [Field::Int(PARTITION), Field::Long(offset)]);
        }
    }
}

/// What readers of the lake rest on: a change here is one for them.
#[test]
fn the_schemas_are_as_they_were() {
    let found: Vec<_> = TABLES.iter().map(Table::schema).collect();
    let found = found.join("\n\n") + "\n";
    assert_eq!(found, include_str!("tests/schemas.txt"), "{found}");
}

#[test]
fn names_are_those_of_the_tables() {
    assert!(NAMES.iter().copied().eq(TABLES.iter().map(|table| table.name)));
    let mut columns: Vec<_> = NAMES.to_vec();
    columns.sort_unstable();
    columns.dedup();
    assert_eq!(columns.len(), NAMES.len(), "two tables have one name");
    for table in TABLES.iter() {
        let mut columns: Vec<_> = table.columns.iter().map(|column| &column.name).collect();
        columns.sort_unstable();
        columns.dedup();
        assert_eq!(
            columns.len(),
            table.columns.len(),
            "{}: two columns have one name",
            table.name
        );
    }
}

#[test]
fn the_page_of_the_lake_names_every_table() {
    let page = include_str!("../../../../docs/lake.md");
    for table in TABLES.iter() {
        let day = snake_case(table.spec.day);
        let ends = format!("| `{day}` | `{}` |", table.topic);
        let starts = format!("| `{}` |", table.name);
        let is_line = |line: &str| line.starts_with(&starts) && line.ends_with(&ends);
        assert!(page.lines().any(is_line), "{starts} … {ends}");
    }
}

#[test]
fn tables_are_of_the_streams_that_there_are() {
    let mut settings = Settings::default();
    let names = |settings: &Settings| -> Vec<_> { there(settings).map(|table| table.name).collect() };
    assert_eq!(
        names(&settings),
        ["transactions", "transaction_aggregates", "anomalies"]
    );
    settings.clickstream.enabled = true;
    assert_eq!(names(&settings)[3..], ["clickstream", "page_views", "sessions"]);
    for service in Service::ALL {
        settings.enable(service);
    }
    assert_eq!(names(&settings), NAMES);
}

/// What a stream's jobs refuse is their dead letter, and no row.
#[test]
fn what_the_jobs_refuse_is_no_row() {
    const APPENDED_MS: i64 = 1_767_225_600_000;
    let settings = Settings::default();
    let transaction = |time_ms: i64| {
        format!(
            r#"{{"transactionId": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "userId": "u-1", "amount": 12.5,
            "transactionTime": {time_ms}, "merchantId": "m-1", "transactionType": "purchase", "location": "London",
            "paymentMethod": "paypal", "isInternational": false, "currency": "GBP"}}"#
        )
    };
    let event = |time_ms: i64| {
        format!(
            r#"{{"event_id": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "event_type": "purchase", "user_id": "u-1",
            "product_id": "p-1", "price": 12.5, "quantity": 2, "region": "EU", "device": "mobile", "ts": {time_ms}}}"#
        )
    };
    let texts: [(&str, &dyn Fn(i64) -> String); 2] =
        [("transactions", &transaction), ("commerce_events", &event)];
    let place = partition_for(b"u-1", 5);
    for (name, text) in texts {
        let table = named(name).unwrap();
        let reader = open(&settings, table, &schemas(None), Some(SourcePartitions::fixed(5)));
        let read = |partition, payload: &str| {
            let mut record = record(partition, 1, payload.as_bytes());
            record.append_time_ms = Some(APPENDED_MS);
            reader.rows.read(&record, &mut Cells::new()).unwrap()
        };
        let skip = |code| Row::Skip { code };
        let day = Day::of_ms(APPENDED_MS).unwrap();
        assert_eq!(read(place, &text(APPENDED_MS)), Row::Of(day));
        assert_eq!(read((place + 1) % 5, &text(APPENDED_MS)), skip("misplaced"));
        assert_eq!(read(place, &text(APPENDED_MS + 60_001)), skip("far_future"));
        assert_eq!(
            read(place, &text(APPENDED_MS / 1_000)),
            skip("before_earliest_time")
        );
        assert_eq!(read(place, "{"), skip("bad_json"));
        assert_eq!(read(place, ""), skip("empty"));
    }
    let nothing = event(APPENDED_MS).replace(r#""quantity": 2"#, r#""quantity": 0"#);
    let reader = open(&settings, named("commerce_events").unwrap(), &schemas(None), None);
    let row = reader
        .rows
        .read(&record(place, 1, nothing.as_bytes()), &mut Cells::new());
    let code = "incomplete_purchase";
    assert_eq!(row.unwrap(), Row::Skip { code });
}
