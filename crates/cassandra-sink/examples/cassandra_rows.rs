//! What rows cost, in processor time of the sink and of Cassandra, without Kafka: aggregates are
//! decoded and written to a node that runs, in the batches of the default settings.
//!
//!     cargo run -p millrace-stack --example cassandra -- FOLDER 9142   # says its process id
//!     cargo run -p millrace-cassandra-sink --example cassandra_rows -- \
//!         127.0.0.1:9142 PROCESS 200000

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_cassandra_sink::metrics::Metrics;
use millrace_cassandra_sink::rows::Readers;
use millrace_cassandra_sink::sink::CassandraSink;
use millrace_cassandra_sink::store::Store;
use millrace_domain::codec::aggregate;
use millrace_domain::{Amount, Currency, MerchantAggregate, ShortId, Sum, Totals, schema};
use millrace_kafka::clock::now_ms;
use millrace_registry::{SchemaFetcher, WriterSchema};
use millrace_service::registry::{self, TopicSchemas};
use millrace_settings::Settings;
use millrace_sink::{Decision, Origin, PartitionKey, Record, Sink as _, SourceId, Work, WriteBatch};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::runtime::Runtime;

const SCHEMA_ID: u32 = 1;
const MERCHANTS: usize = 5_000;
const MINUTE_MS: i64 = 60_000;
/// The unit of times in /proc: 100 on every Linux.
const TICKS_PER_S: u64 = 100;

#[allow(clippy::print_stdout, reason = "what it is for")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        let given = arguments.next();
        given.context("the node's address, its process id and a number of rows are to be given")
    };
    let (address, server, rows) = (next()?, next()?.parse()?, next()?.parse()?);
    let mut settings = Settings::default();
    settings.cassandra_sink.contact_points = address;
    let runtime = Runtime::new()?;
    let store = runtime.block_on(Store::open(&settings.cassandra_sink, Metrics::register()?))?;
    let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
    let own = WriterSchema::avro(schema::MERCHANT_AGGREGATE);
    let readers = Readers::of(&TopicSchemas::new(fetcher, Some((SCHEMA_ID, own))));
    let sink = CassandraSink::new(&settings, store, readers);
    let values = (0..rows).map(value).collect::<Result<Vec<_>>>()?;
    let (own, servers, start) = (cpu_time()?, cpu_time_of(server)?, Instant::now());
    let batches = values.chunks(settings.cassandra_sink.max_rows);
    for (batch, from) in batches.zip((0..).step_by(settings.cassandra_sink.max_rows)) {
        write(&sink, &runtime, from, batch)?;
    }
    let wall = start.elapsed().as_secs_f64();
    let own = cpu_time()?.saturating_sub(own).as_secs_f64();
    let servers = cpu_time_of(server)?.saturating_sub(servers).as_secs_f64();
    println!(
        "{rows} rows in {wall:.1} s: {:.0} a second; processor time {own:.1} s of the sink, {servers:.1} s of \
         Cassandra: the sink's is {:.0} % of Cassandra's",
        rows as f64 / wall,
        100.0 * own / servers,
    );
    Ok(())
}

/// A batch of one partition.
fn write(sink: &CassandraSink, runtime: &Runtime, from: usize, values: &[Vec<u8>]) -> Result<()> {
    let partition = PartitionKey {
        source: SourceId(0),
        partition: 0,
    };
    let mut items = Vec::with_capacity(values.len());
    for (offset, value) in (from..).zip(values) {
        let origin = Origin {
            partition,
            offset: offset as i64,
        };
        let decision = sink.decide(&Record {
            origin,
            append_time_ms: None,
            key: None,
            payload: Some(value),
        })?;
        let Decision::Work(Work::Write(rows)) = decision else {
            bail!("record {offset} makes no row");
        };
        items.push((origin, rows));
    }
    let batch = WriteBatch {
        items: items.iter().map(|(origin, rows)| (*origin, rows)).collect(),
        spans: &[],
    };
    let written = runtime.block_on(sink.write(&batch));
    if !(written.again.is_empty() && written.blocked.is_empty()) {
        bail!("not written: {} {:?}", written.again_message, written.reasons);
    }
    Ok(())
}

/// Each merchant's window of a minute, one minute after the other.
fn value(at: usize) -> Result<Vec<u8>> {
    let start_ms = now_ms() / MINUTE_MS * MINUTE_MS - (at / MERCHANTS) as i64 * MINUTE_MS;
    let count = at as u64 % 97;
    let aggregate = MerchantAggregate {
        merchant_id: ShortId::new(&format!("shop-{:04}", at % MERCHANTS), "merchantId")?,
        currency: Currency::parse(b"EUR")?,
        window_start_ms: start_ms,
        window_end_ms: start_ms + MINUTE_MS,
        totals: Totals {
            purchase_count: count,
            purchase_sum: Sum::from_units(at as i128 * 1_234_567),
            refund_count: 1,
            refund_sum: Sum::from_units(10_000),
            min_amount: Amount::from_units(1).context("an amount")?,
            max_amount: Amount::from_units(9_999_999).context("an amount")?,
        },
        distinct_users: count,
        revision: 0,
    };
    let mut value = Vec::new();
    aggregate::encode_framed(SCHEMA_ID, &aggregate, &mut value);
    Ok(value)
}

fn cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

/// Processor time of another process (proc(5): utime and stime, the 14th and 15th field).
fn cpu_time_of(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, which may have blanks, ends with the last parenthesis.
    let (_, fields) = text.rsplit_once(')').context("no name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || anyhow::Ok(fields.next().context("too few fields")?.parse::<u64>()?);
    let ticks = ticks()? + ticks()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_S))
}
