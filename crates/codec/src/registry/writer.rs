//! A writer's schema by its id, with all that it refers to.

use std::collections::HashSet;

use reqwest::Method;
use serde::Deserialize;

use super::{Registry, RegistryError, escaped};
use crate::references;

/// The most schemas that one may refer to, and those to others.
const MAX_REFERENCED: usize = 64;

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
    pub(super) fn of(name: Option<&str>) -> Self {
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

/// A schema without what it refers to, as the registry gives it by id or version.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) schema: String,
    #[serde(rename = "schemaType")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) references: Option<Vec<SchemaReference>>,
}

impl Registry {
    /// Gets a schema by the id that framed values carry.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn writer_schema(&self, id: u32) -> Result<Found, RegistryError> {
        let action = format!("get schema {id}");
        let path = format!("schemas/ids/{id}");
        match self.call(&action, Method::GET, &path, None).await {
            Ok(part) => self.whole(part).await,
            Err(RegistryError::Refused { status: 404, .. }) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Gets what a schema refers to, and what that refers to. Each is asked for once; at most [`MAX_REFERENCED`] of them.
    pub(super) async fn whole(&self, part: Part) -> Result<Found, RegistryError> {
        let kind = SchemaKind::of(part.kind.as_deref());
        let mut texts = Vec::new();
        let mut wanted = part.references.unwrap_or_default();
        let mut seen = HashSet::new();
        // Only Avro is parsed here: JSON is read by the contract's names, whatever its schema says.
        while let Some(reference) = wanted.pop().filter(|_| kind == SchemaKind::Avro) {
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            if texts.len() == MAX_REFERENCED {
                let why = format!("was not asked for, as it is beyond the {MAX_REFERENCED} that are");
                return Ok(Found::Without { reference, why });
            }
            match self.referenced(&reference).await {
                Ok(part) => {
                    texts.push(part.schema);
                    wanted.extend(part.references.unwrap_or_default());
                }
                Err(RegistryError::Refused { status: 404, .. }) => {
                    let why = "does not have".to_owned();
                    return Ok(Found::Without { reference, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Found::Whole(WriterSchema {
            kind,
            text: part.schema,
            references: texts,
        }))
    }

    async fn referenced(&self, reference: &SchemaReference) -> Result<Part, RegistryError> {
        let SchemaReference { subject, version, .. } = reference;
        let action = format!("get version {version} of {subject}");
        let path = format!("subjects/{}/versions/{version}", escaped(subject));
        self.call(&action, Method::GET, &path, None).await
    }

    /// Gets the newest schema of a subject, with its id; `None` if there is none.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub async fn newest_writer_schema(&self, subject: &str) -> Result<Option<(u32, Found)>, RegistryError> {
        #[derive(Deserialize)]
        struct Newest {
            id: u32,
            #[serde(flatten)]
            part: Part,
        }
        let action = format!("get the newest schema of {subject}");
        let path = format!("subjects/{}/versions/latest", escaped(subject));
        match self.call::<Newest>(&action, Method::GET, &path, None).await {
            Ok(newest) => Ok(Some((newest.id, self.whole(newest.part).await?))),
            Err(RegistryError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
