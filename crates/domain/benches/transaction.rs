//! Cost of one transaction through the codec, in time; the encoder's buffer is reused, the decoder
//! allocates nothing.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench is a test")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millrace_domain::codec::{json, transaction};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city,
};

/// Different enough from each other that no branch predictor learns them by heart.
fn transactions() -> Vec<Transaction> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64 (G. Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..4096)
        .map(|_| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&next().to_le_bytes());
            id[8..].copy_from_slice(&next().to_le_bytes());
            let place = &city::ALL[next() as usize % city::ALL.len()];
            Transaction {
                transaction_id: TransactionId::from_bytes(id),
                user_id: ShortId::new(&format!("u-{}", next() % 1_000_000), "userId").unwrap(),
                amount: Amount::from_units((next() % 5_000_000 + 1) as i64).unwrap(),
                transaction_time_ms: 1_760_000_000_000 + (next() % 3_600_000) as i64,
                merchant_id: ShortId::new(&format!("m-{}", next() % 5_000), "merchantId").unwrap(),
                transaction_type: TransactionType::ALL[usize::from(next() % 33 == 0)],
                location: ShortId::new(place.name, "location").unwrap(),
                payment_method: PaymentMethod::ALL[next() as usize % 3],
                is_international: next() % 8 == 0,
                currency: Currency::parse(place.currency.as_bytes()).unwrap(),
            }
        })
        .collect()
}

fn codec(criterion: &mut Criterion) {
    let transactions = transactions();
    let encoded: Vec<Vec<u8>> = transactions
        .iter()
        .map(|transaction| {
            let mut bytes = Vec::new();
            transaction::encode(transaction, &mut bytes);
            bytes
        })
        .collect();
    let texts: Vec<Vec<u8>> = transactions
        .iter()
        .map(|transaction| {
            let mut bytes = Vec::new();
            json::encode(transaction, &mut bytes);
            bytes
        })
        .collect();
    let mut group = criterion.benchmark_group("transaction");
    group.throughput(Throughput::Elements(1));
    let mut at = 0;
    let mut next = move || {
        at = (at + 1) % 4096;
        at
    };
    let mut buffer = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            transaction::encode_framed(1, black_box(&transactions[next()]), &mut buffer);
            black_box(buffer.len())
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| transaction::decode(black_box(&encoded[next()])));
    });
    group.bench_function("encode_json", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            json::encode(black_box(&transactions[next()]), &mut buffer);
            black_box(buffer.len())
        });
    });
    group.bench_function("decode_json", |bencher| {
        bencher.iter(|| json::decode(black_box(&texts[next()])));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
