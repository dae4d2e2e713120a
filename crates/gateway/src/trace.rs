//! The trace that a request belongs to (W3C Trace Context).

use axum::http::HeaderMap;
use rdkafka::message::{Header, OwnedHeaders};

/// The header of requests and of records.
const TRACEPARENT: &str = "traceparent";

/// A request's `traceparent` as headers of its records; nothing where it has none, or one that is
/// not of the standard's form, which a receiver must not pass on.
pub(crate) fn headers(headers: &HeaderMap) -> Option<OwnedHeaders> {
    let value = headers.get(TRACEPARENT)?.as_bytes();
    is_traceparent(value).then(|| {
        OwnedHeaders::new().insert(Header {
            key: TRACEPARENT,
            value: Some(value),
        })
    })
}

/// `00-TRACE-PARENT-FLAGS`, of 32, 16 and 2 lower-case hexadecimal digits, neither id all zeros;
/// later versions may have more after a dash.
fn is_traceparent(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
    let Some((head, rest)) = value.split_at_checked(55) else {
        return false;
    };
    let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let version = &head[..2];
    let is_version = is_hex(version) && version != b"ff";
    let ends = match version {
        b"00" => rest.is_empty(),
        _ => rest.is_empty() || (rest.starts_with(b"-") && rest.len() <= 200),
    };
    dashes && is_version && ends && is_id(&head[3..35]) && is_id(&head[36..52]) && is_hex(&head[53..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_allows_is_passed_on() {
        let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(right.as_bytes()));
        assert!(is_traceparent(right.replacen("00", "cc", 1).as_bytes()));
        assert!(is_traceparent(
            format!("{}-more", right.replacen("00", "cc", 1)).as_bytes()
        ));
        for wrong in [
            String::new(),
            right.to_uppercase(),
            right.replacen("00", "ff", 1),
            right.replace('-', "_"),
            right[..54].to_owned(),
            format!("{right}-more"),
            format!("{right}0"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(),
        ] {
            assert!(!is_traceparent(wrong.as_bytes()), "{wrong}");
        }
    }
}
