//! A request's body: what it is, and its bytes, decompressed within bounds.

use std::io::Read;

use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;

use crate::problem::Problem;

/// In what form items come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    Lines,
}

impl Form {
    /// By the `Content-Type`.
    ///
    /// # Errors
    /// 415 for any other, or none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let given = headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or_default());
        let essence = given.unwrap_or_default().split(';').next().unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Lines),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                format!(
                    "Content-Type is {}: must be application/json (one object, or an array) or \
                     application/x-ndjson (an object a line)",
                    given.map_or_else(|| "missing".to_owned(), |given| format!("{given:?}"))
                ),
            )),
        }
    }
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not.
    Identity,
    /// By gzip, of one member or several.
    Gzip,
}

impl Encoding {
    /// By the `Content-Encoding`.
    ///
    /// # Errors
    /// 415 for any other.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(given) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Identity);
        };
        let given = given.to_str().unwrap_or_default();
        match given.trim().to_ascii_lowercase().as_str() {
            "identity" | "" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_encoding",
                format!("Content-Encoding is {given:?}: must be gzip, or not there"),
            )),
        }
    }
}

/// A body of more than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body has more than {limit} bytes, decompressed: send fewer items a request"),
    )
}

/// What a body of gzip holds. No more than `limit` bytes are ever decompressed.
///
/// # Errors
/// It is no gzip, or ends early (400), or holds more (413).
pub(crate) fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut plain = Vec::new();
    let most = (limit as u64).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(most).read_to_end(&mut plain);
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    read.map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "not_gzip",
            format!("Content-Encoding is gzip, and the body is not: {error}"),
        )
    })?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 100_000);
        let problem = gunzip(&bomb, 1_000_000).unwrap_err();
        assert_eq!((problem.status, &*problem.code), (413, "body_too_large"));
        // Members one after the other are one body.
        let members: Vec<u8> = std::iter::repeat_n(gzip(&[b' '; 1_000]), 3).flatten().collect();
        assert_eq!(gunzip(&members, 3_000).unwrap().len(), 3_000);
        assert_eq!(gunzip(&members, 2_999).unwrap_err().status, 413);
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        let whole = gzip(b"{\"a\": 1}");
        assert_eq!(gunzip(&whole, 8).unwrap(), b"{\"a\": 1}");
        for broken in [&b"{\"a\": 1}"[..], b"", &whole[..whole.len() - 1]] {
            let problem = gunzip(broken, 100).unwrap_err();
            assert_eq!((problem.status, &*problem.code), (400, "not_gzip"), "{problem:?}");
        }
    }

    #[test]
    fn forms_are_told_by_their_media_types() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            Form::of(&headers)
        };
        assert_eq!(of("application/json"), Ok(Form::Json));
        assert_eq!(of("Application/JSON; charset=utf-8"), Ok(Form::Json));
        assert_eq!(of("application/x-ndjson"), Ok(Form::Lines));
        assert_eq!(of("application/jsonl"), Ok(Form::Lines));
        for wrong in ["application/x-www-form-urlencoded", "text/json", ""] {
            let problem = of(wrong).unwrap_err();
            assert!(problem.status == 415 && problem.detail.contains("application/x-ndjson"));
        }
        assert_eq!(Form::of(&HeaderMap::new()).unwrap_err().status, 415);
    }
}
