//! What evaluating costs: nanoseconds of a record and of a condition.
//!
//!     cargo run --release -p millrace-rules --example evaluate_cost

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the terminal")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_rules::{Budget, Evaluator, TODAY, Version, parse_rules};

const USERS: u64 = 20_000;
const RECORDS: u64 = 400_000;

fn transactions() -> Vec<Transaction> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let short = |text: &str| ShortId::new(text, "id").unwrap();
    (0..RECORDS)
        .map(|number| Transaction {
            transaction_id: TransactionId::from_bytes(u128::from(number).to_be_bytes()),
            user_id: short(&format!("u-{}", next() % USERS)),
            amount: Amount::from_units(100_000 + (next() % 400_000) as i64).unwrap(),
            transaction_time_ms: 1_760_000_000_000 + (number * 50) as i64,
            merchant_id: short(&format!("m-{}", next() % 500)),
            transaction_type: TransactionType::Purchase,
            location: short("Berlin"),
            payment_method: PaymentMethod::CreditCard,
            is_international: next() % 8 == 0,
            currency: Currency::parse(b"EUR").unwrap(),
        })
        .collect()
}

/// The best of five passes, in nanoseconds of a record.
fn measure(text: &str, transactions: &[Transaction]) -> (f64, f64) {
    let budget = Budget {
        bytes_a_user: f64::INFINITY,
        ns_a_record: f64::INFINITY,
    };
    let version = Arc::new(Version::new(parse_rules(text).unwrap(), &budget).unwrap());
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
        let mut fired = Vec::new();
        let start = Instant::now();
        for transaction in transactions {
            evaluator.process(transaction, &mut fired);
            fired.clear();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / transactions.len() as f64);
    }
    (best, version.cost().ns_a_record)
}

fn rules(conditions: impl Iterator<Item = String>) -> String {
    let mut text = "rules:\n".to_owned();
    for (at, condition) in conditions.enumerate() {
        let _ = writeln!(
            text,
            "  - name: r{at}\n    when: '{condition}'\n    severity: low\n    reason: r\n    mode: live"
        );
    }
    text
}

fn main() {
    let transactions = transactions();
    let show = |name: &str, (ns, estimated): (f64, f64)| {
        println!("{name}: {ns:.0} ns a record (the cost card says {estimated:.0})");
        ns
    };
    let one = show(
        "one guard",
        measure(
            &rules(std::iter::once("amount > 900 EUR".to_owned())),
            &transactions,
        ),
    );
    let guards = (0..101).map(|at| format!("amount > {} EUR", 900 + at));
    let hundred = show("101 guards", measure(&rules(guards), &transactions));
    println!("  a guard: {:.1} ns", (hundred - one) / 100.0);
    let one = show(
        "one count",
        measure(
            &rules(std::iter::once("count(\"10m\") > 900".to_owned())),
            &transactions,
        ),
    );
    let shared = (0..101).map(|at| format!("count(\"10m\") > {}", 900 + at));
    let hundred = show(
        "101 conditions on one count",
        measure(&rules(shared), &transactions),
    );
    println!(
        "  a condition on a shared feature: {:.1} ns",
        (hundred - one) / 100.0
    );
    for window in ["1h", "30d"] {
        let text = rules(std::iter::once(format!("sum(\"{window}\", amount) > 100000 EUR")));
        show(&format!("sum over {window}"), measure(&text, &transactions));
    }
    let text = rules(std::iter::once("distinct(\"24h\", merchant) > 24".to_owned()));
    show("distinct", measure(&text, &transactions));
    let text = rules(std::iter::once("zscore(log(amount)) > 4".to_owned()));
    show("zscore of the habit", measure(&text, &transactions));
    show("the rules of today", measure(TODAY, &transactions));
    let many = (0..100).map(|at| {
        let window = ["1m", "10m", "1h", "24h"][at % 4];
        match at / 4 % 10 {
            0 => format!("count(\"{window}\") > {}", 900 + at),
            1 => format!("sum(\"{window}\", amount) > {} EUR", 900_000 + at),
            2 => format!("sum(\"{window}\", amount / usual) > {}", 900 + at),
            3 => format!("distinct(\"{window}\", merchant) > {}", 20 + at % 5),
            4 => format!("count(\"{window}\", international) > {}", 900 + at),
            5 => format!("max(\"{window}\", amount) > {} EUR", 900 + at),
            6 => format!("count(\"{window}\").by(user, merchant) > {}", 900 + at),
            7 => format!("first_seen(\"{window}\", location) and amount > {} EUR", 900 + at),
            8 => format!("avg(\"{window}\", amount) > {} EUR", 900 + at),
            _ => format!("zscore(log(amount)) > {}", 9 + at),
        }
    });
    show("100 rules over 37 features", measure(&rules(many), &transactions));
}
