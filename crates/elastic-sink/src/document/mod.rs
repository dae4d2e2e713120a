//! What a record becomes in Elasticsearch: its index, identity, version and fields.
//!
//! # Why a replay changes nothing
//! The `_id` is the record's identity, so that a second write meets the first; the version is
//! external (`version_type=external`), so that Elasticsearch takes a write only if its version is
//! above the stored one and answers 409 otherwise. A replay brings the same versions: every write
//! is answered 409, which is success.
//!
//! * An aggregate's version rises with its revision: the highest stays, in whatever order they
//!   arrive. That of a final result, revision 0, is above that of every early one.
//! * So does an incident's.
//! * Of transactions, a shop's events and anomalies with the same id the first in the log stays, as
//!   in the aggregator. Bulk requests overtake one another, so "first come" would be left to
//!   chance: the version is a constant less the offset, and an earlier record wins even if it
//!   arrives later. Their offsets lie in one partition, as the same user or entity is always in the
//!   same one.
//!
//! Money is there twice: `…Units`, a `long` in 1/10,000 of the currency, is what sums are made of;
//! the plain name, a `double`, is what a person reads. (`scaled_float` would be one field for both,
//! but is a module that a plain server need not have.) Elasticsearch adds longs up in a double with
//! compensation: exact below 2^53 units, which is 900 billion of a currency, and within a cent up
//! to 50 times as much.

mod aggregate;
mod anomaly;
mod clickstream;
mod commerce;
mod incident;
mod iot;
mod transaction;

use std::fmt::Write as _;

use thiserror::Error;

pub use aggregate::aggregate;
pub use anomaly::anomaly;
pub use clickstream::{page_views, session};
pub use commerce::{funnel, product_sales, revenue, shop_event};
pub use incident::incident;
pub use iot::{device_alert, device_minute, device_state};
pub use transaction::transaction;

use crate::stream::{IndexKey, Month, Stream};

/// One document, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which template it follows.
    pub stream: Stream,
    /// Which month's index it belongs to.
    pub month: Month,
    /// Its `_id`. Of letters, digits and `-_.:` where it comes from this suite; escaped in any
    /// case.
    pub id: String,
    /// Its external version.
    pub version: i64,
    /// The JSON object, on one line.
    pub source: String,
}

impl Document {
    /// The index it belongs to.
    #[must_use]
    pub fn key(&self) -> IndexKey {
        IndexKey {
            stream: self.stream,
            month: self.month,
        }
    }
}

impl Document {
    /// The offset of its record, where the first in the log stays; `None` of results of windows, of
    /// sessions, of devices and of incidents.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        self.stream.line().first_stays.then(|| offset_of(self.version))
    }
}

/// Why a record that was decoded cannot be a document.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NoDocument {
    /// The time names no month.
    #[error("{field} {value} ms is not between 1970-01-01 and 9999-12-31")]
    Time {
        /// The field's name.
        field: &'static str,
        /// Milliseconds since 1970.
        value: i64,
    },
    /// The sum does not fit a `long`.
    #[error("{field} {value} is above the largest that Elasticsearch can hold, 922337203685477.5807")]
    Sum {
        /// The field's name.
        field: &'static str,
        /// The sum in units of 1/10,000.
        value: millrace_domain::Sum,
    },
}

impl NoDocument {
    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Time { .. } => "time_out_of_range",
            Self::Sum { .. } => "sum_out_of_range",
        }
    }
}

/// The largest integer that every JSON reader keeps exact, 2^53 - 1: above any offset.
const FIRST_VERSION: i64 = (1 << 53) - 1;

/// The version of a record of which the first in the log stays.
pub(crate) fn first_stays(offset: i64) -> i64 {
    (FIRST_VERSION - offset).max(0)
}

/// The offset of a record whose version [`first_stays`] gave.
pub(crate) fn offset_of(version: i64) -> i64 {
    FIRST_VERSION - version
}

fn month(field: &'static str, time_ms: i64) -> Result<Month, NoDocument> {
    Month::of(time_ms).ok_or(NoDocument::Time {
        field,
        value: time_ms,
    })
}

/// A JSON object under construction. Names are literals that need no escape.
struct Fields(String);

impl Fields {
    /// Starts an object with `@timestamp`, as every document has it.
    fn at(time_ms: i64) -> Self {
        let mut json = String::with_capacity(480);
        json.push_str("{\"@timestamp\":");
        let mut fields = Self(json);
        fields.put(time_ms);
        fields
    }

    fn put(&mut self, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
    }

    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        put_string(&mut self.0, value);
    }

    /// A number or boolean, in a form that is its JSON form too.
    fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        self.put(value);
    }

    /// `name` as an exact decimal, `nameUnits` as an integer of 1/10,000.
    fn money(&mut self, name: &'static str, sum: millrace_domain::Sum) -> Result<(), NoDocument> {
        let units = i64::try_from(sum.units()).map_err(|_| NoDocument::Sum {
            field: name,
            value: sum,
        })?;
        self.plain(name, sum);
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("Units\":");
        self.put(units);
        Ok(())
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Appends a JSON string (RFC 8259 §7): only the quote, the backslash and control characters need
/// an escape.
pub(crate) fn put_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests;
