//! What may be set of the operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_engine::policy::DAY_MS;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{LIBRARY, Typologies, TypologyError, Verdict};

/// Settings of the operator, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentSettings {
    /// The file of typologies, whole: so a replay has them whatever has become of the file.
    pub typologies: String,
    /// How far the watermark stays behind the highest event time, in milliseconds.
    pub max_disorder_ms: i64,
    /// The newest verdicts, by the incident's id: one that is new to the operator decides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<String, Verdict>,
}

/// The longest file of typologies in bytes: a change of policy is a record of the control topic
/// with the policy before and after it, and a megabyte is all that a topic need take.
const MAX_LEN: usize = 200_000;
/// The most verdicts of a policy, which is a record of the control topic each time that it changes.
pub const MOST_VERDICTS: usize = 500;

impl IncidentSettings {
    /// The shipped typologies.
    #[must_use]
    pub fn shipped(max_disorder_ms: i64) -> Self {
        Self {
            typologies: LIBRARY.to_owned(),
            max_disorder_ms,
            verdicts: BTreeMap::new(),
        }
    }
}

/// Settings that were checked: an operator can work with any.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "IncidentSettings", into = "IncidentSettings")]
pub struct IncidentPolicy {
    settings: IncidentSettings,
    typologies: Arc<Typologies>,
}

impl IncidentPolicy {
    /// Checks the settings. Typologies may name rules that there are not: which there are changes
    /// while they are used.
    ///
    /// # Errors
    /// The first typology that is wrong, and what would be right.
    pub fn new(mut settings: IncidentSettings) -> Result<Self, TypologyError> {
        let length = settings.typologies.len();
        if length > MAX_LEN {
            let why = format!("the file has {length} bytes: at most {MAX_LEN}");
            return Err(TypologyError::Yaml(why));
        }
        settings.max_disorder_ms = settings.max_disorder_ms.clamp(0, DAY_MS);
        let typologies = Typologies::parse_of_any_rules(&settings.typologies)?;
        Ok(Self {
            typologies: Arc::new(typologies),
            settings,
        })
    }

    /// How far the watermark stays behind the highest event time, in milliseconds.
    #[must_use]
    pub fn max_disorder_ms(&self) -> i64 {
        self.settings.max_disorder_ms
    }

    /// The same with other verdicts.
    #[must_use]
    pub fn with_verdicts(mut self, verdicts: BTreeMap<String, Verdict>) -> Self {
        self.settings.verdicts = verdicts;
        self
    }

    /// The verdicts that another policy does not have, or has otherwise.
    pub(crate) fn verdicts_beyond(&self, other: &Self) -> impl Iterator<Item = (Uuid, Verdict)> {
        let is_new = |(id, verdict): &(&String, &Verdict)| other.settings.verdicts.get(*id) != Some(*verdict);
        let new = self.settings.verdicts.iter().filter(is_new);
        new.filter_map(|(id, verdict)| Some((Uuid::parse_str(id).ok()?, *verdict)))
    }

    /// The kinds of fraud.
    #[must_use]
    pub fn typologies(&self) -> &Arc<Typologies> {
        &self.typologies
    }
}

/// Typologies are a function of the settings.
impl PartialEq for IncidentPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl TryFrom<IncidentSettings> for IncidentPolicy {
    type Error = TypologyError;

    fn try_from(settings: IncidentSettings) -> Result<Self, TypologyError> {
        Self::new(settings)
    }
}

impl From<IncidentPolicy> for IncidentSettings {
    fn from(policy: IncidentPolicy) -> Self {
        policy.settings
    }
}
