//! Injected fraud: short scripts of transactions, each with the label of the rule that should find
//! it.
//!
//! A rule that judges a user by habit needs the habit, and one that measures speed needs a place to
//! start from: so a script begins with ordinary purchases of its user where it must. Only what is
//! fraud is labelled. A transaction that a script sends is not sent late, so that the rule sees it
//! in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use millrace_domain::{Amount, EntityType, FraudLabel, PaymentMethod, Transaction, TransactionId};
use rand_xoshiro::rand_core::Rng;

use super::{Item, Kind, Stream};
use crate::world::{CityIndex, User, multiply_shift};

/// Labelled transactions of a script in the mean: 12 of a burst, 1 of each other pattern.
pub(super) const MEAN_LABELLED: f64 = (BURST as f64 + 3.0) / 4.0;

/// Scripts under way at once; while there are so many, none starts.
const MAX_SCRIPTS: usize = 4096;
/// Purchases of a burst, above what the velocity rule allows by default.
const BURST: usize = 12;
/// Ordinary purchases before an outlier, above what the rule wants to see first.
const HABIT: u8 = 12;

/// Fraud that is injected.
#[derive(Debug, Clone, PartialEq)]
enum Plan {
    /// Many purchases in seconds. Labelled once it is complete: a burst that the end of the run
    /// cuts is none.
    Velocity { sent: Vec<(TransactionId, i64)> },
    /// A habit, at a pace that velocity allows, then many times the usual amount.
    AmountOutlier { habit: u8 },
    /// Somewhere, then far away within a minute.
    ImpossibleTravel,
    /// The same id again with another amount.
    Replay { original: Transaction },
}

#[derive(Debug)]
struct Script {
    user: u32,
    city: CityIndex,
    plan: Plan,
}

/// The scripts under way, by when they go on.
#[derive(Debug)]
pub(super) struct Patterns {
    due: BinaryHeap<Reverse<(i64, usize)>>,
    scripts: Vec<Option<Script>>,
    free: Vec<usize>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            scripts: Vec::new(),
            free: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.due.len() >= MAX_SCRIPTS
    }

    fn add(&mut self, due_ms: i64, script: Script) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.scripts.push(None);
            self.scripts.len() - 1
        });
        self.scripts[slot] = Some(script);
        self.due.push(Reverse((due_ms, slot)));
    }

    #[inline]
    fn take_due(&mut self, now_ms: i64) -> Option<Script> {
        let &Reverse((due_ms, slot)) = self.due.peek()?;
        if due_ms > now_ms {
            return None;
        }
        self.due.pop();
        self.free.push(slot);
        self.scripts[slot].take()
    }
}

impl Stream {
    /// Starts a pattern of a kind drawn evenly; `None` while there are too many.
    pub(super) fn start_pattern(&mut self, now_ms: i64) -> Option<Item> {
        if self.patterns.is_full() {
            return None;
        }
        let (user, city) = self.draw_user(now_ms);
        let random = self.rng.next_u64();
        let script = |plan| Script {
            user: user.number,
            city,
            plan,
        };
        Some(match random >> 62 {
            0 => self.burst(script(Plan::Velocity { sent: Vec::new() }), now_ms),
            1 => self.habit(script(Plan::AmountOutlier { habit: 0 }), now_ms),
            2 => {
                let (mut transaction, _) = self.draft(&user, city, now_ms);
                transaction.payment_method = PaymentMethod::CreditCard;
                let due_ms = now_ms + 20_000 + self.draw_ms(30_000);
                self.patterns.add(due_ms, script(Plan::ImpossibleTravel));
                first(transaction)
            }
            _ => {
                let (original, _) = self.draft(&user, city, now_ms);
                let due_ms = now_ms + 200 + self.draw_ms(1_300);
                self.patterns.add(due_ms, script(Plan::Replay { original }));
                first(original)
            }
        })
    }

