//! What became of a request's items.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Status of an item that the contract refuses.
const REFUSED: u16 = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
/// Status of an item that may be sent again.
const UNACKNOWLEDGED: u16 = StatusCode::SERVICE_UNAVAILABLE.as_u16();

/// An item that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ItemError {
    /// Which item, from 0: its place in the array, or among the lines that are not blank.
    pub(crate) index: usize,
    /// 422: the item is wrong, and will be. 503: it may be sent again, with the same id.
    pub(crate) status: u16,
    /// What is wrong, from a fixed set.
    pub(crate) code: String,
    /// The field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// What is wrong.
    pub(crate) detail: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
}

impl ItemError {
    /// An item that is wrong.
    pub(crate) fn refused(index: usize, code: &str, detail: impl Into<String>) -> Self {
        Self {
            index,
            status: REFUSED,
            code: code.to_owned(),
            field: None,
            detail: detail.into(),
            expected: None,
        }
    }

    /// An item that may be sent again.
    pub(crate) fn unacknowledged(index: usize, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status: UNACKNOWLEDGED,
            ..Self::refused(index, code, detail)
        }
    }

    /// Whether it may be sent again.
    pub(crate) fn is_retriable(&self) -> bool {
        self.status == UNACKNOWLEDGED
    }
}

/// What became of the items of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Report {
    /// The stream.
    pub(crate) stream: String,
    /// How many items there were.
    pub(crate) items: usize,
    /// How many every in-sync replica has.
    pub(crate) accepted: usize,
    /// How many are wrong, and were not sent.
    pub(crate) refused: usize,
    /// How many the brokers have not acknowledged: they may be in the topic or not.
    pub(crate) unacknowledged: usize,
    /// Those that were not accepted, by their places.
    pub(crate) errors: Vec<ItemError>,
}

impl Report {
    /// Of `items` items, all of which but those of `errors` were accepted.
    pub(crate) fn new(stream: &str, items: usize, mut errors: Vec<ItemError>) -> Self {
        errors.sort_by_key(|error| error.index);
        let unacknowledged = errors.iter().filter(|error| error.is_retriable()).count();
        Self {
            stream: stream.to_owned(),
            items,
            accepted: items - errors.len(),
            refused: errors.len() - unacknowledged,
            unacknowledged,
            errors,
        }
    }

    /// 200 where all were accepted, 422 where all were refused, 503 where all may be sent again,
    /// and 207 for any mixture.
    pub(crate) fn status(&self) -> StatusCode {
        match (self.accepted, self.refused, self.unacknowledged) {
            (_, 0, 0) => StatusCode::OK,
            (0, _, 0) => StatusCode::UNPROCESSABLE_ENTITY,
            (0, 0, _) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::MULTI_STATUS,
        }
    }
}

impl IntoResponse for &Report {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self)).into_response();
        if self.unacknowledged > 0 {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_became_of_the_items() {
        let wrong = |index| ItemError::refused(index, "missing_field", "x");
        let again = |index| ItemError::unacknowledged(index, "unacknowledged", "x");
        for (items, errors, status) in [
            (2, vec![], 200),
            (2, vec![wrong(1)], 207),
            (2, vec![again(0)], 207),
            (2, vec![wrong(0), wrong(1)], 422),
            (2, vec![again(0), again(1)], 503),
            (2, vec![again(1), wrong(0)], 207),
        ] {
            let count = errors.len();
            let report = Report::new("s", items, errors);
            assert_eq!(report.status(), status, "{report:?}");
            assert_eq!(report.accepted + report.refused + report.unacknowledged, items);
            assert_eq!(report.accepted, items - count);
            assert!(report.errors.is_sorted_by_key(|error| error.index));
            let retry = (&report).into_response().headers().contains_key("retry-after");
            assert_eq!(retry, report.unacknowledged > 0);
        }
    }
}
