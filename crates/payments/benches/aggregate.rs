//! Records a second of stage 1 of aggregation on one core: 1 million users, 5,000 merchants by
//! Zipf's law, at two densities of event time, one by one and in groups, and with early results;
//! then other numbers of users and merchants, to see what a record costs as they grow. Each
//! iteration feeds the next stretch of an endless stream, so that closing windows and forgetting
//! are in it.
//!
//! Times are the thread's own on a processor, as the clock also counts what it waits for one on a
//! busy machine.

#![allow(missing_docs, reason = "the macros make public functions")]

mod harness;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_engine::windowed::{EarlyResults, PartialPolicy};
use millrace_payments::{PartialAggregate, PerMerchant};

use harness::{busy, in_groups, one_by_one};

const STRETCH: usize = 25_000;
const TEMPLATES: usize = 1 << 20;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn short_id(prefix: &str, number: usize) -> ShortId {
    ShortId::new(&format!("{prefix}-{number:07}"), "bench").expect("10 bytes")
}

/// Transactions without their ids and times.
fn templates(users: usize, merchants: usize) -> Vec<Transaction> {
    let mut state = 1;
    let location = ShortId::new("Berlin", "location").expect("6 bytes");
    let currencies = [b"EUR", b"USD", b"GBP", b"CHF"].map(|code| Currency::parse(code).expect("a code"));
    (0..TEMPLATES)
        .map(|_| {
            let unit = random(&mut state) as f64 / u64::MAX as f64;
            // Zipf's law with exponent 1: the rank's logarithm is uniform.
            let merchant = (merchants as f64).powf(unit) as usize;
            let draw = random(&mut state);
            Transaction {
                transaction_id: TransactionId::from_bytes([0; 16]),
                user_id: short_id("u", draw as usize % users),
                amount: Amount::from_units(1 + (draw >> 40) as i64).expect("in range"),
                transaction_time_ms: 0,
                merchant_id: short_id("m", merchant),
                transaction_type: TransactionType::ALL[usize::from(draw.is_multiple_of(32))],
                location,
                payment_method: PaymentMethod::CreditCard,
                is_international: false,
                // A merchant takes mostly its own currency.
                currency: currencies[if draw.is_multiple_of(16) { 0 } else { merchant % 4 }],
            }
        })
        .collect()
}

/// An operator with its stream.
struct Feed {
    templates: Vec<Transaction>,
    per_second: u64,
    sent: u64,
    state: u64,
    operator: PartialAggregate,
}

impl Feed {
    /// Past the second window, where every table has its size.
    fn warm(users: usize, merchants: usize, per_second: u64, early: Option<EarlyResults>) -> Self {
        let policy = PartialPolicy::new(60_000, 0, 5_000)
            .expect("valid")
            .with_early(early);
        let mut feed = Self {
            templates: templates(users, merchants),
            per_second,
            sent: 0,
            state: 7,
            operator: PartialAggregate::new(PerMerchant, policy, HashSeed::FIXED),
        };
        for _ in 0..per_second * 130 / STRETCH as u64 {
            let stretch = feed.stretch();
            in_groups(&mut feed.operator, &stretch);
        }
        feed
    }

    fn stretch(&mut self) -> Vec<Transaction> {
        let Self {
            templates,
            per_second,
            sent,
            state,
            operator: _,
        } = self;
        let next = |_| {
            let mut record = templates[*sent as usize % TEMPLATES];
            let id = u128::from(random(state)) << 64 | u128::from(random(state));
            record.transaction_id = TransactionId::from_bytes(id.to_ne_bytes());
            record.transaction_time_ms = (*sent * 1_000 / *per_second) as i64;
            *sent += 1;
            record
        };
        (0..STRETCH).map(next).collect()
    }

    fn time(&mut self, iterations: u64, process: fn(&mut PartialAggregate, &[Transaction])) -> Duration {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            let stretch = self.stretch();
            let start = busy();
            process(&mut self.operator, &stretch);
            total += busy().saturating_sub(start);
        }
        total
    }
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (users, merchants): (usize, usize),
    per_second: u64,
    early: Option<EarlyResults>,
) {
    let mut feed = None;
    let early_name = if early.is_some() {
        ", early results every 10 s"
    } else {
        ""
    };
    let mut bench = |name: &str, process: fn(&mut PartialAggregate, &[Transaction])| {
        let id = format!("{users} users, {merchants} merchants, {per_second} a second{early_name}, {name}");
        group.bench_function(id, |bencher| {
            // Nothing is made warm that is not asked for.
            let feed = feed.get_or_insert_with(|| Feed::warm(users, merchants, per_second, early));
            bencher.iter_custom(|iterations| feed.time(iterations, process));
        });
    };
    bench("one by one", one_by_one);
    bench("in groups", in_groups);
}

fn aggregation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aggregate-partial");
    group.throughput(Throughput::Elements(STRETCH as u64));
    group.sample_size(20);
    let every_10_s = EarlyResults::every_ms(10_000).expect("valid");
    for (per_second, early) in [
        (10_000, None),
        (67_000, None),
        (10_000, Some(every_10_s)),
        (67_000, Some(every_10_s)),
    ] {
        measure(&mut group, (1_000_000, 5_000), per_second, early);
    }
    for size in [
        (10_000, 5_000),
        (10_000_000, 5_000),
        (1_000_000, 100),
        (1_000_000, 1_000_000),
    ] {
        measure(&mut group, size, 67_000, None);
    }
    group.finish();
}

criterion_group!(benches, aggregation);
criterion_main!(benches);
