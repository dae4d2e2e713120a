//! Kibana's saved objects: data views and dashboards.

use std::time::Duration;

use anyhow::{Context, bail};
use millrace_settings::Kibana;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;

use super::wait::Deadline;
use super::{Options, Outcome, Steps};

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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    success_count: u64,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl Imported {
    /// How many objects were there already, and were left alone.
    fn existing(&self) -> anyhow::Result<usize> {
        let is_conflict = |error: &&serde_json::Value| error["error"]["type"] == "conflict";
        let existing = self.errors.iter().filter(is_conflict).count();
        if existing < self.errors.len() {
            let others: Vec<_> = self.errors.iter().filter(|error| !is_conflict(error)).collect();
            bail!(
                "Kibana imported {} objects and refused others: {}",
                self.success_count,
                serde_json::to_string(&others)?
            );
        }
        Ok(existing)
    }
}

/// Imports the objects that are not there; with `--overwrite`, all of them, over whatever somebody
/// has changed.
pub(super) async fn import(settings: &Kibana, options: &Options, steps: &mut Steps) -> anyhow::Result<()> {
    let objects = match &options.kibana_objects {
        None => OBJECTS.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the saved objects {}", path.display()))?,
    };
    let subject = || "Kibana objects".to_owned();
    if options.dry_run {
        let reason = match options.overwrite {
            true => "a dry run does not ask Kibana: all of them would be imported over those there",
            false => "a dry run does not ask Kibana: those that are missing would be imported",
        };
        steps.add(subject(), Outcome::Skipped(reason.to_owned()));
        return Ok(());
    }
    let tls = millrace_service::registry::tls(&settings.tls);
    let client = millrace_http::client(CALL_TIMEOUT, &tls).context("kibana.tls")?;
    let url = settings.url.trim_end_matches('/');
    let kibana = Server { client, settings };
    let deadline = Deadline::after(options.kibana_timeout);
    let ready = deadline
        .until_answer(&format!("Kibana at {url}"), || kibana.available())
        .await;
    if let Err(error) = ready {
        // Kibana is for people: nothing that runs needs it.
        steps.add(subject(), Outcome::Skipped(error.to_string()));
        return Ok(());
    }
    let imported = kibana.send(&objects, options.overwrite).await?;
    let (count, existing) = (imported.success_count, imported.existing()?);
    if count > 0 {
        let outcome = match options.overwrite {
            true => Outcome::Changed("this release's are imported over those there".to_owned()),
            false => Outcome::Created,
        };
        steps.add(format!("{count} Kibana objects"), outcome);
    }
    if existing > 0 {
        steps.add(format!("{existing} Kibana objects"), Outcome::Unchanged);
    }
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

    /// Imports the objects (Kibana's import API takes a form with one file). One that is there is
    /// an error of its own, of the type `conflict`, unless it may be overwritten; the others are
    /// imported all the same.
    async fn send(&self, objects: &str, overwrite: bool) -> anyhow::Result<Imported> {
        const BOUNDARY: &str = "millrace-7c1d9a52b04e";
        let form = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"millrace.ndjson\"\r\n\
             Content-Type: application/x-ndjson\r\n\r\n{objects}\r\n--{BOUNDARY}--\r\n"
        );
        let answer = self
            .request(
                Method::POST,
                &format!("/api/saved_objects/_import?overwrite={overwrite}"),
            )
            // Kibana refuses a write without this header, as a browser's cross-site request has
            // none.
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
        serde_json::from_str(&text).context("Kibana's answer is not as expected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(answer: &str) -> Imported {
        serde_json::from_str(answer).unwrap()
    }

    #[test]
    fn an_object_that_is_there_is_left_alone_and_one_that_is_refused_is_told() {
        let conflict = r#"{"id":"a","type":"dashboard","error":{"type":"conflict"}}"#;
        let answer = format!(r#"{{"success":false,"successCount":2,"errors":[{conflict}]}}"#);
        assert_eq!(imported(&answer).existing().unwrap(), 1);
        assert_eq!(
            imported(r#"{"success":true,"successCount":3}"#)
                .existing()
                .unwrap(),
            0
        );
        let refused = r#"{"id":"b","type":"lens","error":{"type":"missing_references"}}"#;
        let answer = format!(r#"{{"success":false,"successCount":2,"errors":[{conflict},{refused}]}}"#);
        let said = imported(&answer).existing().unwrap_err().to_string();
        assert!(
            said.contains("missing_references") && !said.contains("conflict"),
            "{said}"
        );
    }
}
