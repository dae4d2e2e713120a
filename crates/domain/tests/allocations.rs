//! The hot path asks for no memory: reading a transaction, and writing one into a buffer that has
//! room.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use allocation_counter::measure;
use common::sample;
use millrace_domain::codec::transaction;

#[test]
fn a_transaction_is_written_and_read_without_an_allocation() {
    let transaction = sample();
    let mut buffer = Vec::with_capacity(256);
    let counted = measure(|| {
        for _ in 0..100 {
            buffer.clear();
            transaction::encode(&transaction, &mut buffer);
            assert_eq!(transaction::decode(&buffer), Ok(transaction));
        }
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}

#[test]
fn what_cannot_be_read_costs_none_either() {
    let mut buffer = Vec::new();
    transaction::encode(&sample(), &mut buffer);
    let counted = measure(|| {
        for length in 0..buffer.len() {
            assert!(transaction::decode(&buffer[..length]).is_err());
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn an_allocation_is_seen() {
    assert!(measure(|| drop(std::hint::black_box(vec![1_u8; 64]))).count_total > 0);
}
