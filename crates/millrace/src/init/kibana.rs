//! Kibana's saved objects: data views and dashboards.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use millrace_settings::Kibana;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;

use super::wait::Deadline;
use super::{Outcome, Steps};

/// The objects that come with this program.
const OBJECTS: &str = include_str!("../../../../kibana/millrace.ndjson");

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Status {
    status: Overall,
}

#[derive(Deserialize)]
struct Overall {
    overall: Level,
}

#[derive(Deserialize)]
struct Level {
    level: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    success: bool,
    success_count: u64,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

pub(super) async fn import(
    settings: &Kibana,
    file: Option<&Path>,
    deadline: &Deadline,
    steps: &mut Steps,
) -> anyhow::Result<()> {
    let objects = match file {
        None => OBJECTS.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the saved objects {}", path.display()))?,
    };
    let tls = millrace_service::registry::tls(&settings.tls);
    let client = millrace_http::client(CALL_TIMEOUT, &tls).context("kibana.tls")?;
    let url = settings.url.trim_end_matches('/');
    let kibana = Server { client, settings };
    let ready = deadline
        .until_answer(&format!("Kibana at {url}"), || kibana.available())
        .await;
    if let Err(error) = ready {
        // Kibana is for people: nothing that runs needs it.
        steps.add("Kibana objects".to_owned(), Outcome::Skipped(error.to_string()));
        return Ok(());
    }
    let count = kibana.send(&objects).await?;
    steps.add(format!("{count} Kibana objects"), Outcome::Updated);
    Ok(())
}

/// Kibana, and who this client is to it.
struct Server<'s> {
    client: reqwest::Client,
    settings: &'s Kibana,
}

impl Server<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.settings.url.trim_end_matches('/');
        let request = self.client.request(method, format!("{url}{path}"));
        match &self.settings.username {
            Some(user) => request.basic_auth(user, self.settings.password.as_deref()),
            None => request,
        }
    }

    async fn available(&self) -> Result<(), String> {
        let failed = |error: reqwest::Error| millrace_http::explain(&error, "kibana");
        let answer = self
            .request(Method::GET, "/api/status")
            .send()
            .await
            .map_err(failed)?;
        let status: Status = answer.json().await.map_err(failed)?;
        match status.status.overall.level.as_str() {
            "available" | "degraded" => Ok(()),
            level => Err(format!("its status is {level}")),
        }
    }

    /// Imports the objects over those there are (Kibana's import API takes a form with one file).
    async fn send(&self, objects: &str) -> anyhow::Result<u64> {
        const BOUNDARY: &str = "millrace-7c1d9a52b04e";
        let form = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"millrace.ndjson\"\r\n\
             Content-Type: application/x-ndjson\r\n\r\n{objects}\r\n--{BOUNDARY}--\r\n"
        );
        let answer = self
            .request(Method::POST, "/api/saved_objects/_import?overwrite=true")
            // Kibana refuses a write without this header, as a browser's cross-site request has none.
            .header("kbn-xsrf", "millrace")
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .body(form)
            .send()
            .await
            .context("Kibana did not take the saved objects")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!(
                "Kibana refused the saved objects: {status}: {}",
                text.chars().take(500).collect::<String>()
            );
        }
        let imported: Imported = serde_json::from_str(&text).context("Kibana's answer is not as expected")?;
        if !imported.success {
            let errors = serde_json::Value::from(imported.errors);
            bail!(
                "Kibana imported {} objects and refused others: {errors}",
                imported.success_count
            );
        }
        Ok(imported.success_count)
    }
}
