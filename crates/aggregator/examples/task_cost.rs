//! What a record costs in instructions in a job's task: decoding, bounds, placement, operator and
//! outputs, for callgrind. `operator_cost` of the crate `fraud` counts the operator alone.
//!
//! ```text
//! cargo build --release -p millrace-aggregator --example task_cost
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!     target/release/examples/task_cost partial 200000
//! ```
//!
//! The stages are `stream` (the records alone, to be taken from the others) and `partial`.

#![allow(clippy::print_stdout, reason = "it is its output")]

use std::error::Error;
use std::sync::Arc;

use millrace_aggregator::partial::{PartialJob, PartialParts, PartialTopics};
use millrace_contract::source::NoRegistry;
use millrace_domain::codec::{TransactionReader, transaction};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::windowed::PartialPolicy;
use millrace_engine::{HashSeed, near};
use millrace_kafka::{RecordHeaders, SourcePartitions};
use millrace_runtime::processor::Refusal;
use millrace_runtime::windowed::WindowMetrics;
use millrace_runtime::{InputRecord, Job as _, JobMetrics, Outbox, OutputRecord, Task as _};
use millrace_settings::MisplacedRecords;

const SCHEMA_ID: u32 = 1;
/// Of event time: some windows close in 200,000 records.
const RECORDS_PER_MS: i64 = 2;
const START_MS: i64 = 1_760_011_200_000;

/// Counts what a task sends.
#[derive(Default)]
struct Counted {
    records: u64,
    bytes: usize,
}

impl Outbox for Counted {
    fn send(&mut self, record: OutputRecord<'_>) {
        self.records += 1;
        self.bytes += record.payload.len();
    }

    fn copy(&mut self, _: &InputRecord<'_>, _: &str, _: &[(&str, &[u8])]) {
        self.records += 1;
    }

    fn dead_letter(&mut self, _: &InputRecord<'_>, _: &'static str, _: &str) {
        self.records += 1;
    }

    fn is_replay(&self) -> bool {
        false
    }
}

fn values(count: i64) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut values = Vec::new();
    for number in 0..count {
        let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&mixed.to_be_bytes());
        let record = Transaction {
            transaction_id: TransactionId::from_bytes(id),
            user_id: ShortId::new(&format!("u-{}", mixed >> 48), "userId")?,
            amount: Amount::from_f64(20.0)?,
            transaction_time_ms: START_MS + number / RECORDS_PER_MS,
            merchant_id: ShortId::new(&format!("m-{}", (mixed >> 32) % 5_000), "merchantId")?,
            transaction_type: TransactionType::Purchase,
            location: ShortId::new("London", "location")?,
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: Currency::parse(b"EUR")?,
        };
        let mut value = Vec::new();
        transaction::encode_framed(SCHEMA_ID, &record, &mut value);
        values.push(value);
    }
    Ok(values)
}

fn job() -> Result<PartialJob, Box<dyn Error>> {
    Ok(PartialJob::new(PartialParts {
        policy: PartialPolicy::new(10_000, 0, 5_000)?,
        max_future_ms: 60_000,
        earliest_ms: 0,
        source: Arc::new(SourcePartitions::fixed(1)),
        upstream: None,
        refusal: Refusal::DeadLetter,
        misplaced_records: MisplacedRecords::Count,
        seed: HashSeed::FIXED,
        topics: PartialTopics {
            input: "in".to_owned(),
            control: "control".to_owned(),
            partials: "partials".to_owned(),
            partials_control: "partials-control".to_owned(),
            late: Some("late".to_owned()),
        },
        partials_partitions: 3,
        schema_id: 2,
        reader: TransactionReader::new(NoRegistry).with_own_schema_id(SCHEMA_ID),
        metrics: JobMetrics::of("task-cost")?,
        windows: WindowMetrics::of("task-cost")?,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (stage, count) = (
        arguments.next().unwrap_or_default(),
        arguments.next().unwrap_or_default(),
    );
    let values = values(count.parse()?)?;
    if stage == "stream" {
        println!("{} records", values.len());
        return Ok(());
    }
    let (mut task, mut outbox) = (job()?.task(0), Counted::default());
    let record = |(offset, value)| InputRecord {
        topic: "in",
        partition: 0,
        offset,
        timestamp_ms: START_MS + offset / RECORDS_PER_MS,
        is_append_time: true,
        key: None,
        payload: Some(value),
        headers: RecordHeaders::NONE,
    };
    let all: Vec<_> = (0..).zip(values.iter().map(Vec::as_slice)).map(record).collect();
    for group in all.chunks(near::GROUP) {
        task.prepare(group);
        for record in group {
            task.process(record, &mut outbox)?;
        }
    }
    println!("{} outputs, {} bytes", outbox.records, outbox.bytes);
    Ok(())
}
