//! Where a reader gets the schemas that values were written with.

use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::references;

/// What gives a reader the schemas that it does not know: the schema registry, or what stands for
/// it.
///
/// A call may block the thread; a reader asks for each schema once.
pub trait SchemaSource: fmt::Debug + Send + Sync {
    /// Gets what there is of a schema by its id.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    fn schema(&self, id: u32) -> Result<Found, RegistryError>;

    /// Whether it answers for what every client may ask.
    ///
    /// # Errors
    /// As for [`SchemaSource::schema`].
    fn check_that_it_answers(&self) -> Result<(), RegistryError>;

    /// The error of an action that it cannot do now.
    fn unavailable(&self, action: &str, cause: &str) -> RegistryError;
}

impl<S: SchemaSource + ?Sized> SchemaSource for Box<S> {
    fn schema(&self, id: u32) -> Result<Found, RegistryError> {
        (**self).schema(id)
    }

    fn check_that_it_answers(&self) -> Result<(), RegistryError> {
        (**self).check_that_it_answers()
    }

    fn unavailable(&self, action: &str, cause: &str) -> RegistryError {
        (**self).unavailable(action, cause)
    }
}

/// No registry: for whoever reads nothing but values whose schemas it has been told.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRegistry;

impl SchemaSource for NoRegistry {
    fn schema(&self, id: u32) -> Result<Found, RegistryError> {
        Err(self.unavailable(&format!("give schema {id}"), "there is none"))
    }

    fn check_that_it_answers(&self) -> Result<(), RegistryError> {
        Err(self.unavailable("answer", "there is none"))
    }

    fn unavailable(&self, action: &str, cause: &str) -> RegistryError {
        RegistryError::Unavailable {
            url: "nowhere".to_owned(),
            action: action.to_owned(),
            attempts: 1,
            status: None,
            cause: cause.to_owned(),
        }
    }
}

/// The language of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaKind {
    /// Avro: the registry says nothing, or `AVRO`.
    Avro,
    /// JSON Schema: a value is JSON.
    Json,
    /// Another, as `PROTOBUF`.
    Other(String),
}

impl SchemaKind {
    /// The kind by the registry's `schemaType`, which it leaves out for Avro.
    #[must_use]
    pub fn of_type(name: Option<&str>) -> Self {
        match name {
            None | Some("AVRO") => Self::Avro,
            Some("JSON") => Self::Json,
            Some(other) => Self::Other(other.chars().take(20).collect()),
        }
    }
}

/// Where a schema is that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SchemaReference {
    /// The name that the schema calls it by: in Avro, the full name of a type.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version within the subject.
    pub version: u32,
}

/// A schema that values were written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterSchema {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: String,
    /// The texts of the schemas that it refers to, directly or through others.
    pub references: Vec<String>,
}

impl WriterSchema {
    /// An Avro schema that refers to no other.
    #[must_use]
    pub fn avro(text: &str) -> Self {
        Self {
            kind: SchemaKind::Avro,
            text: text.to_owned(),
            references: Vec::new(),
        }
    }

    /// The text with the types that it refers to put where each is named first. Of Avro.
    ///
    /// # Errors
    /// One of the texts is no JSON, or they are too deep.
    pub fn standalone(&self) -> Result<String, String> {
        Ok(references::inline(&self.text, &self.references)?.to_string())
    }
}

/// What a registry that answers says of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there, with all that it refers to.
    Whole(WriterSchema),
    /// There is none with this id.
    Nothing,
    /// It refers to one that cannot be had.
    Without {
        /// That one.
        reference: SchemaReference,
        /// Why it cannot be had.
        why: String,
    },
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The client cannot be made of its settings.
    #[error("no client for the schema registry at {url}: {cause}")]
    Configuration {
        /// The base address.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// No answer, or one that says to try again. The one error after which a later call may
    /// succeed.
    #[error("the schema registry at {url} did not {action} in {attempts} attempts: {cause}")]
    Unavailable {
        /// The base address.
        url: String,
        /// What was wanted.
        action: String,
        /// How often it was tried.
        attempts: u32,
        /// The HTTP status of the last one; `None` where there was no answer.
        status: Option<u16>,
        /// The last failure.
        cause: String,
    },
    /// The schema breaks the subject's compatibility.
    #[error("the schema registry refuses the schema for subject {subject} as incompatible: {message}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// What the registry says, with the field.
        message: String,
    },
    /// Any other refusal.
    #[error("the schema registry did not {action}: {status}: {message}")]
    Refused {
        /// What was wanted.
        action: String,
        /// The HTTP status; 0 where the answer could not be read.
        status: u16,
        /// What the registry says.
        message: String,
    },
}

impl RegistryError {
    /// Whether a later call may succeed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
