//! Strategies for every record of the contracts.

#![allow(unreachable_pub, dead_code, reason = "each test binary uses some of them")]

pub mod registry;

use millrace_domain::{
    AlertFeedback, Amount, Anomaly, Contribution, Currency, EntityType, Evidence, FraudLabel, IncidentRecord,
    IncidentRule, IncidentStatus, ListEntry, ListKey, ListPurpose, ListedKind, MerchantAggregate, Partial,
    PartialContent, PaymentMethod, RuleChange, RuleChangeStatus, RuleOrigin, RuleText, Severity, ShortId,
    Sum, Totals, Transaction, TransactionId, TransactionType, Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;

const RULES: [&str; 3] = ["velocity", "impossible_travel", "amount_outlier"];
const FIGURES: [&str; 3] = ["count", "speed_km_per_h", "sum_ratio"];

/// One transaction.
pub fn sample() -> Transaction {
    let id = |text, field| ShortId::new(text, field).unwrap();
    Transaction {
        transaction_id: TransactionId::parse(b"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11").unwrap(),
        user_id: id("u-1", "userId"),
        amount: Amount::from_f64(57.16).unwrap(),
        transaction_time_ms: 1_760_000_000_000,
        merchant_id: id("m-17", "merchantId"),
        transaction_type: TransactionType::Refund,
        location: id("Berlin", "location"),
        payment_method: PaymentMethod::BankTransfer,
        is_international: true,
        currency: Currency::parse(b"EUR").unwrap(),
    }
}

pub fn short_id() -> impl Strategy<Value = ShortId> {
    // Up to 64 bytes, with quotes, backslashes, control characters and letters of two and three
    // bytes.
    prop_oneof![4 => "[a-z0-9-]{1,12}", 1 => "[a-zé€\"\\\\\\t\\n ]{1,4}", 1 => "[a-zé€\"\\\\\\t\\n ]{1,21}", 1 => "[a-z0-9-]{13,64}"]
        .prop_map(|text| ShortId::new(&text, "id").unwrap())
}

pub fn transaction_id() -> impl Strategy<Value = TransactionId> {
    any::<[u8; 16]>().prop_map(TransactionId::from_bytes)
}

pub fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![1..10_000_000_i64, 1..=Amount::MAX.units()]
        .prop_map(|units| Amount::from_units(units).unwrap())
}

pub fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code| Currency::parse(code.as_bytes()).unwrap())
}

pub fn transaction() -> impl Strategy<Value = Transaction> {
    (
        (
            transaction_id(),
            short_id(),
            amount(),
            0..=Transaction::MAX_TIME_MS,
            short_id(),
        ),
        (
            select(&TransactionType::ALL),
            short_id(),
            select(&PaymentMethod::ALL),
            any::<bool>(),
            currency(),
        ),
    )
        .prop_map(
            |(
                (transaction_id, user_id, amount, time, merchant_id),
                (kind, location, method, abroad, currency),
            )| {
                Transaction {
                    transaction_id,
                    user_id,
                    amount,
                    transaction_time_ms: time,
                    merchant_id,
                    transaction_type: kind,
                    location,
                    payment_method: method,
                    is_international: abroad,
                    currency,
                }
            },
        )
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, 0..=i64::MAX as u64]
}

fn sum() -> impl Strategy<Value = Sum> {
    (any::<i128>(), 0..128_u32).prop_map(|(units, shift)| Sum::from_units(units >> shift))
}

fn totals() -> impl Strategy<Value = Totals> {
    (count(), sum(), count(), sum(), amount(), amount()).prop_map(
        |(purchase_count, purchase_sum, refund_count, refund_sum, min_amount, max_amount)| Totals {
            purchase_count,
            purchase_sum,
            refund_count,
            refund_sum,
            min_amount,
            max_amount,
        },
    )
}

pub fn aggregate() -> impl Strategy<Value = MerchantAggregate> {
    (
        short_id(),
        currency(),
        any::<i64>(),
        any::<i64>(),
        totals(),
        count(),
        any::<i32>(),
    )
        .prop_map(
            |(merchant_id, currency, window_start_ms, window_end_ms, totals, distinct_users, revision)| {
                MerchantAggregate {
                    merchant_id,
                    currency,
                    window_start_ms,
                    window_end_ms,
                    totals,
                    distinct_users,
                    revision,
                }
            },
        )
}

/// What a single source would have added to an aggregate.
pub fn contribution_of(aggregate: &MerchantAggregate) -> Contribution {
    Contribution {
        merchant_id: aggregate.merchant_id,
        currency: aggregate.currency,
        window_start_ms: aggregate.window_start_ms,
        window_end_ms: aggregate.window_end_ms,
        totals: aggregate.totals,
        distinct_users: aggregate.distinct_users,
    }
}

fn contribution() -> impl Strategy<Value = Contribution> {
    aggregate().prop_map(|aggregate| contribution_of(&aggregate))
}

pub fn partial() -> impl Strategy<Value = Partial> {
    let of_one_window = proptest::collection::vec(contribution(), 0..4).prop_map(|mut contributions| {
        if let Some((first, others)) = contributions.split_first_mut() {
            for other in others {
                other.merchant_id = first.merchant_id;
                (other.window_start_ms, other.window_end_ms) = (first.window_start_ms, first.window_end_ms);
            }
        }
        contributions
    });
    let progress = (any::<i64>(), any::<Option<i64>>());
    (any::<i32>(), progress, of_one_window, any::<bool>()).prop_map(
        |(source_partition, (watermark_ms, complete_ms), contributions, is_early)| Partial {
            source_partition,
            watermark_ms,
            complete_ms,
            content: match contributions.is_empty() {
                true => PartialContent::Watermark,
                false if is_early => PartialContent::Early(contributions),
                false => PartialContent::Final(contributions),
            },
        },
    )
}

