//! What snapshots and restores cost: the pause of a freeze, what records wait for afterwards, and
//! the time to write, check and restore; for a detector with a million users, and for stage 1 of
//! aggregation with three million ids.
//!
//! `cargo run --release -p millrace-fraud --example snapshot_cost`

#![allow(clippy::print_stdout, reason = "it is its output")]

use std::error::Error;
use std::time::{Duration, Instant};

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city,
};
use millrace_engine::dedup::RecentPayloads;
use millrace_engine::snapshot::container::{self, Expected, Header, SnapshotWriter};
use millrace_engine::windowed::PartialPolicy;
use millrace_engine::{FrozenState, HashSeed, Operator};
use millrace_fraud::{DetectOperator, DetectSettings};
use millrace_payments::{PartialAggregate, PerMerchant};
use nix::time::ClockId;

const USERS: u64 = 1_000_000;
/// Records between two looks at the clock.
const SLICE: usize = 100;
const ROUNDS: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Users at random, each at home.
struct Stream {
    state: u64,
    sent: u64,
    /// Of event time.
    records_per_s: u64,
    homes: Vec<ShortId>,
    merchants: Vec<ShortId>,
    currency: Currency,
}

impl Stream {
    fn new(records_per_s: u64) -> Outcome<Self> {
        let homes = city::ALL.iter().map(|city| ShortId::new(city.name, "location"));
        let merchants = (0..5_000).map(|number| ShortId::new(&format!("m-{number}"), "merchantId"));
        Ok(Self {
            state: 1,
            sent: 0,
            records_per_s,
            homes: homes.collect::<Result<_, _>>()?,
            merchants: merchants.collect::<Result<_, _>>()?,
            currency: Currency::parse(b"EUR")?,
        })
    }

    fn next(&mut self) -> Outcome<Transaction> {
        // Everybody once, then at random.
        let draw = random(&mut self.state);
        let user = if self.sent < USERS {
            self.sent
        } else {
            draw % USERS
        };
        let id = u128::from(random(&mut self.state)) << 64 | u128::from(self.sent);
        self.sent += 1;
        Ok(Transaction {
            transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
            user_id: ShortId::new(&format!("u{user}"), "userId")?,
            amount: Amount::from_units(10_000 + (draw >> 40) as i64 % 1_000_000).ok_or("no amount")?,
            transaction_time_ms: 1_760_000_000_000 + (self.sent * 1_000 / self.records_per_s) as i64,
            merchant_id: self.merchants[(draw >> 20) as usize % self.merchants.len()],
            transaction_type: TransactionType::Purchase,
            location: self.homes[user as usize % self.homes.len()],
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: self.currency,
        })
    }

    fn batch(&mut self, count: usize) -> Outcome<Vec<Transaction>> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// This thread's time on a processor: on a busy machine, the clock also counts the time it waits
/// for one.
fn busy() -> Outcome<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The least, the median and the most.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(least), Some(median), Some(most)) => format!("{least:.2}, {median:.2}, {most:.2}"),
        _ => String::new(),
    }
}

const HEADER: Header<'_> = Header {
    job: "cost",
    partition: 0,
    offset: 0,
    watermark_ms: None,
    fingerprint: "",
};

/// Processes records, and how long the slowest slice took.
fn feed<O: Operator<Record = Transaction>>(
    operator: &mut O,
    batch: &[Transaction],
) -> Outcome<(Duration, Duration)> {
    let (mut outputs, mut slowest, start) = (Vec::new(), Duration::ZERO, busy()?);
    let mut last = start;
    for slice in batch.chunks(SLICE) {
        for record in slice {
            operator.process(record, &mut outputs);
            outputs.clear();
        }
        let now = busy()?;
        slowest = slowest.max(now.saturating_sub(last));
        last = now;
    }
    Ok((last.saturating_sub(start), slowest))
}

fn write(frozen: FrozenState) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(&HEADER);
    frozen.write(writer.state());
    writer.finish()
}

