//! Templates, indices and aliases that others have made or changed.

use anyhow::{Context as _, Result, ensure};
use millrace_tests::{TestContext, elastic, pipeline};
use reqwest::Method;
use serde_json::{Value, json};

use super::{command, ensure_nothing_was_made};

/// A template, an index and an alias that others have made stay, and what the server would refuse
/// is refused before anything is written.
pub(in crate::cases) async fn leaves_templates_of_others_alone(context: TestContext) -> Result<()> {
    let url = context.settings.elasticsearch.url.clone();
    let prefix = context.settings.elasticsearch.index_prefix.clone();
    let call = async |method, path, body| call(&url, method, path, body).await;
    let template = |stream: &str| format!("_index_template/{prefix}millrace-{stream}");
    let other = format!("_index_template/{prefix}reports");
    let blocked = json!({ "index_patterns": [format!("{prefix}millrace-*")], "priority": 200 });
    call(Method::PUT, other.clone(), blocked).await?;
    let refused = command(&context, "refused", &[], true).await?;
    ensure!(
        refused.contains("reports") && refused.contains("priority"),
        "{refused}"
    );
    ensure_nothing_was_made(&context).await?;
    call(Method::DELETE, other, Value::Null).await?;

    let archive = format!("{prefix}millrace-transactions-archive");
    let theirs = json!({ "mappings": { "properties": { "note": { "type": "text" } } }, "aliases": { format!("{prefix}notes"): {} } });
    call(Method::PUT, archive.clone(), theirs).await?;
    let theirs = json!({ "index_patterns": [format!("{prefix}millrace-anomalies-*")], "priority": 300,
        "template": { "settings": { "number_of_shards": 2 } } });
    call(Method::PUT, template("anomalies"), theirs).await?;
    let before = call(Method::GET, archive.clone(), Value::Null).await?;
    let done = command(&context, "done", &[], false).await?;
    ensure!(
        done.contains("template stays somebody else's, not Millrace's"),
        "{done}"
    );
    ensure!(call(Method::GET, archive, Value::Null).await? == before, "{done}");
    let found = call(Method::GET, template("anomalies"), Value::Null).await?;
    ensure!(
        found["index_templates"][0]["index_template"]["priority"] == 300,
        "{found}"
    );

    let streams = json!({ "index_patterns": [format!("{prefix}millrace-anomalies-*")], "priority": 300, "data_stream": {} });
    call(Method::PUT, template("anomalies"), streams).await?;
    let refused = command(&context, "streams", &["--overwrite"], true).await?;
    ensure!(
        refused.contains("data streams") && refused.contains("index_prefix"),
        "{refused}"
    );
    Ok(())
}

/// An index of a release that did not know of rules as data gets the fields of their alerts.
pub(in crate::cases) async fn gives_indices_new_fields(context: TestContext) -> Result<()> {
    const NEW: [&str; 4] = ["ruleSetVersion", "ruleRevision", "reason", "reasonCodes"];
    let url = context.settings.elasticsearch.url.clone();
    let index = format!(
        "{}millrace-anomalies-2026.01",
        context.settings.elasticsearch.index_prefix
    );
    let mapping = millrace_catalog::payments::ANOMALY_DOCUMENTS.mapping;
    let mut mapping: Value = serde_json::from_str(mapping)?;
    let fields = mapping["properties"].as_object_mut().context("it has fields")?;
    for field in NEW {
        fields.remove(field).with_context(|| field.to_owned())?;
    }
    let old = json!({ "mappings": mapping, "settings": { "number_of_replicas": 0 } });
    call(&url, Method::PUT, index.clone(), old).await?;
    let done = command(&context, "done", &[], false).await?;
    ensure!(done.contains(&index), "{done}");
    let found = call(&url, Method::GET, format!("{index}/_mapping"), Value::Null).await?;
    let fields = &found[&index]["mappings"]["properties"];
    for field in NEW {
        ensure!(fields[field]["type"] == "keyword", "{field}: {fields}");
    }
    Ok(())
}

/// What somebody has changed of a template of ours stays, while the rest follows the configuration.
pub(in crate::cases) async fn leaves_edits_of_templates_alone(mut context: TestContext) -> Result<()> {
    pipeline::init(&context).await?;
    let url = context.settings.elasticsearch.url.clone();
    let prefix = context.settings.elasticsearch.index_prefix.clone();
    let call = async |method, path, body| call(&url, method, path, body).await;
    let template = |stream: &str| format!("_index_template/{prefix}millrace-{stream}");
    let mut ours = call(Method::GET, template("aggregates"), Value::Null).await?;
    let mut ours = ours["index_templates"][0]["index_template"].take();
    let parts = ours.as_object_mut().context("a template")?;
    parts.retain(|part, _| ["index_patterns", "priority", "_meta", "template"].contains(&&**part));
    ours["template"]["settings"]["index"]["number_of_replicas"] = "1".into();
    ours["template"]["settings"]["index"]["refresh_interval"] = "30s".into();
    call(Method::PUT, template("aggregates"), ours).await?;
    context.settings.elasticsearch.shards = 2;
    let done = command(&context, "edited", &[], false).await?;
    ensure!(
        done.contains("index.number_of_replicas stays 1, not 0")
            && done.contains("index.number_of_shards from 1 to 2"),
        "{done}"
    );
    let found = call(Method::GET, template("aggregates"), Value::Null).await?;
    let index = &found["index_templates"][0]["index_template"]["template"]["settings"]["index"];
    ensure!(
        [
            &index["number_of_replicas"],
            &index["number_of_shards"],
            &index["refresh_interval"]
        ] == ["1", "2", "30s"],
        "{found}"
    );
    let forced = command(&context, "forced", &["--overwrite"], false).await?;
    ensure!(
        forced.contains("index.number_of_replicas from 1 to 0"),
        "{forced}"
    );
    let again = command(&context, "again", &[], false).await?;
    ensure!(
        !again.contains("changed:") && !again.contains("warning"),
        "{again}"
    );

    Ok(())
}

async fn call(url: &str, method: Method, path: String, body: Value) -> Result<Value> {
    let body = (!body.is_null()).then_some(&body);
    let (status, answer) = elastic::call(url, method, &path, body).await?;
    ensure!(status < 300, "{path}: {status}: {answer}");
    Ok(answer)
}
