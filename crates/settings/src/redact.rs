//! Keeps passwords out of whatever a person or a log may see.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// What is shown in place of a secret.
pub(crate) const HIDDEN: &str = "[hidden]";

/// Whether the value of a key, or of a librdkafka property, is a secret: `password`, `api_key`,
/// `sasl.password`, `ssl.key.pem`, `sasl.oauthbearer.client.secret` and the like.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    const PARTS: [&str; 10] = [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "access_key",
        "account_key",
        "key.pem",
        "jaas",
        "oauthbearer.config",
    ];
    // `token.endpoint.url` and the like are addresses, but they cost nothing hidden.
    let key = key.to_ascii_lowercase();
    PARTS.iter().any(|part| key.contains(part))
}

/// Replaces every secret in `value`.
fn hide(value: &mut Value) {
    let Value::Object(entries) = value else { return };
    for (key, entry) in entries {
        match entry {
            Value::Object(_) if !is_secret(key) => hide(entry),
            Value::Null => {}
            _ if is_secret(key) => *entry = Value::String(HIDDEN.to_owned()),
            _ => {}
        }
    }
}

/// Writes `section` as `Debug` would, with its secrets hidden.
pub(crate) fn debug(name: &str, section: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut value = serde_json::to_value(section).map_err(|_| fmt::Error)?;
    hide(&mut value);
    let mut output = f.debug_struct(name);
    if let Value::Object(entries) = &value {
        for (key, entry) in entries {
            output.field(key, &format_args!("{entry}"));
        }
    }
    output.finish()
}

/// Implements `Debug` for sections that may hold secrets.
macro_rules! redacted_debug {
    ($($section:ident),+) => {$(
        impl std::fmt::Debug for $section {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::redact::debug(stringify!($section), self, f)
            }
        }
    )+};
}
pub(crate) use redacted_debug;