fn measure<O: Operator<Record = Transaction>>(
    name: &str,
    fresh: impl Fn() -> Outcome<O>,
    stream: &mut Stream,
    warm_up: usize,
) -> Outcome<()> {
    const BATCH: usize = 200_000;
    let mut operator = fresh()?;
    for _ in 0..warm_up / BATCH {
        feed(&mut operator, &stream.batch(BATCH)?)?;
    }
    let [mut pauses, mut copies, mut records, mut ratios, mut slowest] = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        let (undisturbed, _) = feed(&mut operator, &stream.batch(BATCH)?)?;
        let batch = stream.batch(BATCH)?;
        let start = busy()?;
        let frozen = operator.freeze();
        pauses.push(ms(busy()?.saturating_sub(start)));
        let during = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write(frozen));
            let during = feed(&mut operator, &batch);
            writing.join().map_err(|_| "the writer panicked")?;
            during
        })?;
        records.push(undisturbed.as_nanos() as f64 / BATCH as f64);
        ratios.push(during.0.as_secs_f64() / undisturbed.as_secs_f64());
        slowest.push(ms(during.1));
        let start = busy()?;
        let bytes = write(operator.freeze());
        copies.push(ms(busy()?.saturating_sub(start)));
        drop(bytes);
    }
    println!("{name}: least, median, most of {ROUNDS} rounds");
    println!("  a record, undisturbed                {} ns", spread(records));
    println!("  records wait for a freeze            {} ms", spread(pauses));
    println!("  (for a copy of all of it, as before  {} ms)", spread(copies));
    println!(
        "  slowest {SLICE} records while it is written {} ms",
        spread(slowest)
    );
    println!(
        "  time of {BATCH} records, against undisturbed {}",
        spread(ratios)
    );
    restore(&write(operator.freeze()), fresh)
}

fn restore<O: Operator>(bytes: &[u8], fresh: impl Fn() -> Outcome<O>) -> Outcome<()> {
    let file = std::env::temp_dir().join(format!("millrace-snapshot-cost-{}", std::process::id()));
    std::fs::write(&file, bytes)?;
    let expected = Expected {
        job: HEADER.job,
        partition: HEADER.partition,
        fingerprint: HEADER.fingerprint,
    };
    let (mut reads, mut checks, mut restores) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let bytes = std::fs::read(&file)?;
        reads.push(ms(start.elapsed()));
        let start = busy()?;
        let snapshot = container::read(&bytes, &expected)?;
        let checked = busy()?;
        let mut operator = fresh()?;
        operator.restore(snapshot.state)?;
        checks.push(ms(checked.saturating_sub(start)));
        restores.push(ms(busy()?.saturating_sub(checked)));
    }
    std::fs::remove_file(&file)?;
    println!(
        "  size                                 {:.1} MB",
        bytes.len() as f64 / 1e6
    );
    println!("  read from the page cache             {} ms", spread(reads));
    println!("  check                                {} ms", spread(checks));
    println!("  restore                              {} ms", spread(restores));
    Ok(())
}

/// Resident memory of this process in bytes.
fn resident() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = text.split_whitespace().nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4_096.0)
}

/// Memory and time of an id, at 3 million and with a copy of one in ten.
fn dedup() -> Outcome<()> {
    const IDS: u64 = 3_000_000;
    let before = resident()?;
    let mut ids = RecentPayloads::new(600_000, HashSeed::FIXED).ok_or("no horizon")?;
    let (mut state, mut repeated, start) = (3, 0_u64, busy()?);
    for number in 0..IDS {
        let id = u128::from(random(&mut state)) << 64 | u128::from(number);
        let time_ms = (number * 600_000 / IDS) as i64;
        ids.check(id.to_be_bytes(), time_ms, number as u32);
        if number % 10 == 0 {
            ids.check(id.to_be_bytes(), time_ms, number as u32);
            repeated += 1;
        }
    }
    let ns = busy()?.saturating_sub(start).as_nanos() as f64 / (IDS + repeated) as f64;
    let bytes = (resident()? - before) / ids.len() as f64;
    println!("dedup of {} ids with their payloads", ids.len());
    println!("  memory of an id                      {bytes:.1} bytes");
    println!("  time of a check                      {ns:.0} ns");
    Ok(())
}

fn main() -> Outcome<()> {
    dedup()?;
    let detect = || Ok(DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED)?);
    measure(
        "detect, 1 million users",
        detect,
        &mut Stream::new(33_333)?,
        4_000_000,
    )?;
    let policy = PartialPolicy::new(60_000, 0, 5_000)?;
    let partial = || Ok(PartialAggregate::new(PerMerchant, policy, HashSeed::FIXED));
    measure(
        "aggregate-partial, 3 million ids",
        partial,
        &mut Stream::new(33_333)?,
        5_000_000,
    )
}
