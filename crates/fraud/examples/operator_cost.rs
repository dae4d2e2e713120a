//! What a record costs in instructions: a fixed stream through one operator, for callgrind.
//!
//! A change that moves code from one crate to another may lose inlining, which no test sees and a
//! clock on a shared machine hardly does. The instructions of a fixed stream are the same on every
//! run:
//!
//! ```text
//! cargo build --release -p millrace-fraud --example operator_cost
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!     target/release/examples/operator_cost aggregation 1000000
//! ```
//!
//! The stages are `stream` (the records alone, to be taken from the others), `aggregation`,
//! `early` (with early results), `merge` (both stages) and `detection`.

#![allow(clippy::print_stdout, reason = "it is its output")]

use std::error::Error;

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city,
};
use millrace_engine::windowed::{self, EarlyResults, MergePolicy, PartialPolicy};
use millrace_engine::{HashSeed, Operator, near};
use millrace_fraud::{DetectOperator, DetectSettings};
use millrace_payments::{
    MergeAggregate, PartialAggregate, PerMerchant, merchant_aggregate, partial_of, record_of,
};

const USERS: u64 = 50_000;
const MERCHANTS: u64 = 5_000;
/// Of event time: five windows in a million records.
const RECORDS_PER_S: u64 = 20_000;
const WINDOW_MS: i64 = 10_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Users at random, each at home, with some disorder and a few duplicates and refunds.
struct Stream {
    state: u64,
    sent: u64,
    homes: Vec<ShortId>,
    merchants: Vec<ShortId>,
    currencies: [Currency; 3],
}

impl Stream {
    fn new() -> Outcome<Self> {
        let homes = city::ALL.iter().map(|city| ShortId::new(city.name, "location"));
        let merchants = (0..MERCHANTS).map(|number| ShortId::new(&format!("m-{number}"), "merchantId"));
        Ok(Self {
            state: 1,
            sent: 0,
            homes: homes.collect::<Result<_, _>>()?,
            merchants: merchants.collect::<Result<_, _>>()?,
            currencies: [
                Currency::parse(b"EUR")?,
                Currency::parse(b"USD")?,
                Currency::parse(b"CHF")?,
            ],
        })
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn next(&mut self) -> Outcome<Transaction> {
        self.sent += 1;
        let (draw, spread) = (self.random(), self.random());
        let user = draw % USERS;
        // One in 64 is a copy of one before it.
        let number = if draw >> 58 == 0 { self.sent / 2 } else { self.sent };
        let merchant = (spread >> 32) % MERCHANTS;
        let disorder_ms = (draw >> 40) % 6_000;
        Ok(Transaction {
            transaction_id: TransactionId::from_bytes((u128::from(number) << 64 | 7).to_be_bytes()),
            user_id: ShortId::new(&format!("u-{user:07}"), "userId")?,
            amount: Amount::from_units(10_000 + (spread % 1_000_000) as i64).ok_or("an amount")?,
            transaction_time_ms: 1_760_000_000_000 + (self.sent * 1_000 / RECORDS_PER_S) as i64
                - disorder_ms as i64,
            merchant_id: self.merchants[merchant as usize],
            transaction_type: TransactionType::ALL[usize::from(draw.is_multiple_of(32))],
            location: self.homes[user as usize % self.homes.len()],
            payment_method: PaymentMethod::CreditCard,
            is_international: false,
            currency: self.currencies[usize::from(draw.is_multiple_of(16)) + merchant as usize % 2],
        })
    }
}

/// The stream through an operator, in groups, as the worker does; `take` gets the outputs.
fn run<O: Operator<Record = Transaction>>(
    records: u64,
    operator: &mut O,
    mut take: impl FnMut(&[O::Output]),
) -> Outcome<()> {
    let mut stream = Stream::new()?;
    let (mut group, mut outputs) = (Vec::with_capacity(near::GROUP), Vec::new());
    for _ in 0..records / near::GROUP as u64 {
        group.clear();
        for _ in 0..near::GROUP {
            group.push(stream.next()?);
        }
        operator.prepare(&group);
        for transaction in &group {
            operator.process(transaction, &mut outputs);
            if !outputs.is_empty() {
                take(&outputs);
                outputs.clear();
            }
        }
    }
    Ok(())
}

fn first_stage(early: Option<EarlyResults>) -> Outcome<PartialAggregate> {
    let policy = PartialPolicy::new(WINDOW_MS, 0, 5_000)?.with_early(early);
    Ok(PartialAggregate::new(PerMerchant, policy, HashSeed::FIXED))
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let stage = arguments.next().ok_or("which stage?")?;
    let records = arguments.next().ok_or("how many records?")?.parse()?;
    let early = EarlyResults::every_ms(2_000)?;
    let mut count = 0;
    match stage.as_str() {
        "stream" => {
            let mut stream = Stream::new()?;
            for _ in 0..records {
                count += usize::from(std::hint::black_box(stream.next()?).is_international);
            }
        }
        "aggregation" => run(records, &mut first_stage(None)?, |outputs| count += outputs.len())?,
        "early" => run(records, &mut first_stage(Some(early))?, |outputs| {
            count += outputs.len();
        })?,
        "merge" => {
            let policy = MergePolicy::new(1, 0)?.with_early(Some(early));
            let mut merge = MergeAggregate::new(PerMerchant, policy, HashSeed::FIXED);
            let mut merged = Vec::new();
            run(records, &mut first_stage(Some(early))?, |outputs| {
                // By way of the contract's records, as between the two jobs.
                let told = windowed::records(0, outputs).map(partial_of);
                for record in told.map(record_of) {
                    merge.process(&record, &mut merged);
                }
                for result in merged.drain(..) {
                    std::hint::black_box(merchant_aggregate(&result));
                    count += 1;
                }
            })?;
        }
        "detection" => {
            let mut operator = DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED)?;
            run(records, &mut operator, |outputs| count += outputs.len())?;
        }
        other => return Err(format!("no stage {other}").into()),
    }
    println!("{stage}: {records} records, {count} outputs");
    Ok(())
}
