//! Elasticsearch's index templates, and the lifecycle policy where the server has such.

use millrace_elastic_sink::client;
use millrace_elastic_sink::templates::{self, Outcome as Put};
use millrace_settings::Elasticsearch;

use super::wait::Deadline;
use super::{Outcome, Steps};

pub(super) async fn put(
    settings: &Elasticsearch,
    deadline: &Deadline,
    steps: &mut Steps,
) -> anyhow::Result<()> {
    let server = client::connect(settings)?;
    let service = format!("Elasticsearch at {}", settings.url);
    deadline
        .until_answer(&service, || async {
            let answer = server
                .info()
                .send()
                .await
                .map_err(|error| client::explain(&error))?;
            let status = answer.status_code();
            if status.is_success() {
                Ok(())
            } else {
                Err(format!("status {status}"))
            }
        })
        .await?;
    for (name, put) in templates::put_all(&server, settings).await? {
        let outcome = match put {
            Put::Created => Outcome::Created,
            Put::Updated => Outcome::Updated,
            Put::Unchanged => Outcome::Unchanged,
            Put::Missing(reason) => Outcome::Skipped(reason),
        };
        steps.add(name, outcome);
    }
    Ok(())
}
