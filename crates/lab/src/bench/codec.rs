//! Decoding and encoding.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_domain::codec::transaction;
use millrace_settings::Settings;

use super::command::Options;
use super::figure::{Figure, Measure, Target};
use super::stream::Transactions;
use super::usage::time;

/// Different ones, so that no branch predictor learns them by heart.
const DIFFERENT: usize = 65_536;
/// The most that one may take.
const TARGET_NS: f64 = 60.0;

pub(super) fn measure(settings: &Settings, options: &Options) -> Result<Vec<Figure>> {
    let mut batch = Vec::new();
    Transactions::new(settings, options.users, options.merchants)?.fill(&mut batch, DIFFERENT);
    let mut encoded = Vec::new();
    for one in &batch {
        let mut bytes = Vec::new();
        transaction::encode(one, &mut bytes);
        encoded.push(bytes);
    }
    let rounds = (options.records / DIFFERENT as u64).max(1);
    let (decoded, decoding) = time(|| {
        let mut decoded = 0_u64;
        for _ in 0..rounds {
            for bytes in &encoded {
                decoded += u64::from(black_box(transaction::decode(black_box(bytes))).is_ok());
            }
        }
        decoded
    });
    let records = rounds * DIFFERENT as u64;
    (decoded == records)
        .then_some(())
        .context("a transaction that was encoded cannot be decoded")?;
    let mut buffer = Vec::new();
    let ((), encoding) = time(|| {
        for _ in 0..rounds {
            for one in &batch {
                buffer.clear();
                transaction::encode_framed(1, black_box(one), &mut buffer);
                black_box(&buffer);
            }
        }
    });
    let each = |name: &str, took: Duration| {
        let ns = took.as_secs_f64() * 1e9 / records as f64;
        Measure::new(name, ns, "ns").to_be(Target::AtMost(TARGET_NS))
    };
    let bytes: usize = encoded.iter().map(Vec::len).sum();
    Ok(vec![Figure {
        what: "codec: Avro transactions, one thread".to_owned(),
        records,
        wall_s: (decoding + encoding).as_secs_f64(),
        measures: vec![
            each("decode", decoding),
            each("encode, with the framing", encoding),
            Measure::new("mean size of the body", bytes as f64 / DIFFERENT as f64, "B"),
        ],
        ..Figure::default()
    }])
}
