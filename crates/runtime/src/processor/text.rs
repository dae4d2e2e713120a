//! Policies as text.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A policy as control records and snapshots have it: JSON, its fields in one order.
#[must_use]
pub fn policy_to_text(policy: &impl Serialize) -> String {
    // Numbers, truth values and names of fields: nothing in a policy can fail to be written.
    serde_json::to_string(policy).unwrap_or_default()
}

/// A policy for a message, which may have whole files in it: its beginning, and how long it is.
pub(crate) fn brief(policy: &str) -> std::borrow::Cow<'_, str> {
    const MOST: usize = 2_000;
    if policy.len() <= MOST {
        return policy.into();
    }
    let end = policy.floor_char_boundary(MOST);
    format!("{}… ({} bytes)", &policy[..end], policy.len()).into()
}

/// The policy that was written so.
///
/// # Errors
/// What is wrong with the text.
pub fn policy_of_text<P: DeserializeOwned>(text: &str) -> Result<P, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
