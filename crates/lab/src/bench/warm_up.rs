//! What comes before the lines that need the stack: everything runs for a while, and nothing of it
//! counts.

use std::time::Duration;

use anyhow::Result;

use super::command::Options;
use super::session::{Session, produced};
use super::stream::users_for;
use crate::harness::stack::tell;
use crate::harness::worker::{AGGREGATOR, DETECTOR, PRODUCER};

/// Longest wait for the producer's end beyond its time.
const LIMIT: Duration = Duration::from_secs(120);
/// Enough for the brokers to compile what they run often; more would only fill the disk.
const RATE_PER_S: u64 = 100_000;

/// Lets producer, aggregator and detector run on topics of their own. In their first minutes the
/// brokers spend a third of the machine's processor time on compiling their own code
/// (docs/lab/time.md), which a cluster that has been up for an hour does not.
pub(super) async fn warm_up(session: &Session, options: &Options) -> Result<()> {
    if options.warm_up.is_zero() {
        return Ok(());
    }
    tell(&format!(
        "warming up for {}",
        humantime::format_duration(options.warm_up)
    ));
    let mut settings = session.settings("warm-up")?;
    settings.producer.rate_per_s = options.rate.min(RATE_PER_S);
    settings.producer.users = users_for(settings.producer.rate_per_s, options.users);
    let mut fleet = session.pipeline(&settings, "warm-up").await?;
    for worker in [AGGREGATOR, DETECTOR] {
        fleet.start(worker, &[])?;
        fleet.ready(worker).await?;
    }
    let time = format!("{}s", options.warm_up.as_secs());
    fleet.start_with(PRODUCER, &[], &["--for".to_owned(), time])?;
    produced(&mut fleet, options.warm_up + LIMIT).await?;
    session.clear(&settings, &mut fleet).await
}
