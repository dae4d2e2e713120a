//! The deterministic stream of one thread: what is sent is a function of the configuration, the
//! thread's number and the event times asked for.

mod clock;
mod malformed;
mod pattern;
mod purchases;

use std::collections::VecDeque;
use std::sync::Arc;

use millrace_domain::{FraudLabel, PaymentMethod, Transaction, TransactionId, TransactionType};
use millrace_publisher::RunTag;
use millrace_settings::Producer;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::world::{CityIndex, User, World, mix, multiply_shift};

pub use clock::EventClock;
pub use malformed::Malformation;

use pattern::Patterns;
use purchases::{Purchase, Purchases};

/// Of 256 purchases, how many go to the user's usual merchants and use the user's usual method.
const USUAL_MERCHANT_IN_256: u64 = 192;
const USUAL_METHOD_IN_256: u64 = 230;
/// A duplicate follows after at most this many records.
const MAX_DUPLICATE_DELAY_RECORDS: u32 = 8;
/// How often another user is drawn in place of one who is travelling.
const MAX_DRAWS: u32 = 8;

/// What makes the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamConfig {
    /// The seed of the run.
    pub seed: u64,
    /// The run that transaction ids begin with, so that no other run sends them; `None` gives the
    /// same ids from the same seed.
    pub run: Option<RunTag>,
    /// This thread's number, from 0.
    pub thread: u32,
    /// Number of threads; each has users of its own.
    pub threads: u32,
    /// Share of transactions that refund an earlier purchase.
    pub refund_share: f64,
    /// Share of transactions with an event time before that of the transactions sent before.
    pub disorder_share: f64,
    /// How far back a disordered event time may be.
    pub max_disorder_ms: i64,
    /// Share of transactions sent twice.
    pub duplicate_share: f64,
    /// Share of records that no consumer can decode.
    pub malformed_share: f64,
    /// Share of transactions that belong to an injected fraud pattern.
    pub fraud_share: f64,
}

impl StreamConfig {
    /// The stream of one of `threads` threads, by the settings; repeatable, as it is of no run yet.
    #[must_use]
    pub fn of(settings: &Producer, thread: u32, threads: u32) -> Self {
        Self {
            seed: settings.seed,
            run: None,
            thread,
            threads,
            refund_share: settings.refund_share,
            disorder_share: settings.disorder_share,
            max_disorder_ms: settings.max_disorder_ms,
            duplicate_share: settings.duplicate_share,
            malformed_share: settings.malformed_share,
            fraud_share: settings.fraud_share,
        }
    }
}

/// How a record stands to the transactions sent before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first record with its transaction id.
    First,
    /// The same transaction again, byte for byte.
    Duplicate,
    /// A known transaction id with another payload: the replay pattern.
    Changed,
    /// To be spoilt after encoding, so that no consumer can take it.
    Malformed(Malformation),
}

/// One record to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The transaction; for a malformed record, what it was before it was spoilt.
    pub transaction: Transaction,
    /// How it stands to others.
    pub kind: Kind,
}

/// Shares as bounds on 32 random bits.
#[derive(Debug)]
struct Bounds {
    malformed: u32,
    pattern: u32,
    refund: u32,
    disorder: u32,
    duplicate: u32,
}

/// The stream of one thread.
#[derive(Debug)]
pub struct Stream {
    world: Arc<World>,
    run: Option<RunTag>,
    rng: Xoshiro256PlusPlus,
    thread: u32,
    threads: u32,
    own_users: u32,
    bounds: Bounds,
    max_disorder_ms: u32,
    records: u64,
    purchases: Purchases,
    duplicates: VecDeque<(u64, Transaction)>,
    patterns: Patterns,
    labels: Vec<FraudLabel>,
}

fn bound(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32
}

