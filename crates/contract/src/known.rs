//! What a reader knows of schema ids, and how it finds out.
//!
//! A registry that does not give a schema has either refused that one, which makes a dead letter of
//! the record, or is away, which is waited for. The difference is what it says of something else:
//! before a refusal counts, the registry is asked for a schema that it has given before, or for the
//! list of its subjects where it has given none, and must answer; then it is asked for the refused
//! one again. A refusal holds for [`REFUSED_FOR`], and is then asked for anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::DecodeError;
use crate::money::Money;
use crate::resolve::{Relation, Resolver, relate};
use crate::source::{Found, RegistryError, SchemaKind, SchemaReference, SchemaSource, WriterSchema};

/// How many schema ids a reader remembers.
const MAX_IDS: usize = 4096;

/// How long a refused id stays refused without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// How often the registry must refuse an id, each time answering for others in between: with a word
/// of its own (404, 403), and with an error that may pass (500), after the client's own attempts,
/// which are several each time.
const REFUSALS: u32 = 2;
const REFUSALS_BY_ERROR: u32 = 3;

/// What is known of an id.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// Our own schema.
    Ours,
    /// Another, of which values are rewritten.
    Other(Arc<Resolver>),
    /// A JSON schema: values are JSON after the framing.
    Json,
    /// Values with this id are bad.
    Refused {
        /// Why.
        error: DecodeError,
        /// When to ask again.
        until: Instant,
    },
}

/// The contract that values are to become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ours {
    pub(crate) name: &'static str,
    pub(crate) schema: &'static str,
    /// The fields that are money as a double.
    pub(crate) money: &'static [(&'static str, Option<Money>)],
    pub(crate) reads_json: bool,
}

/// The ids that a reader has seen.
#[derive(Debug)]
pub(crate) struct KnownSchemas {
    contract: Ours,
    source: Box<dyn SchemaSource>,
    /// The last id that proved to be ours, or [`NO_ID`]: nearly every value has it.
    ours: AtomicU64,
    ids: RwLock<HashMap<u32, Known>>,
}

/// Above every id of 32 bits.
const NO_ID: u64 = u64::MAX;

impl KnownSchemas {
    pub(crate) fn new(contract: Ours, source: Box<dyn SchemaSource>) -> Self {
        Self {
            contract,
            source,
            ours: AtomicU64::new(NO_ID),
            ids: RwLock::new(HashMap::new()),
        }
    }

    /// Whether `id` is the last that proved to be ours.
    #[inline]
    pub(crate) fn is_last_ours(&self, id: u32) -> bool {
        self.ours.load(Ordering::Relaxed) == u64::from(id)
    }

    /// What is known of an id, from the registry where nothing is.
    ///
    /// # Errors
    /// The registry is away.
    pub(crate) fn get(&self, id: u32) -> Result<Known, RegistryError> {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        let found = ids.get(&id).cloned();
        drop(ids);
        let known = match found {
            Some(Known::Refused { until, .. }) if until <= Instant::now() => None,
            found => found,
        };
        let known = match known {
            Some(known) => known,
            None => {
                let known = self.ask(id)?;
                self.remember(id, known.clone());
                known
            }
        };
        if matches!(known, Known::Ours) {
            self.ours.store(u64::from(id), Ordering::Relaxed);
        }
        Ok(known)
    }

