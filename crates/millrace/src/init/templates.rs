//! Elasticsearch's index templates, and the lifecycle policy where the server has such.

use millrace_elastic_sink::client::{self, Elasticsearch};
use millrace_elastic_sink::stream::Stream;
use millrace_elastic_sink::templates::{self, Outcome as Put};
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use reqwest::Method;
use serde_json::Value;

use super::wait::Deadline;
use super::{Outcome, Steps};

pub(super) async fn put(settings: &Settings, deadline: &Deadline, steps: &mut Steps) -> anyhow::Result<()> {
    let server = client::connect(&settings.elasticsearch)?;
    let service = format!("Elasticsearch at {}", settings.elasticsearch.url);
    deadline
        .until_answer(&service, || async {
            let answer = server
                .request(Method::GET, &[])
                .send()
                .await
                .map_err(|error| client::explain(&error))?;
            let status = answer.status();
            if status.is_success() {
                Ok(())
            } else {
                Err(format!("status {status}"))
            }
        })
        .await?;
    for (name, put) in templates::put_all(&server, &settings.elasticsearch).await? {
        let outcome = match put {
            Put::Created => Outcome::Created,
            Put::Updated => Outcome::Updated,
            Put::Unchanged => Outcome::Unchanged,
            Put::Missing(reason) => Outcome::Skipped(reason),
            Put::Unfit(reason) => Outcome::Warning(format!("it takes no documents: {reason}")),
        };
        steps.add(name, outcome);
    }
    warn_of_other_documents(settings, &server, steps).await
}

/// Says where a topic has never had a record and its indices hold documents: Kafka was made anew,
/// and what is sent under identities that are there already will not replace them.
async fn warn_of_other_documents(
    settings: &Settings,
    server: &Elasticsearch,
    steps: &mut Steps,
) -> anyhow::Result<()> {
    for stream in Stream::ALL {
        let pattern = templates::index_pattern(stream, &settings.elasticsearch);
        let documents = count(server, &pattern).await;
        if documents == 0 {
            continue;
        }
        let (kafka, topic) = (
            settings.kafka.clone(),
            topic_name(&settings.kafka, stream.topic()),
        );
        let asked = topic.clone();
        let ends =
            tokio::task::spawn_blocking(move || Lookup::connect(&kafka)?.end_offsets(&asked)).await??;
        if ends.iter().all(|end| *end == 0) {
            let reason = format!(
                "the topic {topic} has never had a record, and {pattern} holds {documents} documents: records with \
                 their identities will not replace them. Delete these indices, or give this installation another \
                 elasticsearch.index_prefix (docs/elasticsearch.md)"
            );
            steps.add(format!("documents of {pattern}"), Outcome::Warning(reason));
        }
    }
    Ok(())
}

/// The number of documents; 0 where it cannot be told, as on indices that are just being made.
async fn count(server: &Elasticsearch, pattern: &str) -> u64 {
    let request = server.request(Method::GET, &[pattern, "_count"]);
    let Ok(answer) = request.query(&[("allow_no_indices", "true")]).send().await else {
        return 0;
    };
    let answer = answer.json::<Value>().await.unwrap_or_default();
    answer["count"].as_u64().unwrap_or(0)
}
