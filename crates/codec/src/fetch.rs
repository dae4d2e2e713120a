//! Asking the registry from a thread that has no async runtime.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::{Registry, RegistryConfig, RegistryError};

/// Gets schemas by id through a thread of its own, which is started when the first is asked for and ends with the last
/// clone. Works from any thread; the caller is blocked until the registry answers or its retries are used up.
#[derive(Debug, Clone)]
pub struct SchemaFetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RegistryConfig,
    requests: Mutex<Option<SyncSender<Request>>>,
}

struct Request {
    id: u32,
    reply: Sender<Answer>,
}

type Answer = Result<Option<String>, RegistryError>;

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

    /// Gets a schema; `None` if the registry has none with this id.
    ///
    /// # Errors
    /// The registry cannot be reached or refuses the call.
    pub fn fetch(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let (reply, answer) = channel();
        let lost = || self.unavailable(id, "the fetching thread has ended");
        self.requests()?.send(Request { id, reply }).map_err(|_| lost())?;
        answer.recv().map_err(|_| lost())?
    }

    /// The error of a schema that cannot be had now.
    pub(crate) fn unavailable(&self, id: u32, cause: &str) -> RegistryError {
        RegistryError::Unavailable {
            url: self.shared.config.url.clone(),
            action: format!("get schema {id}"),
            attempts: 1,
            cause: cause.to_owned(),
        }
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

fn serve(registry: &Registry, runtime: &tokio::runtime::Runtime, requests: &Receiver<Request>) {
    for request in requests {
        let answer = runtime.block_on(registry.schema_by_id(request.id));
        // Whoever asked may have gone.
        let _ = request.reply.send(answer);
    }
}
