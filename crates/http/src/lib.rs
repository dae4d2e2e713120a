//! HTTP clients that trust the system's authorities and those of the settings, and say so where
//! they do not.
//!
//! The system's trust store (or, where it is set, the file that the variable `SSL_CERT_FILE` names)
//! holds for every call alike; an authority of a company's own comes from a PEM file beside it.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "here is where clients are made")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity};
use thiserror::Error;

/// Whom a client trusts, and who it says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// A PEM file with authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the client's own certificate and what leads from it to its authority; with
    /// `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// A PEM file with the certificate's private key (PKCS 8, PKCS 1 or SEC 1).
    pub key_file: Option<PathBuf>,
}

/// Why no client can be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it must.
    #[error("{} holds no {wanted} in PEM form", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it must hold.
        wanted: &'static str,
    },
    /// One of certificate and key is missing.
    #[error("a client's certificate_file and key_file belong together: one is missing")]
    HalfIdentity,
    /// The TLS set-up fails.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Gives this process the cryptography of its TLS, which every client needs before it is made; done
/// again it changes nothing. It is *ring*: reqwest's own choice, aws-lc, takes eight times as long
/// to build.
pub fn use_ring() {
    // An error says that the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A builder of a client whose calls take at most `timeout`.
///
/// # Errors
/// A file of `tls` cannot be used; it is named.
pub fn builder(timeout: Duration, tls: &Tls) -> Result<ClientBuilder, TlsError> {
    use_ring();
    let mut builder = Client::builder().timeout(timeout);
    if let Some(path) = &tls.ca_file {
        builder = builder.tls_certs_merge(authorities(path)?);
    }
    if let Some(pem) = identity(tls)? {
        let identity = Identity::from_pem(&pem).map_err(TlsError::Client)?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

/// A client whose calls take at most `timeout`.
///
/// # Errors
/// As of [`builder`].
pub fn client(timeout: Duration, tls: &Tls) -> Result<Client, TlsError> {
    builder(timeout, tls)?.build().map_err(TlsError::Client)
}

/// A client for services of this machine, whose calls take at most `timeout`: a proxy of the
/// environment has no business with them.
///
/// # Errors
/// The client cannot be made.
pub fn local_client(timeout: Duration) -> reqwest::Result<Client> {
    use_ring();
    Client::builder().no_proxy().timeout(timeout).build()
}

/// The client's certificate and key as one PEM text; `None` where the client has none.
fn identity(tls: &Tls) -> Result<Option<Vec<u8>>, TlsError> {
    let (certificate, key) = match (&tls.certificate_file, &tls.key_file) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => return Err(TlsError::HalfIdentity),
    };
    let mut pem = holding(certificate, "CERTIFICATE-----", "certificate")?;
    pem.push(b'\n');
    pem.extend(holding(key, "PRIVATE KEY-----", "private key")?);
    Ok(Some(pem))
}

/// The authorities of a PEM file, at least one.
fn authorities(path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let not_pem = || TlsError::NotPem {
        path: path.to_owned(),
        wanted: "certificate",
    };
    let found = Certificate::from_pem_bundle(&read(path)?).map_err(|_| not_pem())?;
    if found.is_empty() {
        return Err(not_pem());
    }
    Ok(found)
}

/// The text of a file that has `mark` in it.
fn holding(path: &Path, mark: &str, wanted: &'static str) -> Result<Vec<u8>, TlsError> {
    let pem = read(path)?;
    if !String::from_utf8_lossy(&pem).contains(mark) {
        return Err(TlsError::NotPem {
            path: path.to_owned(),
            wanted,
        });
    }
    Ok(pem)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// An error with all that caused it: a client's own message rarely says more than that a request
/// failed. Where the server's certificate is not trusted, `key` is named, the setting that takes
/// another authority.
#[must_use]
pub fn explain(error: &dyn Error, key: &str) -> String {
    let mut text = chain(error);
    if is_untrusted(&text) {
        text.push_str(&format!(
            "; the certificate's authority is not trusted: set {key}.tls.ca_file to its PEM file, or add it to the system's"
        ));
    }
    text
}

/// An error with all that caused it, each said once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether a text is TLS's complaint of an authority: the libraries keep no code of it.
fn is_untrusted(text: &str) -> bool {
    [
        "UnknownIssuer",
        "unable to get local issuer",
        "self-signed certificate",
    ]
    .iter()
    .any(|words| text.contains(words))
}
