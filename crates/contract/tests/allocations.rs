//! Reading a record allocates nothing, nor does writing one into a buffer that has room.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use allocation_counter::measure;
use millrace_contract::{Contract as _, Encode as _};
use support::click::Click;
use support::sample;

#[test]
fn a_click_is_written_and_read_without_an_allocation() {
    let click = sample();
    let from_json = Click::FROM_JSON.unwrap();
    let mut buffer = Vec::with_capacity(Click::MAX_LEN);
    let counted = measure(|| {
        for _ in 0..100 {
            buffer.clear();
            click.encode(&mut buffer);
            assert_eq!(Click::decode(&buffer), Ok(click));
            buffer.clear();
            click.encode_json(&mut buffer);
            assert_eq!(from_json(&buffer), Ok(click));
        }
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}

#[test]
fn an_allocation_is_seen() {
    assert!(measure(|| drop(std::hint::black_box(vec![1_u8; 64]))).count_total > 0);
}
