//! The cluster: a session, and the statements that write rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;
use tokio::sync::Semaphore;

use millrace_settings::{CassandraSink, Consistency as Wanted};

use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::row::{Cell, DAY_MS, Row};
use crate::schema::{self, SchemaError};
use crate::table::Table;
use crate::tables;

/// Connects to the cluster of the settings.
///
/// # Errors
/// No node answers, or the login is refused.
pub async fn connect(settings: &CassandraSink) -> anyhow::Result<Session> {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &settings.local_datacenter {
        policy = policy.prefer_datacenter(datacenter.clone());
    }
    let timeout = Duration::from_millis(settings.request_timeout_ms);
    let profile = ExecutionProfile::builder()
        .consistency(match settings.consistency {
            Wanted::LocalOne => Consistency::LocalOne,
            Wanted::LocalQuorum => Consistency::LocalQuorum,
            Wanted::EachQuorum => Consistency::EachQuorum,
        })
        .request_timeout(Some(timeout))
        .load_balancing_policy(policy.build())
        .build();
    let nodes: Vec<&str> = settings.contact_points.split(',').map(str::trim).collect();
    let mut builder = SessionBuilder::new()
        .known_nodes(&nodes)
        .connection_timeout(timeout)
        .default_execution_profile_handle(profile.into_handle());
    if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
        builder = builder.user(user, password);
    }
    let session = builder.build().await;
    session.with_context(|| format!("connecting to Cassandra at {}", settings.contact_points))
}

/// Writes rows, within a bound on what is under way.
#[derive(Debug)]
pub struct Store {
    session: Session,
    /// Of each table, in their order.
    inserts: Vec<PreparedStatement>,
    requests: Semaphore,
    /// How long a row is kept from its time on; 0 is for ever.
    keep_ms: i64,
    metrics: Metrics,
}

impl Store {
    /// Connects, and makes what is missing.
    ///
    /// # Errors
    /// See [`SchemaError`].
    pub async fn open(settings: &CassandraSink, metrics: Metrics) -> Result<Self, SchemaError> {
        let session = connect(settings).await?;
        schema::set_up(&session, settings).await?;
        Ok(Self::prepare(session, settings, metrics).await?)
    }

    /// A store whose tables are there.
    async fn prepare(session: Session, settings: &CassandraSink, metrics: Metrics) -> anyhow::Result<Self> {
        let prepare = async |table: &Table| {
            let prepared = session.prepare(table.insert(&settings.keyspace)).await;
            let mut insert = prepared.with_context(|| format!("preparing writes to {}", table.name))?;
            // The same row with the same timestamp, as often as need be.
            insert.set_is_idempotent(true);
            anyhow::Ok(insert)
        };
        let mut inserts = Vec::new();
        for table in tables::all() {
            inserts.push(prepare(table).await?);
        }
        Ok(Self {
            session,
            inserts,
            requests: Semaphore::new(settings.requests_in_flight),
            keep_ms: i64::from(settings.keep_days) * DAY_MS,
            metrics,
        })
    }

    /// Writes the rows of an item; those that would not be kept at `now_ms` any more are none.
    /// Sends nothing more once `is_away` is set, and sets it where the cluster does not answer:
    /// what else there is of a batch need not find that out row by row.
    pub(crate) async fn write(&self, rows: &[Row], now_ms: i64, is_away: &AtomicBool) -> Result<(), Fault> {
        for row in rows {
            let Some(kept_s) = kept_s(row.time_ms, self.keep_ms, now_ms) else {
                self.metrics.expired(row.table.name);
                continue;
            };
            let Ok(_request) = self.requests.acquire().await else {
                return Err(Fault::Again("the sink is ending".to_owned()));
            };
            if is_away.load(Ordering::Relaxed) {
                return Err(Fault::Again("an earlier row could not be written".to_owned()));
            }
            let done = self.insert(row, kept_s).await;
            if matches!(done, Err(Fault::Again(_))) {
                is_away.store(true, Ordering::Relaxed);
            }
            done?;
        }
        Ok(())
    }

    async fn insert(&self, row: &Row, kept_s: i32) -> Result<(), Fault> {
        let Some(insert) = tables::all()
            .zip(&self.inserts)
            .find(|(table, _)| *table == row.table)
        else {
            debug_assert!(false, "{} is not among the tables", row.table.name);
            return Ok(());
        };
        let ends = [
            Cell::Set(CqlValue::BigInt(row.version)),
            Cell::Set(CqlValue::Int(kept_s)),
        ];
        let values: Vec<&Cell> = row.cells.iter().chain(&ends).collect();
        let _timer = self.metrics.duration.start_timer();
        match self.session.execute_unpaged(insert.1, values).await {
            Ok(_) => {
                self.metrics.written(row.table.name);
                Ok(())
            }
            Err(error) => {
                self.metrics.failed(row.table.name);
                Err(Fault::from(&error))
            }
        }
    }
}

/// Seconds that a row of this time is still to be kept, 0 for ever; `None` where it is over. By the
/// row's own time, so that a replay brings nothing back and keeps nothing longer.
fn kept_s(time_ms: i64, keep_ms: i64, now_ms: i64) -> Option<i32> {
    if keep_ms == 0 {
        return Some(0);
    }
    let left_ms = time_ms.saturating_add(keep_ms).saturating_sub(now_ms);
    // A row from the future is kept no longer than one from now.
    let left_s = left_ms.min(keep_ms).div_euclid(1_000);
    i32::try_from(left_s).ok().filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_kept_from_its_own_time_on() {
        let (now_ms, keep_ms) = (1_767_225_600_000, 90 * DAY_MS);
        assert_eq!(kept_s(now_ms, keep_ms, now_ms), Some(90 * 86_400));
        assert_eq!(kept_s(now_ms - DAY_MS, keep_ms, now_ms), Some(89 * 86_400));
        assert_eq!(kept_s(now_ms - keep_ms + 1_000, keep_ms, now_ms), Some(1));
        assert_eq!(kept_s(now_ms - keep_ms + 999, keep_ms, now_ms), None);
        assert_eq!(kept_s(0, keep_ms, now_ms), None);
        assert_eq!(kept_s(now_ms + keep_ms, keep_ms, now_ms), Some(90 * 86_400));
        assert_eq!(kept_s(0, 0, now_ms), Some(0), "for ever");
    }
}