    fn ask(&self, id: u32) -> Result<Known, RegistryError> {
        let mut refusals = 0;
        loop {
            let (error, wanted) = match self.source.schema(id) {
                Ok(Found::Whole(schema)) => {
                    return Ok(self.judge(id, &schema).unwrap_or_else(refused));
                }
                Ok(Found::Nothing) => (DecodeError::UnknownSchema { id }, REFUSALS),
                Ok(Found::Without { reference, why }) => (without(id, reference, why), REFUSALS),
                Err(RegistryError::Refused { status, message, .. }) => {
                    (DecodeError::RefusedSchema { id, status, message }, REFUSALS)
                }
                // Patience was asked for, not something else.
                Err(
                    error @ RegistryError::Unavailable {
                        status: None | Some(408 | 429),
                        ..
                    },
                ) => {
                    return Err(error);
                }
                Err(RegistryError::Unavailable {
                    status: Some(status),
                    cause,
                    ..
                }) => {
                    let message = cause;
                    (
                        DecodeError::RefusedSchema { id, status, message },
                        REFUSALS_BY_ERROR,
                    )
                }
                Err(error) => return Err(error),
            };
            self.check_that_it_answers(id)?;
            refusals += 1;
            if refusals >= wanted {
                tracing::warn!(id, %error, "values with this schema id are refused for {} s", REFUSED_FOR.as_secs());
                return Ok(refused(error));
            }
        }
    }

    /// Whether the registry still gives what it has given before. One that is just starting answers
    /// that it knows no schema, and one behind a proxy that lost its rights refuses them all: a
    /// record would be among the dead letters for that.
    fn check_that_it_answers(&self, id: u32) -> Result<(), RegistryError> {
        let given = |(id, known): (&u32, &Known)| {
            let is_given = !matches!(known, Known::Refused { .. });
            is_given.then_some(*id)
        };
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        let before = ids.iter().find_map(given);
        drop(ids);
        let action = format!("get schema {id}");
        let Some(before) = before else {
            return self
                .source
                .check_that_it_answers()
                .map_err(|error| self.all_refused(&action, &error));
        };
        match self.source.schema(before) {
            Ok(Found::Whole(_)) => Ok(()),
            Ok(_) => Err(self.source.unavailable(
                &action,
                &format!("it does not know schema {before} either, which it has given before: it is still reading its store"),
            )),
            Err(error) => Err(self.all_refused(&action, &error)),
        }
    }

    fn all_refused(&self, action: &str, error: &RegistryError) -> RegistryError {
        let cause = format!("it refuses other calls too: {error}");
        self.source.unavailable(action, &cause)
    }

    /// What a schema is to ours.
    ///
    /// # Errors
    /// Its values cannot be read.
    pub(crate) fn judge(&self, id: u32, schema: &WriterSchema) -> Result<Known, DecodeError> {
        let Ours {
            name: wanted,
            schema: ours,
            money,
            reads_json,
        } = self.contract;
        let incompatible = |message| DecodeError::IncompatibleSchema { id, wanted, message };
        match &schema.kind {
            SchemaKind::Json if reads_json => Ok(Known::Json),
            SchemaKind::Json => Err(incompatible("it is a JSON schema, not an Avro schema".to_owned())),
            SchemaKind::Other(kind) => {
                let right = if reads_json { "AVRO or JSON" } else { "AVRO" };
                Err(incompatible(format!(
                    "it is a schema of type {kind}, not {right}"
                )))
            }
            SchemaKind::Avro => match relate(schema, ours, money).map_err(incompatible)? {
                Relation::Same => Ok(Known::Ours),
                Relation::Resolvable(resolver) => Ok(Known::Other(Arc::from(resolver))),
            },
        }
    }

    pub(crate) fn remember(&self, id: u32, known: Known) {
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        // Only garbage brings thousands of ids; what is good is soon asked for again.
        if ids.len() >= MAX_IDS {
            ids.retain(|_, known| !matches!(known, Known::Refused { .. }));
        }
        if ids.len() >= MAX_IDS {
            ids.clear();
        }
        if matches!(known, Known::Ours) {
            self.ours.store(u64::from(id), Ordering::Relaxed);
        }
        ids.insert(id, known);
    }
}

fn refused(error: DecodeError) -> Known {
    let until = Instant::now() + REFUSED_FOR;
    Known::Refused { error, until }
}

fn without(id: u32, reference: SchemaReference, why: String) -> DecodeError {
    let SchemaReference {
        name,
        subject,
        version,
    } = reference;
    DecodeError::MissingReference {
        id,
        name,
        subject,
        version,
        why,
    }
}
