//! The sink into Cassandra.

use super::{Check, sink};
use crate::sections::CassandraSink;

/// Ten years: no version of Cassandra takes a time much further ahead.
const MAX_KEEP_DAYS: u32 = 3_650;
/// More than one connection carries.
const MAX_IN_FLIGHT: usize = 32_768;

pub(super) fn check(check: &mut Check, sink: &CassandraSink) {
    sink::check(check, "cassandra_sink", &sink.sink_loop());
    addresses(check, &sink.contact_points);
    if sink.username.is_some() != sink.password.is_some() {
        check.refuse(
            "cassandra_sink.username",
            "goes with cassandra_sink.password: set both",
        );
    }
    keyspace(check, &sink.keyspace);
    check.range(
        "cassandra_sink.replication_factor",
        sink.replication_factor,
        1,
        100,
    );
    check.range("cassandra_sink.keep_days", sink.keep_days, 0, MAX_KEEP_DAYS);
    check.range(
        "cassandra_sink.requests_in_flight",
        sink.requests_in_flight,
        1,
        MAX_IN_FLIGHT,
    );
    check.range(
        "cassandra_sink.request_timeout_ms",
        sink.request_timeout_ms,
        1,
        600_000,
    );
    check.range("cassandra_sink.max_rows", sink.max_rows, 1, 1_000_000);
    check.range("cassandra_sink.max_bytes", sink.max_bytes, 1_000, 1_000_000_000);
    check.range("cassandra_sink.max_age_ms", sink.max_age_ms, 1, 60_000);
    sink::set_aside(check, "cassandra_sink", sink.set_aside_bytes);
}

fn addresses(check: &mut Check, contact_points: &str) {
    let is_address = |address: &str| {
        let parts = address.trim().rsplit_once(':');
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if !contact_points.split(',').all(is_address) {
        check.refuse(
            "cassandra_sink.contact_points",
            format!("is {contact_points:?}: must be host:port,host:port, as 127.0.0.1:9042"),
        );
    }
}

/// A name that needs no quotes (CQL, *Identifiers and keywords*), of at most 48 letters.
fn keyspace(check: &mut Check, name: &str) {
    let mut letters = name.chars();
    let is_name = name.len() <= 48
        && letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !is_name {
        check.refuse(
            "cassandra_sink.keyspace",
            format!(
                "is {name:?}: must be 1 to 48 small letters, digits and underscores, the first a letter, as millrace"
            ),
        );
    }
}
