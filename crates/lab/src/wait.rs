//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Least pause between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A pause is as many times as long as the look before it: one that reads whole topics, again and
/// again, would take the processors from what it waits for.
const PAUSES_OF_A_LOOK: u32 = 2;
/// And no longer than this: a look may have waited for a server that is gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
        let look = Instant::now();
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        let pause = (look.elapsed() * PAUSES_OF_A_LOOK).clamp(LOOK_INTERVAL, LONGEST_PAUSE);
        if start.elapsed() > limit {
            bail!("waited {} s in vain for: {what}", limit.as_secs());
        }
        tokio::time::sleep(pause).await;
    }
}
