//! An OpenID provider as far as Kafka's clients need one: the endpoint that gives a token for a
//! client's id and secret (RFC 6749, 4.4), over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::secure::Secure;

/// The client that the provider knows.
pub const CLIENT: &str = "millrace-services";
pub(crate) const SECRET: &str = "a-secret-of-the-tests";
pub(crate) const SCOPE: &str = "kafka";
/// Whom the tokens are for.
pub(crate) const AUDIENCE: &str = "brokers-of-the-tests";

/// What signs the tokens, by ES256.
#[derive(Debug, Clone)]
pub struct Signer(Arc<EcdsaKeyPair>);

impl Signer {
    pub(crate) fn new() -> Result<Self> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok();
        let key = key.and_then(|key| EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).ok());
        Ok(Self(Arc::new(key.context("no key can be made")?)))
    }

    /// The public key as a JWKS (RFC 7517).
    pub(crate) fn public_keys(&self) -> String {
        // A byte that says "uncompressed", and two numbers of 32 bytes.
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "tests", "use": "sig", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// A signed token (RFC 7515) that holds for `lifetime`.
    fn token(&self, lifetime: Duration) -> Result<String> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({ "alg": "ES256", "kid": "tests", "typ": "JWT" });
        let claims = json!({
            "iss": "https://provider.test", "aud": AUDIENCE, "sub": "millrace", "scope": SCOPE,
            "iat": now_s, "exp": now_s + lifetime.as_secs(),
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).ok();
        let signature = URL_SAFE_NO_PAD.encode(signature.context("no signature")?);
        Ok(format!("{signed}.{signature}"))
    }
}

/// A running provider; dropped, it is gone.
pub struct TokenProvider {
    port: u16,
    issued: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl TokenProvider {
    /// Starts a provider of tokens for the brokers of `secure`, which hold for `lifetime`.
    ///
    /// # Errors
    /// The keys cannot be read, or there is no port.
    pub async fn start(secure: &Secure, lifetime: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let certificates = CertificateDer::pem_file_iter(&secure.key_store)?.collect::<Result<_, _>>()?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::from_pem_file(&secure.key_store)?)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let issued = Arc::new(AtomicUsize::new(0));
        let endpoint = Endpoint {
            signer: secure.signer.clone(),
            lifetime,
            issued: Arc::clone(&issued),
        };
        let router = Router::new().route("/token", post(answer)).with_state(endpoint);
        let server = tokio::spawn(async move {
            let _ = axum::serve(TlsListener { listener, acceptor }, router).await;
        });
        Ok(Self { port, issued, server })
    }

    /// Where tokens are asked for.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/token", self.port)
    }

    /// How many tokens it has given.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

impl Drop for TokenProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Endpoint {
    signer: Signer,
    lifetime: Duration,
    issued: Arc<AtomicUsize>,
}

async fn answer(
    State(endpoint): State<Endpoint>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, Json<Value>) {
    let known = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    let given = headers.get(header::AUTHORIZATION);
    if given.is_none_or(|given| given.as_bytes() != known.as_bytes()) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "error": "invalid_client" })),
        );
    }
    if form != format!("grant_type=client_credentials&scope={SCOPE}") {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "invalid_request" })),
        );
    }
    match endpoint.signer.token(endpoint.lifetime) {
        Ok(token) => {
            endpoint.issued.fetch_add(1, Ordering::Relaxed);
            let expires_in = endpoint.lifetime.as_secs();
            let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in });
            (StatusCode::OK, Json(answer))
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({ "error": error.to_string() })),
        ),
    }
}

/// Takes connections once they have shaken hands; those that do not trust the certificate are
/// passed over.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
