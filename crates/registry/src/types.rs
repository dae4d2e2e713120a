//! What the client is made of, and what it says.

use std::fmt;

use millrace_http::Tls;
use serde::Deserialize;

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