    /// Goes on with the pattern that is due.
    #[inline]
    pub(super) fn continue_pattern(&mut self, now_ms: i64) -> Option<Item> {
        let script = self.patterns.take_due(now_ms)?;
        Some(match script.plan {
            Plan::Velocity { .. } => self.burst(script, now_ms),
            Plan::AmountOutlier { habit: 0..HABIT } => self.habit(script, now_ms),
            Plan::AmountOutlier { .. } => self.outlier(&script, now_ms),
            Plan::ImpossibleTravel => self.arrive(&script, now_ms),
            Plan::Replay { original } => self.replay(original),
        })
    }

    fn burst(&mut self, mut script: Script, now_ms: i64) -> Item {
        let user = self.world.user(script.user);
        let (transaction, _) = self.draft(&user, script.city, now_ms);
        if let Plan::Velocity { sent } = &mut script.plan {
            sent.push((transaction.transaction_id, now_ms));
            if sent.len() < BURST {
                let due_ms = now_ms + 200 + self.draw_ms(700);
                self.patterns.add(due_ms, script);
            } else {
                for &(transaction_id, event_time_ms) in &*sent {
                    self.labels
                        .push(label("velocity", &user, transaction_id, event_time_ms));
                }
            }
        }
        first(transaction)
    }

    fn habit(&mut self, mut script: Script, now_ms: i64) -> Item {
        let user = self.world.user(script.user);
        let (transaction, _) = self.draft(&user, script.city, now_ms);
        if let Plan::AmountOutlier { habit } = &mut script.plan {
            *habit += 1;
        }
        let due_ms = now_ms + 7_000 + self.draw_ms(3_000);
        self.patterns.add(due_ms, script);
        first(transaction)
    }

    fn outlier(&mut self, script: &Script, now_ms: i64) -> Item {
        let user = self.world.user(script.user);
        let (mut transaction, _) = self.draft(&user, script.city, now_ms);
        // Far above the habit, and below the sum at which the velocity rule fires.
        let factor = 14.0 + f64::from(multiply_shift((self.rng.next_u64() >> 32) as u32, 5));
        transaction.amount = self.world.times_median(&user, factor);
        self.labels
            .push(label("amount_outlier", &user, transaction.transaction_id, now_ms));
        first(transaction)
    }

    fn arrive(&mut self, script: &Script, now_ms: i64) -> Item {
        let user = self.world.user(script.user);
        let city = self
            .world
            .far_city(script.city, (self.rng.next_u64() >> 32) as u32);
        let (mut transaction, _) = self.draft(&user, city, now_ms);
        transaction.payment_method = PaymentMethod::CreditCard;
        self.labels.push(label(
            "impossible_travel",
            &user,
            transaction.transaction_id,
            now_ms,
        ));
        first(transaction)
    }

    /// The time stays, so that the transaction's window does too.
    fn replay(&mut self, original: Transaction) -> Item {
        let doubled = Amount::from_units(original.amount.units().saturating_mul(2));
        let transaction = Transaction {
            amount: doubled.unwrap_or(Amount::MAX),
            ..original
        };
        self.labels.push(FraudLabel {
            transaction_id: original.transaction_id,
            rule: "replay",
            entity_type: EntityType::User,
            entity: original.user_id,
            event_time_ms: original.transaction_time_ms,
        });
        Item {
            transaction,
            kind: Kind::Changed,
        }
    }

    fn draw_ms(&mut self, below_ms: u32) -> i64 {
        i64::from(multiply_shift((self.rng.next_u64() >> 32) as u32, below_ms))
    }
}

fn first(transaction: Transaction) -> Item {
    Item {
        transaction,
        kind: Kind::First,
    }
}

fn label(rule: &'static str, user: &User, transaction_id: TransactionId, event_time_ms: i64) -> FraudLabel {
    FraudLabel {
        transaction_id,
        rule,
        entity_type: EntityType::User,
        entity: user.id(),
        event_time_ms,
    }
}
