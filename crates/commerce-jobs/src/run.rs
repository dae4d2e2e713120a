//! The service.

use std::sync::Arc;

use millrace_catalog::Service;
use millrace_catalog::commerce::{
    FUNNEL, PRODUCT_SALES_MERGE, PRODUCT_SALES_PARTIAL, REVENUE_MERGE, REVENUE_PARTIAL, topic,
};
use millrace_commerce::{FunnelSettings, Product, Segment};
use millrace_engine::keyed::OrderedPolicy;
use millrace_runtime::keyed::KeyedJob;
use millrace_runtime::windowed::{MergeJob, PartialJob};
use millrace_service::host::{Host, Prepared};
use millrace_service::keyed::{self, KeyedOf};
use millrace_service::process::Running;
use millrace_service::windowed::{self, Windowed};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use crate::{Sessions, Sold};

/// Runs revenue, sales of products and funnels until `shutdown`, then lets them commit what they
/// have.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(jobs(settings, shutdown))
}

async fn jobs(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let jobs = settings.commerce.jobs();
    let host = Host::of_stream(&settings, Service::Commerce, jobs, topic::EVENTS)?;
    host.run(&settings, &shutdown, async || {
        let jobs = prepare(&settings, &shutdown).await?;
        let source = Arc::clone(jobs.revenue.0.partitions());
        let prepared = Prepared::over(&source).with(jobs.revenue.0).with(jobs.revenue.1);
        let prepared = prepared.with(jobs.product_sales.0).with(jobs.product_sales.1);
        Ok(prepared.with(jobs.funnel))
    })
    .await
}

/// Both stages of sales by a key.
pub type Stages<K> = (PartialJob<Sold<K>>, MergeJob<Sold<K>>);

/// The jobs.
pub struct CommerceJobs {
    /// Of regions and devices.
    pub revenue: Stages<Segment>,
    /// Of products.
    pub product_sales: Stages<Product>,
    /// Of sessions.
    pub funnel: KeyedJob<Sessions>,
}

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<CommerceJobs> {
    let commerce = &settings.commerce;
    let revenue = Windowed::of_stream(&REVENUE_PARTIAL, &REVENUE_MERGE, commerce.jobs());
    let product_sales = Windowed::of_stream(&PRODUCT_SALES_PARTIAL, &PRODUCT_SALES_MERGE, commerce.jobs());
    let gap = FunnelSettings {
        session_gap_ms: commerce.session_gap_ms,
    };
    gap.check()?;
    let funnel = KeyedOf {
        of: Sessions,
        job: &FUNNEL,
        policy: OrderedPolicy::new(
            commerce.allowed_lateness_ms,
            commerce.event_time.max_disorder_ms,
            gap,
        )?,
        event_time: &commerce.event_time,
        misplaced_records: commerce.misplaced_records,
    };
    Ok(CommerceJobs {
        revenue: windowed::prepare(settings, &revenue, shutdown).await?,
        product_sales: windowed::prepare(settings, &product_sales, shutdown).await?,
        funnel: keyed::prepare(settings, funnel, shutdown).await?,
    })
}
