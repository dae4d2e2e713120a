//! A verdict, as it is written and waited for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use millrace_detector::incidents::FeedbackTopic;
use millrace_domain::codec::feedback;
use millrace_domain::{AlertFeedback, IncidentRecord, IncidentStatus, Verdict};
use millrace_kafka::clock::now_ms;
use millrace_rules::MAX_REASON_LEN;
use millrace_settings::Settings;
use rdkafka::message::OwnedHeaders;

use super::read;
use crate::rules::author;
use crate::sender::{Outgoing, Sender};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The incident's id, or the beginning of it that no other has
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// Why, in a sentence: it is kept with the verdict
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides; $MILLRACE_AUTHOR or $USER if not given
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Longest wait until the incident is what was decided, as 30s; not waited for if not given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
}

/// Decides on an incident. Says which, and whether it has become so, where that was waited for.
///
/// # Errors
/// Kafka or the registry do not answer, `init` has not run, or there is no such incident: then
/// nothing is written.
pub(super) async fn decide(
    settings: &Settings,
    options: &Options,
    verdict: Verdict,
) -> anyhow::Result<(IncidentRecord, Option<bool>)> {
    let incidents = read::newest(settings).await?;
    let incident = read::find(&incidents, &options.id)?.clone();
    let reason = options.reason.trim();
    ensure!(
        (1..=MAX_REASON_LEN).contains(&reason.len()),
        "--reason says why in 1 to {MAX_REASON_LEN} bytes"
    );
    let decided = AlertFeedback {
        incident: incident.id,
        verdict,
        author: author(options.author.as_deref())?,
        reason: reason.to_owned(),
        time_ms: now_ms(),
    };
    let topic = FeedbackTopic::open_made(settings).await?;
    let mut value = Vec::new();
    feedback::encode_framed(topic.schema_id(), &decided, &mut value);
    let outgoing = Outgoing {
        topic: topic.name().to_owned(),
        partition: Some(0),
        key: Some(incident.id.to_string().into_bytes()),
        payload: Some(value),
        headers: OwnedHeaders::new(),
    };
    let kafka = settings.kafka.clone();
    let send = move || Sender::start(&kafka, "alerts")?.send(&[outgoing]);
    tokio::task::spawn_blocking(send)
        .await?
        .context("the verdict may have been written or not: `millrace alerts show` tells")?;
    let wanted = match verdict {
        Verdict::Confirmed => IncidentStatus::Confirmed,
        Verdict::Dismissed => IncidentStatus::Dismissed,
    };
    let Some(limit) = options.wait else {
        return Ok((incident, None));
    };
    let deadline = Instant::now() + limit;
    loop {
        let incidents = read::newest(settings).await?;
        let found = incidents.into_iter().find(|found| found.id == incident.id);
        let found = found.context("the incident is not in the topic any more")?;
        let is_so = found.status == wanted;
        if is_so || Instant::now() >= deadline {
            return Ok((found, Some(is_so)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The newest verdict on an incident.
///
/// # Errors
/// Kafka or the registry do not answer, or `init` has not run.
pub(super) async fn of(
    settings: &Settings,
    incident: &IncidentRecord,
) -> anyhow::Result<Option<AlertFeedback>> {
    let topic = FeedbackTopic::open_made(settings).await?;
    let (all, _) = tokio::task::spawn_blocking(move || topic.read()).await??;
    let mut newest = all.into_iter().rev();
    Ok(newest.find(|feedback| feedback.incident == incident.id))
}
