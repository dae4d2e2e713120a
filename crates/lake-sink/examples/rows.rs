//! How many rows a second of processor time the sink makes of transactions, without Kafka:
//! decoding, columns, zstd, and files in a folder.
//!
//!     cargo run --release -p millrace-lake-sink --example rows -- 5000000

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_domain::codec::transaction;
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, schema,
};
use millrace_lake_sink::metrics::Metrics;
use millrace_lake_sink::sink::LakeSink;
use millrace_lake_sink::store::folder::Folder;
use millrace_lake_sink::tables;
use millrace_registry::{SchemaFetcher, WriterSchema};
use millrace_service::registry::{self, TopicSchemas};
use millrace_settings::Settings;
use millrace_sink::{Backoff, Decision, Origin, PartitionKey, Record, Sink as _, SourceId, Work, WriteBatch};
use nix::sys::resource::{UsageWho, getrusage};
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use tokio::runtime::Handle;

const SCHEMA_ID: u32 = 1;
const START_MS: i64 = 1_767_225_600_000;

#[allow(clippy::print_stdout, reason = "what it is for")]
fn main() -> Result<()> {
    let rows: usize = std::env::args()
        .nth(1)
        .map_or(Ok(5_000_000), |rows| rows.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let root = tempfile::tempdir()?;
    let settings = Settings::default();
    let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
    let own = WriterSchema::avro(schema::TRANSACTION);
    let schemas = TopicSchemas::new(fetcher, Some((SCHEMA_ID, own)));
    let readers = tables::of(&settings, tables::named("transactions"), &schemas);
    let backoff = Backoff {
        initial: Duration::from_millis(1),
        max: Duration::from_millis(2),
    };
    let folder = Folder::new(root.path().to_owned());
    let handle = runtime.handle().clone();
    let sink = LakeSink::new(folder, readers, backoff, Metrics::register()?, handle);
    let mut made = Maker(Xoshiro256PlusPlus::seed_from_u64(7));
    let (mut offset, mut cpu, mut wall) = (0, Duration::ZERO, Duration::ZERO);
    while offset < rows {
        let values: Vec<Vec<u8>> = (0..settings.lake_sink.max_rows.min(rows - offset))
            .map(|at| made.value(offset + at))
            .collect::<Result<_>>()?;
        let (cpu_before, start) = (cpu_time()?, Instant::now());
        write(&sink, runtime.handle(), offset, &values)?;
        offset += values.len();
        cpu += cpu_time()?.saturating_sub(cpu_before);
        wall += start.elapsed();
    }
    let bytes = size(root.path())?;
    println!(
        "{rows} rows: {:.0} a second of processor time, {:.0} by the clock; {:.1} bytes a row",
        rows as f64 / cpu.as_secs_f64(),
        rows as f64 / wall.as_secs_f64(),
        bytes as f64 / rows as f64,
    );
    Ok(())
}

/// A batch of one partition.
fn write(sink: &LakeSink<Folder>, runtime: &Handle, from: usize, values: &[Vec<u8>]) -> Result<()> {
    let partition = PartitionKey {
        source: SourceId(0),
        partition: 0,
    };
    let origin = |at: usize| Origin {
        partition,
        offset: (from + at) as i64,
    };
    if from == 0 {
        sink.begin(origin(0))?;
    }
    let mut items = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let decision = sink.decide(&Record {
            origin: origin(at),
            append_time_ms: None,
            key: None,
            payload: Some(value),
        })?;
        let Decision::Work(Work::Write(row)) = decision else {
            bail!("record {at} is no row");
        };
        items.push((origin(at), row));
    }
    let batch = WriteBatch {
        items: items.iter().map(|(origin, row)| (*origin, row)).collect(),
        spans: &[],
    };
    let written = runtime.block_on(sink.write(black_box(&batch)));
    if !written.again.is_empty() {
        bail!(written.again_message);
    }
    Ok(())
}

struct Maker(Xoshiro256PlusPlus);

impl Maker {
    /// One of a million users pays one of five thousand merchants, 33,333 a second.
    fn value(&mut self, at: usize) -> Result<Vec<u8>> {
        let random = &mut self.0;
        let user = format!("user-{:06}", random.random_range(0..1_000_000));
        let merchant = format!("shop-{:04}", random.random_range(0..5_000));
        let city = [
            "Oslo", "Bergen", "London", "Paris", "Berlin", "Madrid", "Rome", "Vienna",
        ];
        let id: [u8; 16] = random.random();
        let transaction = Transaction {
            transaction_id: TransactionId::from_bytes(id),
            user_id: ShortId::new(&user, "userId")?,
            amount: Amount::from_units(random.random_range(100..10_000_000)).context("an amount")?,
            transaction_time_ms: START_MS + at as i64 * 1_000 / 33_333,
            merchant_id: ShortId::new(&merchant, "merchantId")?,
            transaction_type: TransactionType::ALL[usize::from(random.random_ratio(1, 20))],
            location: ShortId::new(city[random.random_range(0..city.len())], "location")?,
            payment_method: PaymentMethod::ALL[random.random_range(0..3)],
            is_international: random.random_ratio(1, 10),
            currency: Currency::parse([b"EUR", b"USD", b"NOK"][random.random_range(0..3)])?,
        };
        let mut value = Vec::new();
        transaction::encode_framed(SCHEMA_ID, &transaction, &mut value);
        Ok(value)
    }
}

fn cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

fn size(folder: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.path().is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
