//! The HTTP endpoint of a service: `/metrics`, `/health/live` and `/health/ready`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::health::{Health, Report};
use crate::metrics;
use crate::shutdown::Shutdown;

/// Why the endpoint cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error(
        "{service} cannot serve its metrics on {host}:{port}: {reason}; set {key} to a free port (0 takes any), or \
         telemetry.bind_host to an address of this machine"
    )]
    Bind {
        /// The service.
        service: &'static str,
        /// The host to bind.
        host: String,
        /// The port to bind.
        port: u16,
        /// The port's key in the configuration.
        key: String,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The server's thread or runtime cannot be started.
    #[error("the metrics server cannot be started")]
    Start(#[from] std::io::Error),
}

/// A served endpoint. Dropped, it stops.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either end may be gone already; the thread ends in each case.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long a port that is in use is waited for: a process that was killed may hold it for a moment
/// after its successor has been started.
const BIND_PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_BINDS: Duration = Duration::from_millis(50);

/// Tries `bind` again while the address is in use, for as long as `patience`.
fn patiently<T>(bind: impl Fn() -> io::Result<T>, patience: Duration) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(BETWEEN_BINDS);
            }
            bound => return bound,
        }
    }
}

#[derive(Debug, Clone)]
struct Shared {
    health: Health,
    shutdown: Shutdown,
}

/// Serves the endpoint on a thread of its own, so that it answers whatever the service is busy
/// with. From the moment that `shutdown` is triggered the service is not ready; the endpoint goes
/// on until the [`Server`] is dropped, so that the last work of a service is seen.
///
/// # Errors
/// The address cannot be bound: the message names the port and its key.
pub fn serve(bind_host: &str, port: u16, health: Health, shutdown: Shutdown) -> Result<Server, ServeError> {
    let service = health.service();
    let bind = || {
        let listener = TcpListener::bind((bind_host, port))?;
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, listener))
    };
    let bound = patiently(bind, BIND_PATIENCE);
    let (address, listener) = bound.map_err(|reason| ServeError::Bind {
        service,
        host: bind_host.to_owned(),
        port,
        key: format!("{}.metrics_port", service.replace('-', "_")),
        reason,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Shared { health, shutdown });
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("metrics-server".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                // A request under way is cut at the end: a scrape is worth no wait.
                tokio::select! {
                    ended = axum::serve(listener, router) => {
                        if let Err(error) = ended {
                            tracing::error!(%error, "the metrics server ended");
                        }
                    }
                    _ = stopped => {}
                }
            });
        })?;
    tracing::info!(%address, "serving /metrics, /health/live and /health/ready");
    Ok(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

async fn metrics_text() -> Response {
    match metrics::text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    stopping: bool,
    version: &'static str,
}

impl Answer {
    fn new(shared: &Shared) -> Self {
        let mut report = shared.health.report();
        let stopping = shared.shutdown.is_triggered();
        report.ready &= !stopping;
        Self {
            report,
            stopping,
            version: metrics::VERSION,
        }
    }

    fn respond(self, well: bool) -> Response {
        let status = if well {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self)).into_response()
    }
}

async fn live(State(shared): State<Shared>) -> Response {
    let answer = Answer::new(&shared);
    let live = answer.report.live;
    answer.respond(live)
}

async fn ready(State(shared): State<Shared>) -> Response {
    let answer = Answer::new(&shared);
    let ready = answer.report.ready;
    answer.respond(ready)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_port_that_is_given_up_in_time_is_taken() {
        let tries = Cell::new(0);
        let bind = |given_up_after: u32| {
            tries.set(tries.get() + 1);
            match tries.get() > given_up_after {
                true => Ok(tries.get()),
                false => Err(io::Error::from(io::ErrorKind::AddrInUse)),
            }
        };
        assert_eq!(patiently(|| bind(2), Duration::from_secs(60)).unwrap(), 3);
        tries.set(0);
        assert!(patiently(|| bind(2), Duration::ZERO).is_err(), "no patience");
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn an_address_that_is_not_ours_is_not_waited_for() {
        let refused = || Err::<(), _>(io::Error::from(io::ErrorKind::AddrNotAvailable));
        assert!(patiently(refused, Duration::from_secs(3_600)).is_err());
    }
}
