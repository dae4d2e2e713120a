//! Records a second of the whole operator on one core, with all rules: 1 million users and 5,000
//! merchants, one by one and in groups; then other numbers of users and merchants, to see what a
//! record costs as they grow.
//!
//! Times are the thread's own on a processor, as the clock also counts what it waits for one on a
//! busy machine.

#![allow(missing_docs, reason = "the macros make public functions")]
#![allow(clippy::print_stderr, reason = "the memory is a result too")]

#[path = "../../payments/benches/harness/mod.rs"]
mod harness;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city,
};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectSettings};

use harness::{busy, in_groups, one_by_one};

/// Event time goes on as if this many came a second, so that one of a million users has 2 purchases
/// in the span of velocity.
const RECORDS_PER_S: u64 = 33_333;
const BATCH: usize = 25_000;
/// Past the second span of ids, where every table has its size.
const WARM_UP: u64 = 7_000_000;

/// A stream without end: everybody once, then users at random, each at home, with amounts that
/// spread.
struct Stream {
    users: u64,
    state: u64,
    sent: u64,
    homes: Vec<ShortId>,
    merchants: Vec<ShortId>,
    currency: Currency,
}

impl Stream {
    fn new(users: u64, merchants: u64) -> Self {
        let homes = city::ALL
            .iter()
            .map(|city| ShortId::new(city.name, "location").expect("fits"));
        let merchants = (0..merchants).map(|number| short_id("m", number));
        Self {
            users,
            state: 1,
            sent: 0,
            homes: homes.collect(),
            merchants: merchants.collect(),
            currency: Currency::parse(b"EUR").expect("a code"),
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn next(&mut self) -> Transaction {
        let draw = self.random();
        let user = if self.sent < self.users {
            self.sent
        } else {
            draw % self.users
        };
        let spread = self.random();
        let id = u128::from(self.random()) << 64 | u128::from(self.sent);
        self.sent += 1;
        Transaction {
            transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
            user_id: short_id("u", user),
            amount: Amount::from_units(10_000 + (spread % 1_000_000) as i64).expect("positive"),
            transaction_time_ms: 1_760_000_000_000 + (self.sent * 1_000 / RECORDS_PER_S) as i64,
            merchant_id: self.merchants[(spread >> 32) as usize % self.merchants.len()],
            transaction_type: TransactionType::ALL[usize::from(draw.is_multiple_of(32))],
            location: self.homes[user as usize % self.homes.len()],
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: self.currency,
        }
    }

    fn batch(&mut self) -> Vec<Transaction> {
        (0..BATCH).map(|_| self.next()).collect()
    }
}

fn short_id(prefix: &str, number: u64) -> ShortId {
    ShortId::new(&format!("{prefix}-{number:07}"), "bench").expect("at most 10 bytes")
}

/// A warm operator with the stream that made it so.
struct Warm {
    stream: Stream,
    operator: DetectOperator,
}

impl Warm {
    fn new(users: u64, merchants: u64) -> Self {
        let mut stream = Stream::new(users, merchants);
        let before_mib = resident_mib();
        let mut operator = DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED).expect("valid");
        for _ in 0..WARM_UP.max(users + 2_000_000) / BATCH as u64 {
            in_groups(&mut operator, &stream.batch());
        }
        eprintln!(
            "{users} users: {} profiles, {} ids, {} MiB",
            operator.profiles(),
            operator.remembered_ids(),
            resident_mib().saturating_sub(before_mib)
        );
        Self { stream, operator }
    }

    fn feed(&mut self, iterations: u64, process: impl Fn(&mut DetectOperator, &[Transaction])) -> Duration {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            let batch = self.stream.batch();
            let start = busy();
            process(&mut self.operator, &batch);
            total += busy().saturating_sub(start);
        }
        total
    }
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, users: u64, merchants: u64) {
    let mut warm = None;
    let mut bench = |name: &str, process: fn(&mut DetectOperator, &[Transaction])| {
        let id = format!("{users} users, {merchants} merchants, {name}");
        group.bench_function(id, |bencher| {
            // Nothing is made warm that is not asked for.
            let warm = warm.get_or_insert_with(|| Warm::new(users, merchants));
            bencher.iter_custom(|iterations| warm.feed(iterations, process));
        });
    };
    bench("one by one", one_by_one);
    bench("in groups", in_groups);
}

fn detect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detect");
    group
        .throughput(Throughput::Elements(BATCH as u64))
        .sample_size(20);
    measure(&mut group, 1_000_000, 5_000);
    measure(&mut group, 10_000, 5_000);
    measure(&mut group, 10_000_000, 5_000);
    measure(&mut group, 1_000_000, 100);
    measure(&mut group, 1_000_000, 1_000_000);
    group.finish();
}

criterion_group!(benches, detect);
criterion_main!(benches);