impl Stream {
    /// Starts the stream of one thread. `config.threads` must not be above the number of users.
    #[must_use]
    pub fn new(world: Arc<World>, config: &StreamConfig) -> Self {
        let threads = config.threads.max(1);
        let own_users = (world.user_count().saturating_sub(config.thread))
            .div_ceil(threads)
            .max(1);
        let malformed = bound(config.malformed_share);
        let pattern = malformed.saturating_add(bound(config.fraud_share / pattern::MEAN_LABELLED));
        let run = mix(config.seed, STREAM_SALT);
        Self {
            world,
            run: config.run,
            rng: Xoshiro256PlusPlus::seed_from_u64(mix(
                run,
                u64::from(config.thread) << 32 | u64::from(threads),
            )),
            thread: config.thread,
            threads,
            own_users,
            bounds: Bounds {
                malformed,
                pattern,
                refund: pattern.saturating_add(bound(config.refund_share)),
                disorder: bound(config.disorder_share),
                duplicate: bound(config.duplicate_share),
            },
            max_disorder_ms: config.max_disorder_ms.clamp(0, i64::from(u32::MAX)) as u32,
            records: 0,
            purchases: Purchases::new(),
            duplicates: VecDeque::with_capacity(2 * MAX_DUPLICATE_DELAY_RECORDS as usize),
            patterns: Patterns::new(),
            labels: Vec::new(),
        }
    }

    /// The next record at event time `now_ms`, which must not go back.
    pub fn next(&mut self, now_ms: i64) -> Item {
        self.records += 1;
        if let Some(&(due, transaction)) = self.duplicates.front()
            && due <= self.records
        {
            self.duplicates.pop_front();
            return Item {
                transaction,
                kind: Kind::Duplicate,
            };
        }
        if let Some(item) = self.continue_pattern(now_ms) {
            return item;
        }
        let choice = (self.rng.next_u64() >> 32) as u32;
        if choice < self.bounds.malformed {
            return self.malformed(now_ms);
        }
        if choice < self.bounds.pattern
            && let Some(item) = self.start_pattern(now_ms)
        {
            return item;
        }
        let refund = (choice < self.bounds.refund)
            .then(|| self.refund(now_ms))
            .flatten();
        let transaction = refund.unwrap_or_else(|| self.disordered_purchase(now_ms));
        self.plan_duplicate(transaction);
        Item {
            transaction,
            kind: Kind::First,
        }
    }

    /// The labels of the injected fraud since the last call's were taken out.
    pub fn labels(&mut self) -> &mut Vec<FraudLabel> {
        &mut self.labels
    }

    fn plan_duplicate(&mut self, transaction: Transaction) {
        let random = self.rng.next_u64();
        if ((random >> 32) as u32) < self.bounds.duplicate {
            let delay = 1 + multiply_shift(random as u32, MAX_DUPLICATE_DELAY_RECORDS);
            self.duplicates
                .push_back((self.records + u64::from(delay), transaction));
        }
    }

    /// An ordinary purchase, some with an event time before `now_ms`, remembered so that it can be
    /// refunded.
    fn disordered_purchase(&mut self, now_ms: i64) -> Transaction {
        let (user, city) = self.draw_user(now_ms);
        let random = self.rng.next_u64();
        let time_ms = if ((random >> 32) as u32) < self.bounds.disorder {
            (now_ms - 1 - i64::from(multiply_shift(random as u32, self.max_disorder_ms))).max(0)
        } else {
            now_ms
        };
        let (transaction, purchase) = self.draft(&user, city, time_ms);
        self.purchases.remember(purchase);
        transaction
    }

