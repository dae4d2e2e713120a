//! How much a subject's next schema may differ from its earlier ones.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{escaped, none_if_not_found};
use crate::{Registry, RegistryError};

/// A level of the Confluent API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Anything goes.
    None,
    /// Readers with the new schema read what the last one wrote: enough where Millrace writes, as
    /// its readers are upgraded with it.
    Backward,
    /// They read what every earlier one wrote.
    BackwardTransitive,
    /// Readers with the last schema read what the new one writes.
    Forward,
    /// So do readers with every earlier one.
    ForwardTransitive,
    /// Backward and forward.
    Full,
    /// Each version reads what every other one wrote: where others write and Millrace reads, by a
    /// schema of its own, a field that is left out would make every record of theirs unreadable.
    FullTransitive,
}

impl Compatibility {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The registry's name of the level.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The level of this name; `None` where it is not one of the API's.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The weakest level that asks for all that these two ask for: so `FORWARD` with `BACKWARD` is
    /// `FULL`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let asked = |(backward, forward, all): (bool, bool, bool), (b, f, a): (bool, bool, bool)| {
            (backward | b, forward | f, all | a)
        };
        let both = asked(self.parts(), other.parts());
        let found = Self::ALL.into_iter().find(|level| level.parts() == both);
        // Every combination but "nothing, of all versions" is a level, and no level has that part
        // alone.
        found.unwrap_or(self)
    }

    /// Whether it asks for backward, for forward compatibility, and for that with all versions.
    const fn parts(self) -> (bool, bool, bool) {
        match self {
            Self::None => (false, false, false),
            Self::Backward => (true, false, false),
            Self::BackwardTransitive => (true, false, true),
            Self::Forward => (false, true, false),
            Self::ForwardTransitive => (false, true, true),
            Self::Full => (true, true, false),
            Self::FullTransitive => (true, true, true),
        }
    }

    /// Whether a subject of the registry's level `found` may stay as it is: it is this one, or
    /// stricter.
    #[must_use]
    pub fn is_met_by(self, found: &str) -> bool {
        Self::named(found).is_some_and(|found| found.and(self) == found)
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
        let action = format!("get the compatibility level of {subject}");
        self.level(&action, &format!("config/{}", escaped(subject))).await
    }

    /// The level of subjects that have none of their own; `None` where the registry does not say.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn default_compatibility(&self) -> Result<Option<String>, RegistryError> {
        self.level("get its compatibility level", "config").await
    }

    async fn level(&self, action: &str, path: &str) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Level {
            #[serde(rename = "compatibilityLevel")]
            level: String,
        }
        self.call(action, Method::GET, path, None)
            .await
            .map_or_else(none_if_not_found, |found: Level| Ok(Some(found.level)))
    }

    /// Sets the compatibility level of a subject, whatever it has.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn set_compatibility(&self, subject: &str, level: Compatibility) -> Result<(), RegistryError> {
        let action = format!("set the compatibility level of {subject} to {level}");
        let path = format!("config/{}", escaped(subject));
        let body = json!({ "compatibility": level.as_str() });
        self.call::<serde_json::Value>(&action, Method::PUT, &path, Some(&body))
            .await
            .map(drop)
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

    #[test]
    fn a_level_is_raised_and_never_traded_for_another() {
        let and = |one: &str, other: Compatibility| Compatibility::named(one).unwrap().and(other).as_str();
        for (found, backward, full_transitive) in [
            ("NONE", "BACKWARD", "FULL_TRANSITIVE"),
            ("BACKWARD", "BACKWARD", "FULL_TRANSITIVE"),
            ("BACKWARD_TRANSITIVE", "BACKWARD_TRANSITIVE", "FULL_TRANSITIVE"),
            ("FORWARD", "FULL", "FULL_TRANSITIVE"),
            ("FORWARD_TRANSITIVE", "FULL_TRANSITIVE", "FULL_TRANSITIVE"),
            ("FULL", "FULL", "FULL_TRANSITIVE"),
            ("FULL_TRANSITIVE", "FULL_TRANSITIVE", "FULL_TRANSITIVE"),
        ] {
            assert_eq!(and(found, Compatibility::Backward), backward, "{found}");
            assert_eq!(
                and(found, Compatibility::FullTransitive),
                full_transitive,
                "{found}"
            );
        }
        assert_eq!(Compatibility::named("backward"), None);
    }
}