pub fn anomaly() -> impl Strategy<Value = (Anomaly, i64)> {
    let figures = proptest::collection::btree_map(select(&FIGURES), -1e12..1e12_f64, 0..=3);
    let evidence = (proptest::collection::vec(transaction_id(), 0..5), figures).prop_map(
        |(transaction_ids, figures)| Evidence {
            transaction_ids,
            figures: figures
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        },
    );
    (
        (
            any::<u128>(),
            select(&RULES),
            select(&EntityType::ALL),
            short_id(),
            select(&Severity::ALL),
        ),
        (0.0..=1.0_f64, evidence, any::<i64>(), any::<i64>(), origin()),
    )
        .prop_map(
            |(
                (id, rule, entity_type, entity, severity),
                (score, evidence, event_time_ms, detection, origin),
            )| {
                let anomaly = Anomaly {
                    id: uuid::Uuid::from_u128(id),
                    rule: rule.into(),
                    entity_type,
                    entity,
                    severity,
                    score,
                    evidence,
                    event_time_ms,
                    origin: origin.map(std::sync::Arc::new),
                };
                (anomaly, detection)
            },
        )
}

fn origin() -> impl Strategy<Value = Option<RuleOrigin>> {
    let origin = (
        "[0-9a-f]{64}",
        "[0-9a-f]{64}",
        ".{0,40}",
        proptest::collection::vec("[a-z_]{1,9}", 0..4),
    );
    proptest::option::of(
        origin.prop_map(|(rule_set_version, revision, reason, reason_codes)| RuleOrigin {
            rule_set_version,
            revision,
            reason,
            reason_codes,
        }),
    )
}

pub fn rule_change() -> impl Strategy<Value = RuleChange> {
    let texts = || proptest::collection::vec(("[a-z]{1,9}", ".{0,40}"), 0..4);
    let number = || 0..u64::from(u32::MAX);
    (
        (number(), select(&RuleChangeStatus::ALL), ".{0,9}", number()),
        (proptest::option::of(number()), ".{0,64}", texts(), texts()),
        (".{0,9}", proptest::option::of(".{0,9}"), ".{0,40}", any::<i64>()),
    )
        .prop_map(|(first, second, third)| {
            let (number, status, action, base) = first;
            let (proposal, version, files, modes) = second;
            let (author, approved_by, reason, time_ms) = third;
            let text = |(name, text)| RuleText { name, text };
            RuleChange {
                number,
                status,
                action,
                base,
                proposal,
                version,
                files: files.into_iter().map(text).collect(),
                modes,
                author,
                approved_by,
                reason,
                time_ms,
            }
        })
}

pub fn feedback() -> impl Strategy<Value = AlertFeedback> {
    let verdict = select(&Verdict::ALL);
    (any::<u128>(), verdict, ".{0,9}", ".{0,40}", any::<i64>()).prop_map(
        |(incident, verdict, author, reason, time_ms)| AlertFeedback {
            incident: uuid::Uuid::from_u128(incident),
            verdict,
            author,
            reason,
            time_ms,
        },
    )
}

pub fn incident() -> impl Strategy<Value = IncidentRecord> {
    let number = || 0..u64::from(u32::MAX);
    let finite = || -1e9_f64..1e9;
    let rule = ("[a-z_]{1,9}", number(), proptest::option::of(finite()))
        .prop_map(|(rule, alerts, score)| IncidentRule { rule, alerts, score });
    (
        (any::<u128>(), number(), "[a-z_]{1,9}", ".{0,40}"),
        (select(&EntityType::ALL), short_id(), select(&IncidentStatus::ALL)),
        (select(&Severity::ALL), finite(), finite()),
        (any::<[i64; 3]>(), number(), number()),
        proptest::collection::vec(transaction_id(), 0..4),
        proptest::collection::vec(rule, 0..4),
    )
        .prop_map(|(first, whose, how, counts, transaction_ids, rules)| {
            let (id, revision, typology, reason) = first;
            let (entity_type, entity, status) = whose;
            let (severity, score, threshold) = how;
            let ([opened_ms, first_ms, last_ms], alerts, transactions) = counts;
            IncidentRecord {
                id: uuid::Uuid::from_u128(id),
                revision,
                typology,
                reason,
                entity_type,
                entity: entity.text().as_str().to_owned(),
                status,
                severity,
                score,
                threshold,
                opened_ms,
                first_ms,
                last_ms,
                alerts,
                transactions,
                transaction_ids,
                rules,
            }
        })
}

pub fn list_entry() -> impl Strategy<Value = ListEntry> {
    let key = (
        select(&ListPurpose::ALL),
        "[a-z][a-z0-9_]{0,9}",
        select(&ListedKind::ALL),
        short_id(),
    );
    let rest = (
        proptest::option::of(any::<i64>()),
        ".{0,9}",
        ".{0,40}",
        any::<i64>(),
    );
    (key, rest).prop_map(
        |((purpose, name, kind, entity), (until_ms, author, reason, time_ms))| ListEntry {
            key: ListKey {
                purpose,
                name,
                kind,
                entity: entity.text().as_str().to_owned(),
            },
            until_ms,
            author,
            reason,
            time_ms,
        },
    )
}

pub fn label() -> impl Strategy<Value = FraudLabel> {
    (
        transaction_id(),
        select(&RULES),
        select(&EntityType::ALL),
        short_id(),
        any::<i64>(),
    )
        .prop_map(
            |(transaction_id, rule, entity_type, entity, event_time_ms)| FraudLabel {
                transaction_id,
                rule,
                entity_type,
                entity,
                event_time_ms,
            },
        )
}
