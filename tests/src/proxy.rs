//! A proxy before Elasticsearch, in this process, whose mood a test sets: for answers of things on
//! the way that a real Elasticsearch does not give.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::task::JoinHandle;

/// What the proxy does with bulk requests; everything else it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Passes them on.
    Fine,
    /// Answers all of them with this status, in words of its own.
    Status(u16),
    /// Sends all of them elsewhere, where nobody is.
    Elsewhere,
    /// Answers 413 to those of more bytes than this, and passes the others on.
    AtMost(usize),
    /// Passes them on, and the answer after a second for each so many bytes.
    BytesPerSecond(usize),
    /// Passes them on, and each answer after this time.
    After(Duration),
    /// Passes them on, and refuses new indices in Elasticsearch's own words, as a cluster does that
    /// is to have no more shards: a limit of the whole cluster is not for one test to lower.
    NoRoom,
}

/// What Elasticsearch 9.5.3 answers to `PUT INDEX` at `cluster.max_shards_per_node`.
const NO_ROOM: &str = r#"{"error":{"root_cause":[],"type":"validation_exception","reason":"Validation Failed: 1: this action would add [1] shards, but this cluster currently has [20]/[20] maximum normal shards open;"},"status":400}"#;

/// A running proxy; dropped, it ends.
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    known: Mutex<Known>,
}

struct Known {
    mood: Mood,
    bulks: Vec<usize>,
}

impl Proxy {
    /// Starts one before the server at `target`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            target: target.trim_end_matches('/').to_owned(),
            client: reqwest::Client::new(),
            known: Mutex::new(Known {
                mood: Mood::Fine,
                bulks: Vec::new(),
            }),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared, task })
    }

    /// Changes what is done with bulk requests from now on; gives the sizes of those received so
    /// far, and forgets them.
    #[must_use]
    pub fn set(&self, mood: Mood) -> Vec<usize> {
        self.shared.with(|known| {
            known.mood = mood;
            std::mem::take(&mut known.bulks)
        })
    }

    /// The sizes of the bulk requests since the mood was set.
    #[must_use]
    pub fn bulks(&self) -> Vec<usize> {
        self.shared.with(|known| known.bulks.clone())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let is_bulk = request.uri().path().ends_with("/_bulk");
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return words(StatusCode::BAD_REQUEST);
    };
    let bytes = body.len();
    let mut delay = Duration::ZERO;
    if is_bulk {
        let mood = shared.with(|known| {
            known.bulks.push(bytes);
            known.mood
        });
        match mood {
            Mood::Status(status) => {
                return words(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
            }
            Mood::Elsewhere => return elsewhere(),
            Mood::AtMost(most) if bytes > most => return words(StatusCode::PAYLOAD_TOO_LARGE),
            Mood::BytesPerSecond(rate) => delay = Duration::from_secs_f64(bytes as f64 / rate as f64),
            Mood::After(time) => delay = time,
            Mood::Fine | Mood::AtMost(_) | Mood::NoRoom => {}
        }
    }
    let is_index = parts.method == Method::PUT && parts.uri.path().matches('/').count() == 1;
    if is_index && shared.with(|known| known.mood == Mood::NoRoom) {
        let mut response = Response::new(Body::from(NO_ROOM));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut forwarded = shared
        .client
        .request(parts.method, format!("{}{path}", shared.target))
        .body(body);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        forwarded = forwarded.header(header::CONTENT_TYPE, kind);
    }
    let Ok(answer) = forwarded.send().await else {
        return words(StatusCode::BAD_GATEWAY);
    };
    let (status, kind) = (
        answer.status(),
        answer.headers().get(header::CONTENT_TYPE).cloned(),
    );
    let Ok(answer) = answer.bytes().await else {
        return words(StatusCode::BAD_GATEWAY);
    };
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Body::from(answer));
    *response.status_mut() = status;
    let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a proxy answers that wants somebody to log in.
fn elsewhere() -> Response<Body> {
    let mut response = words(StatusCode::FOUND);
    let to = HeaderValue::from_static("http://127.0.0.1:9/login");
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// An answer in words that are not Elasticsearch's.
fn words(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("<html><h1>{status}</h1></html>")));
    *response.status_mut() = status;
    response
}
