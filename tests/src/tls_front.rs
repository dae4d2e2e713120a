//! A front with TLS before a server that has none, in this process: its certificate is signed by an
//! authority that no system trusts, as a company's own is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// An authority, and the certificate for 127.0.0.1 that it has signed.
pub struct Authority {
    /// The authority's certificate, as a PEM file.
    pub file: PathBuf,
    acceptor: TlsAcceptor,
}

impl Authority {
    /// Makes one; its file is in `folder`.
    ///
    /// # Errors
    /// A key cannot be made, or the file not be written.
    pub fn make(folder: &Path) -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "Authority of a company";
        authority.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
        let file = folder.join("company.pem");
        fs::write(&file, authority.pem())?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self {
            file,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Starts a front before the server at `url`, which is `http://HOST:PORT` and perhaps a path.
    ///
    /// # Errors
    /// The address is none, or no port is free.
    pub async fn front(&self, url: &str) -> Result<TlsFront> {
        let rest = url.strip_prefix("http://").context("an address with http")?;
        let (target, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}/{path}", listener.local_addr()?);
        let (target, acceptor) = (target.to_owned(), self.acceptor.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, acceptor) = (target.clone(), acceptor.clone());
                // One that does not trust the certificate, or breaks, is its client's to tell.
                tokio::spawn(async move { pass(stream, &acceptor, &target).await });
            }
        });
        let url = url.trim_end_matches('/').to_owned();
        Ok(TlsFront { url, task })
    }
}

/// A running front; dropped, it takes no more connections.
pub struct TlsFront {
    /// Where it listens, with the path of what it stands before.
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on what comes over one connection, and what comes back.
async fn pass(stream: TcpStream, acceptor: &TlsAcceptor, target: &str) -> Result<()> {
    let mut outside = acceptor.accept(stream).await?;
    let mut inside = TcpStream::connect(target).await?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
