//! Ingestion over HTTP.

use std::net::IpAddr;

use super::Check;
use crate::sections::{Gateway, KeyHash, Settings};

/// A name of a key is a label of metrics and a word in logs.
const MAX_NAME: usize = 64;
/// Names of keys are labels: so many series.
const MAX_KEYS: usize = 1_000;
/// Bytes that the largest topic takes.
const MAX_ITEM_BYTES: usize = 1_000_000;
const MAX_BODY_BYTES: usize = 1_000_000_000;
/// What one sending thread may have in flight.
const MAX_IN_FLIGHT_RECORDS: usize = 100_000;
const MAX_RATE_PER_S: u32 = 100_000_000;
const MAX_TIMEOUT_MS: u64 = 600_000;
/// A week.
const MAX_TTL_MS: u64 = 604_800_000;

pub(super) fn check(check: &mut Check, settings: &Settings) {
    let gateway = &settings.gateway;
    let host = &gateway.bind_host;
    if host != "localhost" && host.parse::<IpAddr>().is_err() {
        check.refuse(
            "gateway.bind_host",
            format!("is {host:?}: must be an IP address, as 127.0.0.1, or 0.0.0.0 for every interface"),
        );
    } else if gateway.api_keys.is_empty() && !gateway.allow_anonymous && !gateway.is_on_loopback() {
        check.refuse(
            "gateway.api_keys",
            format!(
                "is empty while gateway.bind_host is {host}: whoever reaches that could write; give keys, bind \
                 127.0.0.1, or say gateway.allow_anonymous: true"
            ),
        );
    }
    port(check, settings);
    keys(check, gateway);
    sizes(check, gateway);
    check.range(
        "gateway.request_timeout_ms",
        gateway.request_timeout_ms,
        1_000,
        MAX_TIMEOUT_MS,
    );
    check.range(
        "gateway.idempotency_ttl_ms",
        gateway.idempotency_ttl_ms,
        1_000,
        MAX_TTL_MS,
    );
    check.range(
        "gateway.idempotency_max_keys",
        gateway.idempotency_max_keys,
        1,
        10_000_000,
    );
    check.range("gateway.linger_ms", gateway.linger_ms, 0, 10_000);
    check.range(
        "gateway.drain_timeout_ms",
        gateway.drain_timeout_ms,
        1,
        MAX_TIMEOUT_MS,
    );
}

fn port(check: &mut Check, settings: &Settings) {
    let port = settings.gateway.port;
    let mut services = settings.services();
    if port != 0
        && let Some(other) = services.find(|service| settings.metrics_port(*service) == port)
    {
        check.refuse(
            "gateway.port",
            format!(
                "is {port}, which {}.metrics_port has too: each needs its own",
                other.section()
            ),
        );
    }
}

fn keys(check: &mut Check, gateway: &Gateway) {
    if gateway.api_keys.len() > MAX_KEYS {
        check.refuse(
            "gateway.api_keys",
            format!("has {} keys: must be at most {MAX_KEYS}", gateway.api_keys.len()),
        );
    }
    // As variables have them too, which tell small letters from capitals by no others.
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
    for (name, hash) in &gateway.api_keys {
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || name.len() > MAX_NAME || !name.chars().all(legal) {
            check.refuse(
                "gateway.api_keys",
                format!(
                    "has the name {name:?}: must be 1 to {MAX_NAME} small letters, digits, '.' or '_', a letter first"
                ),
            );
        }
        // What is no hash may be the key: it is not shown.
        if let Err(error) = hash.parse::<KeyHash>() {
            check.refuse(&format!("gateway.api_keys.{name}"), error.to_string());
        }
    }
    check.range(
        "gateway.rate_limit_per_s",
        gateway.rate_limit_per_s,
        0,
        MAX_RATE_PER_S,
    );
    for name in gateway.rate_limits_per_s.keys() {
        let key = format!("gateway.rate_limits_per_s.{name}");
        if !gateway.api_keys.contains_key(name) {
            check.refuse(&key, "is the limit of a key that gateway.api_keys does not have");
        }
        match gateway.rate_limit_of(Some(name)) {
            Ok(limit) => check.range(&key, limit, 0, MAX_RATE_PER_S),
            Err(given) => check.refuse(
                &key,
                format!("is {given:?}: must be a whole number from 0 to {MAX_RATE_PER_S}, of items a second"),
            ),
        }
    }
}

fn sizes(check: &mut Check, gateway: &Gateway) {
    let body = ("gateway.max_body_bytes", gateway.max_body_bytes);
    check.range(
        "gateway.max_item_bytes",
        gateway.max_item_bytes,
        1_000,
        MAX_ITEM_BYTES,
    );
    check.range(body.0, body.1, 1_000, MAX_BODY_BYTES);
    check.range("gateway.max_items", gateway.max_items, 1, MAX_IN_FLIGHT_RECORDS);
    check.range(
        "gateway.max_in_flight_records",
        gateway.max_in_flight_records,
        1,
        MAX_IN_FLIGHT_RECORDS,
    );
    for (lower, upper) in [
        (("gateway.max_item_bytes", gateway.max_item_bytes), body),
        (body, ("gateway.max_in_flight_bytes", gateway.max_in_flight_bytes)),
        (
            ("gateway.max_items", gateway.max_items),
            ("gateway.max_in_flight_records", gateway.max_in_flight_records),
        ),
    ] {
        if lower.1 > upper.1 {
            check.refuse(
                lower.0,
                format!(
                    "is {}: must be at most {}, which is {}",
                    lower.1, upper.0, upper.1
                ),
            );
        }
    }
    check.range(
        "gateway.max_in_flight_bytes",
        gateway.max_in_flight_bytes,
        1_000,
        4_000_000_000,
    );
}
