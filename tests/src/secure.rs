//! A listener with TLS and a login, and the keys that it and its clients need.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use millrace_stack::{Ports, SecureListener};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::token_provider::{self, Signer, TokenProvider};

const USER: &str = "millrace";
const PASSWORD: &str = "a-password-of-the-tests";

/// Where the listener is, and what its clients need.
#[derive(Debug, Clone)]
pub struct Secure {
    /// The brokers' secure ports, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// The authority that has signed the brokers' certificate.
    pub ca_file: PathBuf,
    /// The brokers' key and certificate.
    pub(crate) key_store: PathBuf,
    /// What signs the tokens that they take.
    pub(crate) signer: Signer,
}

impl Secure {
    /// The one user, as rights name it.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("User:{USER}")
    }

    /// librdkafka's properties of a client that logs in by `mechanism`, with the password.
    #[must_use]
    pub fn properties(&self, mechanism: &str) -> BTreeMap<String, String> {
        let ca_file = self.ca_file.display().to_string();
        owned(&[
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &ca_file),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", PASSWORD),
        ])
    }

    /// Those of a client that logs in with tokens of `provider`.
    #[must_use]
    pub fn token_properties(&self, provider: &TokenProvider) -> BTreeMap<String, String> {
        let ca_file = self.ca_file.display().to_string();
        owned(&[
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &ca_file),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.token.endpoint.url", &provider.url()),
            ("https.ca.location", &ca_file),
            ("sasl.oauthbearer.client.id", token_provider::CLIENT),
            ("sasl.oauthbearer.client.secret", token_provider::SECRET),
            ("sasl.oauthbearer.scope", token_provider::SCOPE),
            (
                "sasl.oauthbearer.extensions",
                "logicalCluster=lkc-1,identityPoolId=pool-1",
            ),
        ])
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Writes an authority and a certificate for 127.0.0.1 that it has signed into `folder`, and the
/// key that tokens are checked with; gives the listener that uses them, and what its clients need.
///
/// # Errors
/// A key cannot be made or a file not be written.
pub fn listener(folder: &Path, ports: &Ports) -> Result<(SecureListener, Secure)> {
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
    let (token_keys, signer) = (folder.join("jwks.json"), Signer::new()?);
    fs::write(&token_keys, signer.public_keys())?;
    fs::write(
        &key_store,
        format!("{}{}", key.serialize_pem(), certificate.pem()),
    )?;
    fs::write(&ca_file, authority.pem())?;
    let listener = SecureListener {
        key_store: key_store.clone(),
        trust_store: ca_file.clone(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        token_keys,
        token_audience: token_provider::AUDIENCE.to_owned(),
    };
    let secure = Secure {
        bootstrap_servers: ports
            .secure_brokers
            .map(|port| format!("127.0.0.1:{port}"))
            .join(","),
        ca_file,
        key_store,
        signer,
    };
    Ok((listener, secure))
}
