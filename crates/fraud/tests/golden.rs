//! States that earlier versions of the detector wrote, read by this one.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../payments/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use millrace_domain::{Amount, Transaction};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectSettings};
use support::golden::{Golden, Step};
use support::{Random, short_id, transaction};

/// Users with habits, among them bursts, outliers, journeys, copies and changed payloads.
fn transactions() -> Vec<Step<Transaction>> {
    let mut random = Random(5);
    let mut sent: Vec<Transaction> = Vec::new();
    let mut now_ms = 1_760_000_000_000;
    (0..1_200_u64)
        .map(|number| {
            now_ms += random.below(4_000) as i64;
            if random.one_in(100) {
                now_ms += 120_000;
                return Step::Advance(now_ms - 60_000);
            }
            if random.one_in(25) && !sent.is_empty() {
                let mut again = sent[sent.len() - 1 - random.below(sent.len().min(40))];
                if random.one_in(2) {
                    again.amount = Amount::from_units(again.amount.units() + 1).unwrap();
                }
                return Step::Record(again);
            }
            // One user in a hurry among ten others.
            let user = if random.one_in(3) { 0 } else { random.below(11) };
            let is_large = random.one_in(30);
            let units = (150_000 + random.below(100_000) as i64) * if is_large { 40 } else { 1 };
            let back_ms = random.below(3_000) as i64;
            let mut record = transaction(
                number,
                &format!("u-{user}"),
                1,
                random.next() % 3,
                units,
                now_ms - back_ms,
            );
            record.location = short_id(["Berlin", "Berlin", "Sydney", "Atlantis"][random.below(4)]);
            record.payment_method = millrace_domain::PaymentMethod::ALL[random.below(3)];
            sent.push(record);
            Step::Record(record)
        })
        .collect()
}

fn detect() -> Golden<DetectOperator> {
    Golden {
        job: "detect",
        folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        fresh: || DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED).unwrap(),
        steps: transactions(),
    }
}

#[test]
fn the_present_layout_has_its_file() {
    detect().check_present();
}

#[test]
fn every_version_is_gone_on_from() {
    detect().check_every_version();
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    assert_eq!(
        detect().refusal_of_version(15),
        "the state of detect has version 15, and this release reads versions up to 5"
    );
}
