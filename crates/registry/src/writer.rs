//! A writer's schema by its id, with all that it refers to.

use std::collections::HashSet;

use millrace_contract::source::{Found, RegistryError, SchemaKind, SchemaReference, WriterSchema};
use reqwest::Method;
use serde::Deserialize;

use crate::Registry;
use crate::client::escaped;

/// The most schemas that one may refer to, and those to others.
const MAX_REFERENCED: usize = 64;

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

    /// Gets what a schema refers to, and what that refers to. Each is asked for once; at most
    /// [`MAX_REFERENCED`] of them.
    pub(super) async fn whole(&self, part: Part) -> Result<Found, RegistryError> {
        let kind = SchemaKind::of_type(part.kind.as_deref());
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