    /// An ordinary purchase, and what a refund of it needs.
    fn draft(&mut self, user: &User, city: CityIndex, time_ms: i64) -> (Transaction, Purchase) {
        let (habit, popular, spend) = (self.rng.next_u64(), self.rng.next_u64(), self.rng.next_u64());
        let index = if habit & 0xff < USUAL_MERCHANT_IN_256 {
            user.usual_merchant(&self.world, (habit >> 32) as u32)
        } else {
            self.world.popular_merchant(popular)
        };
        let payment_method = if habit >> 8 & 0xff < USUAL_METHOD_IN_256 {
            user.payment_method
        } else {
            PaymentMethod::ALL[(habit >> 16 & 0xff) as usize % PaymentMethod::ALL.len()]
        };
        let merchant = self.world.merchant(index);
        let transaction = Transaction {
            transaction_id: transaction_id(&mut self.rng, self.run),
            user_id: user.id(),
            amount: self.world.amount(user, (spend >> 32) as u32),
            transaction_time_ms: time_ms,
            merchant_id: merchant.id,
            transaction_type: TransactionType::Purchase,
            location: self.world.city_name(city),
            payment_method,
            is_international: self.world.is_international(user, city, merchant),
            currency: user.currency,
        };
        let purchase = Purchase {
            user: user.number,
            merchant: index,
            amount: transaction.amount,
            payment_method,
            time_ms,
        };
        (transaction, purchase)
    }

    /// A refund of a purchase that was sent before, in whole or in part; `None` where there is none
    /// at hand.
    fn refund(&mut self, now_ms: i64) -> Option<Transaction> {
        let random = self.rng.next_u64();
        let purchase = self.purchases.take((random >> 32) as u32)?;
        let user = self.world.user(purchase.user);
        let city = self.world.whereabouts(&user, now_ms)?;
        let merchant = self.world.merchant(purchase.merchant);
        // Five of eight refunds return everything.
        let amount = match random & 7 {
            0..5 => purchase.amount,
            _ => self
                .world
                .part_of(&user, purchase.amount, 1 + (random >> 3 & 7) as i64),
        };
        Some(Transaction {
            transaction_id: transaction_id(&mut self.rng, self.run),
            user_id: user.id(),
            amount,
            transaction_time_ms: now_ms.max(purchase.time_ms),
            merchant_id: merchant.id,
            transaction_type: TransactionType::Refund,
            location: self.world.city_name(city),
            payment_method: purchase.payment_method,
            is_international: self.world.is_international(&user, city, merchant),
            currency: user.currency,
        })
    }

    fn malformed(&mut self, now_ms: i64) -> Item {
        let (user, city) = self.draw_user(now_ms);
        let (mut transaction, _) = self.draft(&user, city, now_ms);
        let malformation = Malformation::drawn((self.rng.next_u64() >> 32) as u32);
        if malformation == Malformation::FarFuture {
            transaction.transaction_time_ms = malformed::FAR_FUTURE_MS;
        }
        Item {
            transaction,
            kind: Kind::Malformed(malformation),
        }
    }

    /// One of this thread's users who is somewhere, and where.
    fn draw_user(&mut self, now_ms: i64) -> (User, CityIndex) {
        for _ in 1..MAX_DRAWS {
            let user = self.any_user();
            if let Some(city) = self.world.whereabouts(&user, now_ms) {
                return (user, city);
            }
        }
        let user = self.any_user();
        let city = self.world.whereabouts(&user, now_ms).unwrap_or(user.home);
        (user, city)
    }

    fn any_user(&mut self) -> User {
        let own = multiply_shift((self.rng.next_u64() >> 32) as u32, self.own_users);
        self.world.user(self.thread + self.threads * own)
    }
}

/// A random UUID (version 4, RFC 9562 §5.4); of a run, one that begins with the run (version 8,
/// §5.8). Either takes the same from the generator of random numbers, so that all else in the
/// stream is the same.
#[inline]
fn transaction_id(rng: &mut Xoshiro256PlusPlus, run: Option<RunTag>) -> TransactionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    bytes[8..].copy_from_slice(&rng.next_u64().to_be_bytes());
    let version = match run {
        None => 0x40,
        Some(run) => {
            bytes[..4].copy_from_slice(&run.to_bytes());
            0x80
        }
    };
    bytes[6] = bytes[6] & 0x0f | version;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    TransactionId::from_bytes(bytes)
}

/// Keeps the streams' bits apart from the world's.
const STREAM_SALT: u64 = 0x7374_7265_616d;

#[cfg(test)]
mod tests;
