//! Reading the configuration from its sources: defaults, then the file, then variables.

use std::path::Path;

use figment::error::{Actual, Kind as FigmentKind};
use figment::providers::Serialized;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde_yaml_ng::Value as Yaml;

use crate::error::{Problem, SettingsError};
use crate::redact::is_secret;
use crate::sections::Settings;
use crate::shape::{Checker, known};
use crate::validate::violations;
use crate::variables::{self, PREFIX};

/// The file that is read where none is named: relative to the working directory.
pub const DEFAULT_PATH: &str = "config/millrace.yml";

/// What a value's source is called where neither the file nor a variable gave it.
const DEFAULTS: &str = "the defaults";

impl Settings {
    /// Reads the configuration: the defaults, then the file, then the process's `MILLRACE__…`
    /// variables, each over the one before, and checks all of it.
    ///
    /// A `path` that is given must exist; without one [`DEFAULT_PATH`] is read where it exists.
    ///
    /// # Errors
    /// See [`SettingsError`]: a file that is missing or no YAML; unknown keys, wrong types,
    /// impossible values.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::load_with(path, variables)
    }

    /// As [`Settings::load`], with the variables given rather than taken from the process. Those
    /// that do not start with [`PREFIX`] are passed over.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(
        path: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let mut problems = Vec::new();
        if let Some((source, given)) = read(path)? {
            let mut checker = Checker {
                source: &source,
                problems: Vec::new(),
            };
            let tree = checker.section("", &given, &known());
            problems.append(&mut checker.problems);
            figment = figment.merge(Source { name: source, tree });
        }
        let mut named: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        // The order of a process's environment is no one's choice; a map as a whole comes before
        // its properties.
        named.sort();
        for (name, text) in named {
            let source = format!("variable {name}");
            let mut checker = Checker {
                source: &source,
                problems: Vec::new(),
            };
            let tree = variables::parse(&name, &text, &mut checker);
            problems.append(&mut checker.problems);
            if let Some(tree) = tree {
                figment = figment.merge(Source { name: source, tree });
            }
        }
        if !problems.is_empty() {
            return Err(SettingsError::Refused(problems));
        }
        let settings: Self = figment.extract().map_err(|error| {
            SettingsError::Refused(error.into_iter().map(|error| from_figment(&error)).collect())
        })?;
        settings.check(|key| source_of(&figment, key))?;
        Ok(settings)
    }

    /// Checks values that did not come from [`Settings::load`], such as those a command line
    /// changed.
    ///
    /// # Errors
    /// [`SettingsError::Refused`] with every impossible value; the source is given as
    /// `the command line`.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.check(|_| "the command line".to_owned())
    }

    fn check(&self, source_of: impl Fn(&str) -> String) -> Result<(), SettingsError> {
        let problems: Vec<_> = violations(self)
            .into_iter()
            .map(|violation| Problem {
                source: source_of(&violation.key),
                key: violation.key,
                message: violation.message,
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SettingsError::Refused(problems))
        }
    }
}

/// The tree of one source, under its name.
struct Source {
    name: String,
    tree: Dict,
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.tree.clone())]))
    }
}

/// The configuration file's name and content; `None` where there is none and none was asked for.
fn read(path: Option<&Path>) -> Result<Option<(String, Yaml)>, SettingsError> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match path {
                None => Ok(None),
                Some(path) => Err(SettingsError::Missing { path: path.into() }),
            };
        }
        Err(reason) => {
            return Err(SettingsError::Unreadable {
                path: file.into(),
                reason,
            });
        }
    };
    let given = serde_yaml_ng::from_str(&text).map_err(|reason| SettingsError::NotYaml {
        path: file.into(),
        reason: reason.to_string(),
    })?;
    Ok(Some((file.display().to_string(), given)))
}

/// The name of the source that a key's value came from.
fn source_of(figment: &Figment, key: &str) -> String {
    let found = match key.split_once("properties.") {
        // A property's name has dots of its own.
        Some((map, property)) => figment
            .find_value(&format!("{map}properties"))
            .ok()
            .and_then(|value| figment.get_metadata(value.as_dict()?.get(property)?.tag())),
        None => figment.find_metadata(key),
    };
    found
        .filter(|metadata| metadata.source.is_none())
        .map_or_else(|| DEFAULTS.to_owned(), |metadata| metadata.name.to_string())
}

/// What serde refused after the shapes were checked: names that are none of the choices, numbers
/// out of their type's range.
fn from_figment(error: &figment::Error) -> Problem {
    let key = error.path.join(".");
    let message = match &error.kind {
        FigmentKind::UnknownVariant(found, choices) => {
            format!("is {found:?}: must be one of {}", choices.join(", "))
        }
        FigmentKind::InvalidValue(actual, expected) | FigmentKind::InvalidType(actual, expected) => {
            format!(
                "is {}: must be {}",
                show(&key, actual),
                range(&expected.to_string())
            )
        }
        _ if is_secret(&key) => "has a wrong value".to_owned(),
        other => other.to_string(),
    };
    Problem {
        source: error
            .metadata
            .as_ref()
            .map_or_else(|| DEFAULTS.to_owned(), |metadata| metadata.name.to_string()),
        key,
        message,
    }
}

fn show(key: &str, actual: &Actual) -> String {
    match actual {
        _ if is_secret(key) => crate::redact::HIDDEN.to_owned(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// The range of an integer type, for a person.
fn range(expected: &str) -> String {
    let (low, high) = match expected {
        "u16" => (0, i128::from(u16::MAX)),
        "u32" => (0, i128::from(u32::MAX)),
        "u64" | "usize" => (0, i128::from(u64::MAX)),
        "i32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        "i64" => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => return expected.to_owned(),
    };
    format!("a whole number from {low} to {high}")
}
