//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Looks at `condition` until it gives a value, and returns that.
///
/// # Errors
/// The condition's own error at once; or, after `limit`, one that says what was waited for.
pub async fn wait_until<T, F, Fut>(what: &str, limit: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {} s in vain for: {what}", limit.as_secs());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
