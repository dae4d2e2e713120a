//! For each rule a stream that it fires for, and one like it that is innocent.

use millrace_domain::{PaymentMethod, Transaction, TransactionType};

use super::stream::{DAY, HOUR, MINUTE, SECOND, Stream, currency, short};

pub(crate) struct Pair {
    pub(crate) rule: &'static str,
    pub(crate) guilty: Stream,
    pub(crate) innocent: Stream,
}

fn pair(rule: &'static str, guilty: Stream, innocent: Stream) -> Pair {
    Pair {
        rule,
        guilty,
        innocent,
    }
}

pub(crate) fn pairs() -> Vec<Pair> {
    let mut pairs = velocity();
    pairs.extend(amounts());
    pairs.extend(travel_and_laundering());
    pairs.extend(novelty());
    pairs.extend(merchants());
    pairs.extend(lists());
    pairs
}

fn life() -> Stream {
    Stream::of_user(20)
}

fn elsewhere(number: usize) -> impl Fn(&mut Transaction) {
    move |transaction| transaction.merchant_id = short(&format!("m-{}", number + 10))
}

fn velocity() -> Vec<Pair> {
    let each = |times: usize, gap_ms: i64, cents: i64| {
        life().repeat(times, |stream, at| stream.then(gap_ms, cents, elsewhere(at)))
    };
    let at_one =
        |times: usize, gap_ms: i64, cents: i64| life().repeat(times, |stream, _| stream.buy(gap_ms, cents));
    let probed = |cents: i64| {
        let probes = life().repeat(4, |stream, at| stream.then(MINUTE, cents, elsewhere(at)));
        probes.then(MINUTE, 9_000, elsewhere(9))
    };
    vec![
        pair("velocity", each(11, SECOND, 2_000), each(9, SECOND, 2_000)),
        pair(
            "velocity_hour",
            each(21, 2 * MINUTE, 2_000),
            each(21, 4 * MINUTE, 2_000),
        ),
        pair(
            "velocity_day_sum",
            each(5, 2 * HOUR, 40_000),
            each(5, 2 * HOUR, 2_500),
        ),
        pair(
            "velocity_user_merchant",
            at_one(7, 5 * MINUTE, 2_000),
            each(7, 5 * MINUTE, 2_000),
        ),
        pair(
            "velocity_user_merchant_sum",
            at_one(3, HOUR, 20_000),
            each(3, HOUR, 20_000),
        ),
        pair("card_testing", probed(50), probed(1_500)),
    ]
}

fn amounts() -> Vec<Pair> {
    // Users with purchases of 10 to 90 euros, so that 300 is unusual for anybody, and 95 is not.
    let crowd = Stream(Vec::new()).repeat(1_100, |stream, number| {
        stream.then(SECOND, 1_000 + (number as i64 * 731) % 8_000, |transaction| {
            transaction.user_id = short(&format!("u-{}", number % 200));
        })
    });
    let high = |cents: i64| life().repeat(3, |stream, _| stream.buy(12 * HOUR, cents));
    vec![
        pair(
            "amount_outlier",
            life().buy(HOUR, 20_000),
            life().buy(HOUR, 4_000),
        ),
        pair(
            "unusual_for_anybody",
            crowd.clone().buy(SECOND, 30_000),
            crowd.buy(SECOND, 9_500),
        ),
        pair(
            "above_average",
            life().buy(6 * HOUR, 7_000),
            life().buy(6 * HOUR, 4_000),
        ),
        pair("repeated_high_amounts", high(8_000), life().buy(12 * HOUR, 8_000)),
    ]
}

fn travel_and_laundering() -> Vec<Pair> {
    let sydney = |hours: i64| {
        life().then(hours * HOUR, 2_000, |transaction| {
            transaction.location = short("Sydney");
        })
    };
    let split = |cents: i64| life().repeat(3, |stream, at| stream.then(DAY, cents, elsewhere(at)));
    let refund = |transaction: &mut Transaction| transaction.transaction_type = TransactionType::Refund;
    let back = |bought: usize, times: usize, cents: i64| {
        Stream::of_user(bought).repeat(times, |stream, _| stream.then(2 * HOUR, cents, refund))
    };
    vec![
        pair("impossible_travel", sydney(2), sydney(30)),
        pair("structuring", split(950_000), split(1_050_000)),
        pair("refund_abuse", back(5, 4, 500), back(12, 4, 500)),
        pair("refunds_above_purchases", back(5, 2, 9_000), back(5, 2, 2_000)),
    ]
}

