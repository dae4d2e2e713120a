//! The HTTP client of the command's own checks.

use std::time::Duration;

use reqwest::Client;

/// A client for services of this machine: a proxy of the environment has no business with them.
///
/// # Errors
/// TLS cannot be set up.
pub(crate) fn client(timeout: Duration) -> reqwest::Result<Client> {
    millrace_http::local_client(timeout)
}
