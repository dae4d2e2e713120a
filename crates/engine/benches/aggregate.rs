//! Stage 1 of aggregation on one core: 1 million users, 5,000 merchants by Zipf's law, at two densities of event time.
//! Each iteration feeds the next stretch of an endless stream, so that closing windows and forgetting are in it.

#![allow(missing_docs, reason = "the macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::aggregate::{AggregateConfig, EarlyResults, PartialAggregate};
use millrace_engine::{HashSeed, Operator};

const USERS: usize = 1_000_000;
const MERCHANTS: usize = 5_000;
const STRETCH: usize = 250_000;
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
fn templates() -> Vec<Transaction> {
    let mut state = 1;
    let location = ShortId::new("Berlin", "location").expect("6 bytes");
    let currencies = [b"EUR", b"USD", b"GBP", b"CHF"].map(|code| Currency::parse(code).expect("a code"));
    (0..TEMPLATES)
        .map(|_| {
            let unit = random(&mut state) as f64 / u64::MAX as f64;
            // Zipf's law with exponent 1: the rank's logarithm is uniform.
            let merchant = (MERCHANTS as f64).powf(unit) as usize;
            let draw = random(&mut state);
            Transaction {
                transaction_id: TransactionId::from_bytes([0; 16]),
                user_id: short_id("u", draw as usize % USERS),
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

fn aggregation(criterion: &mut Criterion) {
    let templates = templates();
    let mut group = criterion.benchmark_group("aggregate-partial");
    group.throughput(Throughput::Elements(STRETCH as u64));
    group.sample_size(20);
    let every_10_s = EarlyResults::every_ms(10_000).expect("valid");
    for (per_second, name, early) in [
        (10_000_u64, "records_per_s_of_event_time", None),
        (67_000, "records_per_s_of_event_time", None),
        (10_000, "early_results_every_10_s", Some(every_10_s)),
        (67_000, "early_results_every_10_s", Some(every_10_s)),
    ] {
        let config = AggregateConfig::new(60_000, 0, 5_000)
            .expect("valid")
            .with_early(early);
        let mut operator = PartialAggregate::new(config, HashSeed::FIXED);
        let mut outputs = Vec::new();
        let mut sent = 0_u64;
        let mut state = 7;
        let mut feed = |outputs: &mut Vec<_>| {
            for _ in 0..STRETCH {
                let mut record = templates[sent as usize % TEMPLATES];
                let id = u128::from(random(&mut state)) << 64 | u128::from(random(&mut state));
                record.transaction_id = TransactionId::from_bytes(id.to_ne_bytes());
                record.transaction_time_ms = (sent * 1_000 / per_second) as i64;
                operator.process(&record, outputs);
                sent += 1;
            }
            outputs.clear();
        };
        // Past the second window, where every table has its size.
        for _ in 0..(per_second as usize * 130 / STRETCH) {
            feed(&mut outputs);
        }
        group.bench_function(BenchmarkId::new(name, per_second), |bencher| {
            bencher.iter(|| feed(&mut outputs));
        });
    }
    group.finish();
}

criterion_group!(benches, aggregation);
criterion_main!(benches);
