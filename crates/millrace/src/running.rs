//! The streams that run, whatever the settings say of them: `millrace up` starts some by itself.

use std::time::Duration;

use millrace_catalog::PIPELINES;
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use crate::up::url;

/// A service of this machine answers at once.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Enables the streams whose service answers at its port, so that a command sees what runs and not
/// only what the settings would start.
///
/// # Errors
/// No HTTP client can be made.
pub(crate) async fn enable(settings: &mut Settings) -> anyhow::Result<()> {
    let http = millrace_http::local_client(TIMEOUT)?;
    let installation = settings.installation();
    let off = PIPELINES.iter().filter_map(|pipeline| {
        let service = pipeline.enabled_by?;
        (!installation.enables(service)).then_some((pipeline, service))
    });
    let asked = off.map(async |(pipeline, service)| {
        let answer = http.get(url(service, settings, "/metrics")).send().await.ok()?;
        let metrics = answer.text().await.ok()?;
        // Another installation's has the same port, and other topics.
        let inputs = pipeline
            .jobs
            .iter()
            .map(|job| topic_name(&settings.kafka, job.input));
        let is_ours = inputs
            .into_iter()
            .any(|topic| metrics.contains(&format!("topic=\"{topic}\"")));
        is_ours.then_some(service)
    });
    let running = futures::future::join_all(asked).await;
    for service in running.into_iter().flatten() {
        settings.enable(service);
    }
    Ok(())
}
