//! From stage 1's outputs to the records of the partials topic.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_domain::{Amount, Currency, ShortId, Totals, TransactionType};
use millrace_engine::windowed::{Content, PartialOutput, records};
use millrace_payments::{MerchantKey, MerchantTotals, partial_of, record_of};
use support::Contribution;

fn contribution(merchant: &str, currency: &str, window_start_ms: i64) -> Contribution {
    Contribution {
        key: MerchantKey {
            merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
            currency: Currency::parse(currency.as_bytes()).unwrap(),
        },
        window_start_ms,
        window_end_ms: window_start_ms + 1_000,
        totals: MerchantTotals {
            sums: Totals::of(TransactionType::Purchase, Amount::from_units(100).unwrap()),
            distinct_users: 1,
        },
    }
}

#[test]
fn the_currencies_of_a_merchants_window_are_one_record() {
    let of_final = |merchant, currency, window_ms| PartialOutput::Contribution {
        watermark_ms: 5,
        contribution: contribution(merchant, currency, window_ms),
    };
    let of_early = |merchant, currency, window_ms| PartialOutput::Early {
        watermark_ms: 9,
        contribution: contribution(merchant, currency, window_ms),
    };
    let outputs = [
        of_final("m-1", "EUR", 0),
        of_final("m-1", "USD", 0),
        of_final("m-2", "EUR", 0),
        of_final("m-2", "EUR", 1_000),
        of_early("m-2", "EUR", 1_000),
        of_early("m-2", "USD", 1_000),
        PartialOutput::Watermark {
            watermark_ms: 9,
            complete_ms: 8,
        },
    ];
    let found: Vec<_> = records(3, &outputs)
        .map(|partial| {
            assert_eq!(record_of(partial_of(partial.clone())), partial);
            assert_eq!(partial.source_partition, 3);
            assert_eq!(
                partial.complete_ms.is_some(),
                partial.content == Content::Watermark
            );
            (partial.watermark_ms, partial.content)
        })
        .collect();
    let both = |window_ms| {
        vec![
            contribution("m-1", "EUR", window_ms),
            contribution("m-1", "USD", window_ms),
        ]
    };
    assert_eq!(
        found,
        [
            (5, Content::Final(both(0))),
            (5, Content::Final(vec![contribution("m-2", "EUR", 0)])),
            (5, Content::Final(vec![contribution("m-2", "EUR", 1_000)])),
            (
                9,
                Content::Early(vec![
                    contribution("m-2", "EUR", 1_000),
                    contribution("m-2", "USD", 1_000)
                ])
            ),
            (9, Content::Watermark),
        ]
    );
}

#[test]
fn a_record_has_a_bound() {
    let letters = b'A'..=b'Z';
    let outputs: Vec<_> = letters
        .clone()
        .flat_map(|a| {
            letters
                .clone()
                .map(move |b| format!("X{}{}", char::from(a), char::from(b)))
        })
        .map(|currency| PartialOutput::Contribution {
            watermark_ms: 5,
            contribution: contribution("m-1", &currency, 0),
        })
        .collect();
    let sent: Vec<_> = records(0, &outputs).collect();
    let told: Vec<_> = sent
        .iter()
        .flat_map(|record| record.content.contributions())
        .collect();
    assert_eq!(told.len(), outputs.len());
    let longest = sent
        .iter()
        .map(|record| record.content.contributions().len())
        .max();
    assert_eq!(longest, Some(64));
}
