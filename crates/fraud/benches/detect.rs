//! Records a second of the whole operator on one core, with a million users and all rules.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city,
};
use millrace_engine::{HashSeed, Operator};
use millrace_fraud::{DetectOperator, DetectSettings};

const USERS: u64 = 1_000_000;
/// Event time goes on as if this many came a second, so that a user has 2 purchases in the span of velocity.
const RECORDS_PER_S: u64 = 33_333;
const BATCH: usize = 100_000;

/// A stream without end: users at random, each at home, with amounts that spread.
struct Stream {
    state: u64,
    sent: u64,
    homes: Vec<ShortId>,
    currency: Currency,
    merchant: ShortId,
}

impl Stream {
    fn new() -> Self {
        let homes = city::ALL
            .iter()
            .map(|city| ShortId::new(city.name, "location").expect("fits"));
        Self {
            state: 1,
            sent: 0,
            homes: homes.collect(),
            currency: Currency::parse(b"EUR").expect("a code"),
            merchant: ShortId::new("m-1", "merchantId").expect("fits"),
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
        let user = self.random() % USERS;
        let spread = self.random();
        let id = u128::from(self.random()) << 64 | u128::from(self.sent);
        self.sent += 1;
        let name = format!("u{user}");
        Transaction {
            transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
            user_id: ShortId::new(&name, "userId").expect("fits"),
            amount: Amount::from_units(10_000 + (spread % 1_000_000) as i64).expect("positive"),
            transaction_time_ms: 1_760_000_000_000 + (self.sent * 1_000 / RECORDS_PER_S) as i64,
            merchant_id: self.merchant,
            transaction_type: TransactionType::Purchase,
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

fn detect(criterion: &mut Criterion) {
    let mut stream = Stream::new();
    let mut operator = DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED).expect("valid");
    let mut outputs = Vec::new();
    for _ in 0..6_000_000 {
        operator.process(&stream.next(), &mut outputs);
        outputs.clear();
    }
    let mut group = criterion.benchmark_group("detect");
    group
        .throughput(Throughput::Elements(BATCH as u64))
        .sample_size(20);
    group.bench_function("all rules, 1 million users", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let batch = stream.batch();
                let start = Instant::now();
                for transaction in &batch {
                    operator.process(transaction, &mut outputs);
                    outputs.clear();
                }
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

criterion_group!(benches, detect);
criterion_main!(benches);
