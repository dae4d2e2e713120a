//! What a record of `contract!` costs, to be counted by `valgrind --tool=callgrind` or timed:
//! `cargo run --release -p millrace-contract --example codec_cost -- decode 1000`, or `encode`,
//! `decode_json`, `encode_json`.
//! Each round is 1,024 page views; what is over of the same with 0 rounds is their cost.

#![allow(clippy::print_stdout, reason = "it is run by hand")]

#[path = "../tests/support/click.rs"]
#[allow(unreachable_pub, reason = "shared with the tests")]
mod click;

use std::hint::black_box;
use std::time::Instant;

use click::Click;
use millrace_contract::{Contract as _, Encode as _, Id, Text};
use uuid::Uuid;

const DIFFERENT: u64 = 1_024;
const USAGE: &str = "usage: codec_cost encode|decode|encode_json|decode_json ROUNDS";

/// Different enough from each other that no branch predictor learns them by heart.
fn clicks() -> Option<Vec<Click>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64 (G. Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..DIFFERENT)
        .map(|_| {
            let referrer = format!("https://example.org/search?q={}", next() % 1_000);
            Some(Click {
                event_id: Uuid::from_u64_pair(next(), next()),
                user_id: Id::new(&format!("user-{}", next() % 1_000_000))?,
                url: Text::new(&format!("/products/{}/reviews", next() % 50_000))?,
                referrer: Text::new(&referrer).filter(|_| next() % 3 > 0),
                time_ms: 1_760_000_000_000 + (next() % 3_600_000) as i64,
            })
        })
        .collect()
}

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or(USAGE)?;
    let rounds: u64 = arguments.next().and_then(|text| text.parse().ok()).ok_or(USAGE)?;
    let clicks = clicks().ok_or("a click is none")?;
    let from_json = Click::FROM_JSON.ok_or("a click has no JSON")?;
    let mut bodies = Vec::new();
    let mut texts = Vec::new();
    for click in &clicks {
        let (mut body, mut text) = (Vec::new(), Vec::new());
        click.encode(&mut body);
        click.encode_json(&mut text);
        bodies.push(body);
        texts.push(text);
    }
    let mut buffer = Vec::with_capacity(2 * Click::MAX_LEN);
    let start = Instant::now();
    for _ in 0..rounds {
        for at in 0..clicks.len() {
            match what.as_str() {
                "decode" => {
                    black_box(Click::decode(black_box(&bodies[at])).is_ok());
                }
                "decode_json" => {
                    black_box(from_json(black_box(&texts[at])).is_ok());
                }
                "encode" => {
                    buffer.clear();
                    black_box(&clicks[at]).encode_framed(1, &mut buffer);
                    black_box(&buffer);
                }
                "encode_json" => {
                    buffer.clear();
                    black_box(&clicks[at]).encode_json(&mut buffer);
                    black_box(&buffer);
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
    }
    let records = rounds * DIFFERENT;
    let ns = start.elapsed().as_secs_f64() * 1e9 / records.max(1) as f64;
    let bytes = |values: &[Vec<u8>]| values.iter().map(Vec::len).sum::<usize>() / values.len();
    println!(
        "{what}: {records} records, {ns:.0} ns each; a body has {} bytes, a JSON object {}",
        bytes(&bodies),
        bytes(&texts)
    );
    Ok(())
}
