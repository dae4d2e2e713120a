//! What the client is made of, and what it says.

use std::fmt;

use millrace_http::Tls;
use serde::Deserialize;
use thiserror::Error;

/// Where the registry is.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Base address, as `http://127.0.0.1:8081/apis/ccompat/v7`.
    pub url: String,
    /// Basic authentication, where the registry wants it.
    pub username: Option<String>,
    /// The password to `username`.
    pub password: Option<String>,
    /// How long one call may take.
    pub timeout_ms: u64,
    /// Whom to trust where the address is one of `https`.
    pub tls: Tls,
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("timeout_ms", &self.timeout_ms)
            .finish_non_exhaustive()
    }
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
    /// No answer, or one that says to try again. The one error after which a later call may succeed.
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

/// What became of a subject's compatibility level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was so already.
    Unchanged,
    /// It is so now.
    Updated,
}

/// A registered schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegisteredVersion {
    /// The id that framed values carry.
    pub id: u32,
    /// The version within its subject, from 1.
    pub version: u32,
    /// The schema's text.
    pub schema: String,
}
