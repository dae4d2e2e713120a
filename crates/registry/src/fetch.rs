//! Asking the registry from a thread that has no async runtime.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use millrace_contract::SchemaSource;

use crate::{Found, Registry, RegistryConfig, RegistryError};

/// Gets schemas by id through a thread of its own, which is started when the first is asked for and
/// ends with the last clone. Works from any thread; the caller is blocked until the registry
/// answers or its retries are used up.
#[derive(Debug, Clone)]
pub struct SchemaFetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RegistryConfig,
    requests: Mutex<Option<SyncSender<Request>>>,
}

enum Request {
    Schema {
        id: u32,
        reply: Sender<Result<Found, RegistryError>>,
    },
    /// Whether it answers at all.
    Subjects {
        reply: Sender<Result<(), RegistryError>>,
    },
}

/// Requests that may wait; each comes from a blocked thread, so there are never many.
const QUEUE_LEN: usize = 16;

impl SchemaFetcher {
    /// A fetcher for the registry of `config`. Nothing is connected yet.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                requests: Mutex::new(None),
            }),
        }
    }

    /// Gets what the registry has of a schema.
    ///
    /// # Errors
    /// The registry cannot be reached or refuses the call.
    pub fn fetch(&self, id: u32) -> Result<Found, RegistryError> {
        self.ask(&format!("get schema {id}"), |reply| Request::Schema { id, reply })
    }

    fn ask<T>(
        &self,
        action: &str,
        request: impl FnOnce(Sender<Result<T, RegistryError>>) -> Request,
    ) -> Result<T, RegistryError> {
        let (reply, answer) = channel();
        let lost = || self.unavailable(action, "the fetching thread has ended");
        self.requests()?.send(request(reply)).map_err(|_| lost())?;
        answer.recv().map_err(|_| lost())?
    }

    fn requests(&self) -> Result<SyncSender<Request>, RegistryError> {
        let mut requests = self
            .shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*requests {
            return Ok(sender.clone());
        }
        let cannot_start = |cause: std::io::Error| RegistryError::Configuration {
            url: self.shared.config.url.clone(),
            cause: format!("cannot start a thread to ask it: {cause}"),
        };
        let registry = Registry::new(self.shared.config.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot_start)?;
        let (sender, receiver) = sync_channel::<Request>(QUEUE_LEN);
        thread::Builder::new()
            .name("schema-fetcher".to_owned())
            .spawn(move || serve(&registry, &runtime, &receiver))
            .map_err(cannot_start)?;
        *requests = Some(sender.clone());
        Ok(sender)
    }
}

impl SchemaSource for SchemaFetcher {
    fn schema(&self, id: u32) -> Result<Found, RegistryError> {
        self.fetch(id)
    }

    /// The list of its subjects.
    fn check_that_it_answers(&self) -> Result<(), RegistryError> {
        self.ask("list its subjects", |reply| Request::Subjects { reply })
    }

    fn unavailable(&self, action: &str, cause: &str) -> RegistryError {
        RegistryError::Unavailable {
            url: self.shared.config.url.clone(),
            action: action.to_owned(),
            attempts: 1,
            status: None,
            cause: cause.to_owned(),
        }
    }
}

fn serve(registry: &Registry, runtime: &tokio::runtime::Runtime, requests: &Receiver<Request>) {
    for request in requests {
        // Whoever asked may have gone.
        match request {
            Request::Schema { id, reply } => {
                let _ = reply.send(runtime.block_on(registry.writer_schema(id)));
            }
            Request::Subjects { reply } => {
                let _ = reply.send(runtime.block_on(registry.subjects()).map(|_| ()));
            }
        }
    }
}
