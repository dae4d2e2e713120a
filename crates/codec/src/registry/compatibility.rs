//! How much a subject's next schema may differ from its earlier ones.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Change, Registry, RegistryError, escaped, none_if_not_found};

/// A level that Millrace gives the subjects it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Readers with the new schema read what the last one wrote: enough where Millrace writes, as its readers are upgraded
    /// with it.
    Backward,
    /// Each version reads what every other one wrote: where others write and Millrace reads, by a schema of its own, a field
    /// that is left out would make every record of theirs unreadable.
    FullTransitive,
}

impl Compatibility {
    /// The registry's name of the level.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backward => "BACKWARD",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether a subject of the registry's level `found` may stay as it is: it is this one, or stricter.
    #[must_use]
    pub fn is_met_by(self, found: &str) -> bool {
        let enough: &[&str] = match self {
            Self::Backward => &["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"],
            Self::FullTransitive => &["FULL_TRANSITIVE"],
        };
        enough.contains(&found)
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Registry {
    /// The compatibility level of a subject, as `BACKWARD`; `None` where it has none of its own.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Level {
            #[serde(rename = "compatibilityLevel")]
            level: String,
        }
        let action = format!("get the compatibility level of {subject}");
        self.call(
            &action,
            Method::GET,
            &format!("config/{}", escaped(subject)),
            None,
        )
        .await
        .map_or_else(none_if_not_found, |found: Level| Ok(Some(found.level)))
    }

    /// Sets the compatibility level of a subject, unless it has that or a stricter one.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn set_compatibility(
        &self,
        subject: &str,
        level: Compatibility,
    ) -> Result<Change, RegistryError> {
        let found = self.compatibility(subject).await?;
        if found.is_some_and(|found| level.is_met_by(&found)) {
            return Ok(Change::Unchanged);
        }
        let action = format!("set the compatibility level of {subject} to {level}");
        let path = format!("config/{}", escaped(subject));
        let body = json!({ "compatibility": level.as_str() });
        self.call::<serde_json::Value>(&action, Method::PUT, &path, Some(&body))
            .await?;
        Ok(Change::Updated)
    }
}

#[cfg(test)]
mod tests {
    use super::Compatibility;

    #[test]
    fn a_stricter_level_is_left_alone_and_a_weaker_or_other_one_is_not() {
        for level in ["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"] {
            assert!(Compatibility::Backward.is_met_by(level), "{level}");
        }
        for level in ["NONE", "FORWARD", "FORWARD_TRANSITIVE", ""] {
            assert!(!Compatibility::Backward.is_met_by(level), "{level}");
        }
        for level in ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FULL"] {
            assert!(!Compatibility::FullTransitive.is_met_by(level), "{level}");
        }
        assert!(Compatibility::FullTransitive.is_met_by("FULL_TRANSITIVE"));
    }
}
