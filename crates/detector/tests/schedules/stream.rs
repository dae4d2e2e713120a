//! The logs that the detector reads.

use millrace_domain::codec::transaction;
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_kafka::partition_for;
use millrace_runtime::simulation::{LoggedRecord, Random};

use crate::{BEGIN_MS, SOURCES, TRANSACTION_ID};

const RECORDS: usize = 60;

/// A log of transactions: some late, some sent twice, some changed, some elsewhere than their
/// user's, some far ahead or too early, some that nobody can decode. The second half is of after
/// all partitions were there, of which there were fewer `before`.
pub(crate) fn log(partition: i32, before: i32, users: usize, random: &mut Random) -> Vec<LoggedRecord> {
    let names_by = |partitions| -> (Vec<_>, Vec<_>) {
        (0..100)
            .map(|number| format!("u-{number}"))
            .partition(|name| partition_for(name.as_bytes(), partitions) == partition)
    };
    let (all_before, all_after) = (names_by(before), names_by(SOURCES));
    let mut sent: Vec<Transaction> = Vec::new();
    let mut log = Vec::new();
    let mut now_ms = BEGIN_MS;
    for number in 0..RECORDS {
        // Now and then longer than an id is remembered, and than a user is.
        let most_ms = match random.below(200) {
            0..2 => 200_000_000,
            2..7 => 90_000,
            _ => 2_500,
        };
        now_ms += random.below(most_ms) as i64;
        let back_ms = if random.one_in(9) { 90_000 } else { 1_500 };
        let mut time_ms = now_ms - random.below(back_ms) as i64;
        if random.one_in(25) {
            time_ms = now_ms + random.pick(&[30_000, 100_000]);
        }
        let is_before = partition < before && number < RECORDS / 2;
        let (here, elsewhere) = if is_before { &all_before } else { &all_after };
        let user = match random.one_in(15) {
            true => &elsewhere[random.below(3)],
            false => &here[random.below(users)],
        };
        let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
        let transaction = match (random.below(20), earlier) {
            (1, Some(earlier)) => earlier,
            (2, Some(earlier)) => Transaction {
                amount: Amount::from_units(earlier.amount.units() + 1).unwrap(),
                ..earlier
            },
            _ => purchase(
                (partition as usize * RECORDS + number) as u128,
                user,
                time_ms,
                random,
            ),
        };
        sent.push(transaction);
        let mut value = Vec::new();
        transaction::encode_framed(TRANSACTION_ID, &transaction, &mut value);
        if random.one_in(20) {
            value.truncate(7);
        }
        log.push(LoggedRecord {
            key: (!random.one_in(20)).then(|| transaction.user_id.text().as_bytes().to_vec()),
            payload: Some(value),
            timestamp_ms: now_ms,
            is_append_time: !random.one_in(20),
        });
    }
    log
}

fn purchase(id: u128, user: &str, time_ms: i64, random: &mut Random) -> Transaction {
    let short = |text: &str| ShortId::new(text, "test").unwrap();
    let units = (100_000 + random.below(90_000) as i64) * random.pick(&[1, 1, 1, 50]);
    Transaction {
        transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
        user_id: short(user),
        amount: Amount::from_units(units).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: short("m-1"),
        transaction_type: random.pick(&[
            TransactionType::Purchase,
            TransactionType::Purchase,
            TransactionType::Refund,
        ]),
        location: short(random.pick(&["Berlin", "Sydney", "Atlantis"])),
        payment_method: random.pick(&PaymentMethod::ALL),
        is_international: false,
        currency: Currency::parse(random.pick(&[b"EUR", b"USD"])).unwrap(),
    }
}
