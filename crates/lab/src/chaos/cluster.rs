//! The servers that faults are done to.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use millrace_stack::{LocalStack, Node};
use tokio::sync::Mutex;

/// Servers that can be killed and started again, one by one: local processes, or containers.
pub trait Cluster: Send + Sync {
    /// Ends a node as a crash would (SIGKILL).
    fn kill(&self, node: Node) -> BoxFuture<'_, Result<()>>;

    /// Stops a node in good order (SIGTERM).
    fn stop(&self, node: Node) -> BoxFuture<'_, Result<()>>;

    /// Starts a node that was killed or stopped, on its old data, and waits until it serves.
    fn start(&self, node: Node) -> BoxFuture<'_, Result<()>>;

    /// The controller that leads the quorum; `None` while none is elected.
    fn active_controller(&self) -> BoxFuture<'_, Result<Option<Node>>>;

    /// Where a broker's log is, which may be changed while it does not run; `None` of containers.
    fn data(&self, _broker: Node) -> BoxFuture<'_, Option<PathBuf>> {
        async { None }.boxed()
    }

    /// Starts every node that does not run: what a fault that failed has left.
    fn mend(&self) -> BoxFuture<'_, Result<()>>;
}

/// The nodes that faults are done to, in the order in which they can be started.
pub fn nodes() -> impl Iterator<Item = Node> {
    Node::controllers()
        .chain(Node::brokers())
        .chain([Node::Registry, Node::Elasticsearch])
}

impl Cluster for Mutex<LocalStack> {
    fn kill(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        async move { Ok(self.lock().await.kill(node)?) }.boxed()
    }

    fn stop(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        async move { Ok(self.lock().await.stop_node(node).await?) }.boxed()
    }

    fn start(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut stack = self.lock().await;
            stack
                .start_node(node)
                .await
                .with_context(|| format!("starting {node} again"))
        }
        .boxed()
    }

    fn active_controller(&self) -> BoxFuture<'_, Result<Option<Node>>> {
        async move { Ok(self.lock().await.active_controller()) }.boxed()
    }

    fn data(&self, broker: Node) -> BoxFuture<'_, Option<PathBuf>> {
        async move { Some(self.lock().await.kafka_data(broker)) }.boxed()
    }

    fn mend(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut stack = self.lock().await;
            let running: Vec<Node> = stack.running().map(|(node, _)| node).collect();
            for node in nodes().filter(|node| !running.contains(node)) {
                stack.start_node(node).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
