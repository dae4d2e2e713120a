//! A node of Cassandra of a test's own, as the servers of the run are: in a container, or as a
//! local process.

use anyhow::Result;
use millrace_cassandra_sink::store::connect;
use millrace_settings::Settings;
use millrace_stack::{CassandraOptions, Ports};
use scylla::client::session::Session;

use crate::containers::CassandraContainer;
use crate::pipeline::LIMIT;
use crate::{TestContext, environment, wait_until};

/// A node; dropped, it is killed.
pub struct Cassandra {
    running: Running,
    address: String,
}

enum Running {
    Docker(CassandraContainer),
    Local(millrace_stack::Cassandra),
}

impl Cassandra {
    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// Its image or its program cannot be had, or it does not start.
    pub async fn start(context: &TestContext) -> Result<Self> {
        let port = Ports::take(1)?.first().copied().unwrap_or_default();
        let running = if environment::is_docker() {
            Running::Docker(CassandraContainer::start(port).await?)
        } else {
            let options = CassandraOptions {
                is_brief: true,
                ..CassandraOptions::new(context.path("cassandra"), port)?
            };
            Running::Local(millrace_stack::Cassandra::start(options, drop).await?)
        };
        let cassandra = Self {
            running,
            address: format!("127.0.0.1:{port}"),
        };
        cassandra.serves(&context.settings).await?;
        Ok(cassandra)
    }

    /// Where its clients find it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A session with it.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn session(&self, settings: &Settings) -> Result<Session> {
        let mut sink = settings.cassandra_sink.clone();
        sink.contact_points.clone_from(&self.address);
        connect(&sink).await
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn kill(&mut self) -> Result<()> {
        match &mut self.running {
            Running::Docker(container) => container.kill().await,
            Running::Local(process) => {
                process.kill();
                Ok(())
            }
        }
    }

    /// Starts it again on its data, and waits until it serves.
    ///
    /// # Errors
    /// It does not start.
    pub async fn resume(&mut self, settings: &Settings) -> Result<()> {
        match &mut self.running {
            Running::Docker(container) => container.resume().await?,
            Running::Local(process) => process.resume().await?,
        }
        self.serves(settings).await
    }

    async fn serves(&self, settings: &Settings) -> Result<()> {
        wait_until("Cassandra to serve", LIMIT, || async {
            Ok(self.session(settings).await.ok().map(drop))
        })
        .await
    }
}
