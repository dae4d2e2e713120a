//! Doubles in the text of a policy, digit by digit: not every reader of JSON gives back the double
//! that a number was written from, and a policy has to be equal to itself.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // The shortest text that is read as the same double.
    serializer.serialize_str(&value.to_string())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| Error::custom(format!("{text:?} is no number")))
}
