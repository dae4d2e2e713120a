//! Rows as they were read, for the reject file: as JSON text, so that numbers keep every digit.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A row as JSON.
pub type Raw = Box<RawValue>;

/// A value's JSON.
pub(super) fn raw_of(value: &(impl Serialize + ?Sized)) -> Raw {
    // Texts, lists and maps of texts have a JSON form.
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
