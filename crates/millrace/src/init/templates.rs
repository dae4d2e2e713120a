//! Elasticsearch's index templates, and the lifecycle policy where the server has such.

use millrace_domain::plan::{Consent, Item, State};
use millrace_elastic_sink::client::{self, Elasticsearch};
use millrace_elastic_sink::stream::Stream;
use millrace_elastic_sink::templates::{self, Planned};
use millrace_kafka::admin::{AdminError, Lookup};
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use reqwest::Method;
use serde_json::Value;

use super::wait::Deadline;
use super::{Outcome, Steps};

/// What is to be done about templates, the policy and the indices' fields.
pub(super) struct Plan {
    server: Elasticsearch,
    planned: Vec<Planned>,
}

impl Plan {
    /// Looks at what is there.
    pub(super) async fn make(
        settings: &Settings,
        consent: Consent,
        deadline: &Deadline,
    ) -> anyhow::Result<Self> {
        let server = client::connect(&settings.elasticsearch)?;
        let service = format!("Elasticsearch at {}", settings.elasticsearch.url);
        let asked = || async {
            let answer = server.request(Method::GET, &[]).send().await;
            let status = answer.map_err(|error| client::explain(&error))?.status();
            match status.is_success() {
                true => Ok(()),
                false => Err(format!("status {status}")),
            }
        };
        deadline.until_answer(&service, asked).await?;
        let planned = templates::plan_all(&server, settings, consent).await?;
        Ok(Self { server, planned })
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.planned.iter().map(|planned| &planned.item)
    }

    pub(super) async fn apply(self, steps: &mut Steps) -> anyhow::Result<()> {
        for planned in self.planned {
            let unfit = templates::apply(&self.server, &planned).await?;
            let mut item = planned.item;
            if let Some(reason) = unfit {
                item.state = State::Warning(format!("it takes no documents: {reason}"));
            }
            steps.add_item(&item);
        }
        Ok(())
    }
}

/// Says where a topic has never had a record and its indices hold documents: Kafka was made anew,
/// and what is sent under identities that are there already will not replace them.
pub(super) async fn warn_of_other_documents(settings: &Settings, steps: &mut Steps) -> anyhow::Result<()> {
    let server = client::connect(&settings.elasticsearch)?;
    for stream in Stream::of(settings) {
        let pattern = templates::index_pattern(stream, &settings.elasticsearch);
        let documents = count(&server, &pattern).await;
        if documents == 0 {
            continue;
        }
        let (kafka, topic) = (
            settings.kafka.clone(),
            topic_name(&settings.kafka, stream.topic()),
        );
        let asked = topic.clone();
        let look = move || match Lookup::connect(&kafka)?.end_offsets(&asked) {
            // In a dry run it is not made.
            Err(AdminError::UnknownTopic(_)) => Ok(Vec::new()),
            ends => ends,
        };
        let ends = tokio::task::spawn_blocking(look).await??;
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
