//! A listener with TLS and a login, and the keys that it and its clients need.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use millrace_stack::SecureListener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

const USER: &str = "millrace";
const PASSWORD: &str = "a-password-of-the-tests";

/// Where the listener is, and what its clients need.
#[derive(Debug, Clone)]
pub struct Secure {
    /// The brokers' secure ports, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// The authority that has signed the brokers' certificate.
    pub ca_file: PathBuf,
}

impl Secure {
    /// librdkafka's properties of a client that logs in by `mechanism`.
    #[must_use]
    pub fn properties(&self, mechanism: &str) -> BTreeMap<String, String> {
        let ca_file = self.ca_file.display().to_string();
        let mut pairs = vec![
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &ca_file),
            ("sasl.mechanism", mechanism),
        ];
        if mechanism == "OAUTHBEARER" {
            pairs.push(("enable.sasl.oauthbearer.unsecure.jwt", "true"));
            pairs.push(("sasl.oauthbearer.config", "principal=millrace"));
        } else {
            pairs.push(("sasl.username", USER));
            pairs.push(("sasl.password", PASSWORD));
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        pairs.into_iter().map(owned).collect()
    }
}

/// Writes an authority and a certificate for 127.0.0.1 that it has signed into `folder`; gives the
/// listener that uses them and the authority's file.
///
/// # Errors
/// A key cannot be made or a file not be written.
pub fn listener(folder: &Path) -> Result<(SecureListener, PathBuf)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Without a name of its own it would have that of the certificate, which would pass for signed
    // by itself.
    authority
        .distinguished_name
        .push(DnType::CommonName, "Authority of the tests");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let (key_store, ca_file) = (folder.join("brokers.pem"), folder.join("ca.pem"));
    fs::write(
        &key_store,
        format!("{}{}", key.serialize_pem(), certificate.pem()),
    )?;
    fs::write(&ca_file, authority.pem())?;
    let listener = SecureListener {
        key_store,
        trust_store: ca_file.clone(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    Ok((listener, ca_file))
}
