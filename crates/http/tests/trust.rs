//! A client against a server whose certificate an authority of the test has signed.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace_http::{Tls, client, explain};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(120);

/// An authority, a server's certificate and a client's, as files.
struct Keys {
    folder: TempDir,
    server: ServerConfig,
}

impl Keys {
    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    /// `asks`: whether the server wants a certificate of its clients.
    fn make(asks: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let signed = || {
            let key = KeyPair::generate().unwrap();
            let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            let params = CertificateParams::new(names).unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (certificate, key) = signed();
        let (of_client, key_of_client) = signed();
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("client.pem", of_client.pem()),
            ("client.key", key_of_client.serialize_pem()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { folder, server }
    }

    /// Answers every request with 200, for as long as the test runs.
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(self.server.clone()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        address
    }
}

async fn get(tls: &Tls, address: SocketAddr) -> Result<u16, String> {
    let sent = client(TIMEOUT, tls)
        .unwrap()
        .get(format!("https://{address}/"))
        .send()
        .await;
    sent.map(|answer| answer.status().as_u16())
        .map_err(|error| explain(&error, "elasticsearch"))
}

#[tokio::test]
async fn an_authority_of_the_settings_is_trusted_and_another_is_named() {
    let keys = Keys::make(false);
    let address = keys.serve().await;
    let error = get(&Tls::default(), address).await.unwrap_err();
    assert!(error.contains("set elasticsearch.tls.ca_file"), "{error}");
    let tls = Tls {
        ca_file: keys.file("ca.pem"),
        ..Tls::default()
    };
    assert_eq!(get(&tls, address).await, Ok(200));
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let keys = Keys::make(true);
    let address = keys.serve().await;
    let mut tls = Tls {
        ca_file: keys.file("ca.pem"),
        ..Tls::default()
    };
    assert!(
        get(&tls, address).await.is_err(),
        "the server wants a certificate"
    );
    tls.certificate_file = keys.file("client.pem");
    let half = client(TIMEOUT, &tls).unwrap_err().to_string();
    assert!(half.contains("key_file"), "{half}");
    tls.key_file = keys.file("client.key");
    assert_eq!(get(&tls, address).await, Ok(200));
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let keys = Keys::make(false);
    for (name, words) in [
        ("missing.pem", "cannot be read"),
        ("client.key", "holds no certificate"),
    ] {
        let tls = Tls {
            ca_file: keys.file(name),
            ..Tls::default()
        };
        let error = client(TIMEOUT, &tls).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
}