fn novelty() -> Vec<Pair> {
    let yen = |transaction: &mut Transaction| transaction.currency = currency("JPY");
    let wire = |transaction: &mut Transaction| transaction.payment_method = PaymentMethod::BankTransfer;
    let abroad = |transaction: &mut Transaction| {
        transaction.location = short("Lisbon");
        transaction.is_international = true;
    };
    let all_new = |transaction: &mut Transaction| {
        transaction.location = short("Lisbon");
        transaction.merchant_id = short("m-99");
        transaction.payment_method = PaymentMethod::Paypal;
    };
    let known = |transaction: &mut Transaction| {
        transaction.location = short("Lisbon");
        transaction.payment_method = PaymentMethod::Paypal;
    };
    vec![
        pair(
            "new_currency",
            life().then(DAY, 9_000_000, yen),
            life().then(DAY, 300_000, yen),
        ),
        pair(
            "new_method",
            life().then(DAY, 12_000, wire),
            life().then(DAY, 2_000, wire),
        ),
        pair(
            "new_place_abroad",
            life().then(DAY, 12_000, abroad),
            life().then(DAY, 2_000, abroad),
        ),
        pair(
            "account_takeover",
            life().then(DAY, 6_000, all_new),
            life().then(DAY, 6_000, known),
        ),
        pair(
            "dormant_account",
            life().buy(20 * DAY, 12_000),
            life().buy(2 * DAY, 12_000),
        ),
    ]
}

fn merchants() -> Vec<Pair> {
    let users = |count: usize| {
        let mut all = Vec::new();
        for user in 0..count {
            all.extend(life().0.into_iter().map(|transaction| Transaction {
                user_id: short(&format!("u-{user}")),
                ..transaction
            }));
        }
        all.sort_by_key(|transaction| transaction.transaction_time_ms);
        Stream(all)
    };
    let of = |user: usize, merchant: &'static str| {
        move |transaction: &mut Transaction| {
            transaction.user_id = short(&format!("u-{user}"));
            transaction.merchant_id = short(merchant);
        }
    };
    let visits = |count: usize, gap_ms: i64, cents: i64, merchant: &'static str| {
        users(12).repeat(count, |stream, at| {
            stream.then(gap_ms, cents, of(at % 12, merchant))
        })
    };
    vec![
        pair(
            "merchant_burst",
            visits(80, 20 * SECOND, 2_000, "m-1"),
            visits(80, 10 * MINUTE, 2_000, "m-1"),
        ),
        pair(
            "compromised_terminal",
            visits(5, HOUR, 9_000, "m-7"),
            visits(5, HOUR, 2_500, "m-7"),
        ),
        pair(
            "card_testing_at_merchant",
            visits(10, 30 * SECOND, 100, "m-7"),
            visits(10, 30 * SECOND, 1_500, "m-7"),
        ),
    ]
}

fn lists() -> Vec<Pair> {
    let with = |user: &'static str, merchant: &'static str| {
        life().then(HOUR, 2_000, move |transaction| {
            transaction.user_id = short(user);
            transaction.merchant_id = short(merchant);
        })
    };
    vec![
        pair(
            "denied_user",
            with("u-denied", "m-1"),
            with("m-denied", "u-denied"),
        ),
        pair(
            "denied_merchant",
            with("u-allowed", "m-denied"),
            with("u-1", "m-watched"),
        ),
        pair("watched_user", with("u-watched", "m-1"), with("u-denied", "m-1")),
        pair(
            "watched_merchant",
            with("u-1", "m-watched"),
            with("u-allowed", "m-watched"),
        ),
    ]
}
