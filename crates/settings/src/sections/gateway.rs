//! Ingestion over HTTP.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::redact::redacted_debug;

/// Ingestion over HTTP.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Whether `up` starts it, and `status` looks for it.
    pub enabled: bool,
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Port that clients call; 0 is any free one.
    pub port: u16,
    /// Address that it binds.
    pub bind_host: String,
    /// Whether who has no key is served beyond loopback too, where there are no keys at all.
    pub allow_anonymous: bool,
    /// Keys by the names of those who have them, each as a [`KeyHash`]. Without any, requests need
    /// none.
    pub api_keys: BTreeMap<String, String>,
    /// Items a second of each key, or of all without keys; 0 is no limit.
    pub rate_limit_per_s: u32,
    /// The same of single keys, by name.
    pub rate_limits_per_s: BTreeMap<String, String>,
    /// Bytes of a request's body, decompressed.
    pub max_body_bytes: usize,
    /// Items of a request.
    pub max_items: usize,
    /// Bytes of an item.
    pub max_item_bytes: usize,
    /// Bytes of all bodies that are read or waited with.
    pub max_in_flight_bytes: usize,
    /// Records that wait for their acknowledgement.
    pub max_in_flight_records: usize,
    /// How long a request may take to come, and its records to be acknowledged.
    pub request_timeout_ms: u64,
    /// How long the outcome of a request with an `Idempotency-Key` is kept.
    pub idempotency_ttl_ms: u64,
    /// How many of these are kept.
    pub idempotency_max_keys: usize,
    /// librdkafka's `linger.ms`.
    pub linger_ms: u64,
    /// How long a stop waits for the requests under way.
    pub drain_timeout_ms: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        let spec = Service::Gateway.spec();
        Self {
            enabled: false,
            metrics_port: spec.port,
            port: spec.api_port.unwrap_or_default(),
            bind_host: "127.0.0.1".to_owned(),
            allow_anonymous: false,
            api_keys: BTreeMap::new(),
            rate_limit_per_s: 0,
            rate_limits_per_s: BTreeMap::new(),
            max_body_bytes: 8_000_000,
            max_items: 10_000,
            max_item_bytes: 65_536,
            max_in_flight_bytes: 64_000_000,
            max_in_flight_records: 50_000,
            request_timeout_ms: 30_000,
            idempotency_ttl_ms: 3_600_000,
            idempotency_max_keys: 100_000,
            linger_ms: 5,
            drain_timeout_ms: 20_000,
        }
    }
}

redacted_debug!(Gateway);

impl Gateway {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        self.bind_host == "localhost" || self.bind_host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
    }

    /// Items a second that the key of this name may send; 0 is no limit. Without a name: where
    /// there are no keys.
    ///
    /// # Errors
    /// What is set for it is no number: it.
    pub fn rate_limit_of(&self, name: Option<&str>) -> Result<u32, String> {
        match name.and_then(|name| self.rate_limits_per_s.get(name)) {
            Some(text) => text.trim().parse().map_err(|_| text.clone()),
            None => Ok(self.rate_limit_per_s),
        }
    }
}

/// What is kept of an API key: its SHA-256, as `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

/// A text that is no [`KeyHash`]. It does not show the text, which may be the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be sha256: and 64 hexadecimal digits, as `printf %s \"$KEY\" | sha256sum` prints them")]
pub struct KeyHashError;

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let digits = text.trim().strip_prefix("sha256:").ok_or(KeyHashError)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(KeyHashError);
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| KeyHashError)?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_and_nothing_else_is() {
        let digits = "00ff".repeat(16);
        let hash: KeyHash = format!("sha256:{digits}").parse().unwrap();
        assert_eq!(hash.0, [0, 255].repeat(16)[..]);
        assert_eq!(format!("sha256:{}", digits.to_uppercase()).parse(), Ok(hash));
        for wrong in [
            "",
            &digits,
            "sha256:",
            "sha256:00ff",
            &format!("sha256:{digits}0"),
            &format!("sha256:+{}", &digits[1..]),
            "hunter2",
        ] {
            assert_eq!(wrong.parse::<KeyHash>(), Err(KeyHashError), "{wrong}");
        }
    }

    #[test]
    fn loopback_has_several_names() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.2", true),
            ("::1", true),
            ("localhost", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
        ] {
            let gateway = Gateway {
                bind_host: host.to_owned(),
                ..Gateway::default()
            };
            assert_eq!(gateway.is_on_loopback(), expected, "{host}");
        }
    }
}
