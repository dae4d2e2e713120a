//! The connection to Elasticsearch, by its official client.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::Elasticsearch;
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{AUTHORIZATION, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use elasticsearch::nodes::NodesInfoParts;
use millrace_http::{identity, trusted_pem};
use millrace_settings::Elasticsearch as Settings;
use serde_json::Value;
use url::Url;

/// A client for the server of `settings`. Nothing is connected yet.
///
/// # Errors
/// The address is no URL, or credentials are incomplete.
pub fn connect(settings: &Settings) -> anyhow::Result<Elasticsearch> {
    let url = Url::parse(&settings.url).with_context(|| {
        format!(
            "elasticsearch.url {:?} must be a URL as http://127.0.0.1:9200",
            settings.url
        )
    })?;
    let url_is_secure = url.scheme() == "https";
    let mut transport = TransportBuilder::new(SingleNodeConnectionPool::new(url))
        .timeout(Duration::from_millis(settings.timeout_ms));
    if url_is_secure {
        let tls = millrace_service::registry::tls(&settings.tls);
        // This client's own list of authorities knows no company's: the system's trust store is given to it.
        let trusted = Certificate::from_pem(&trusted_pem(&tls).context("elasticsearch.tls")?)
            .context("the system's trust store")?;
        transport = transport.cert_validation(CertificateValidation::Full(trusted));
        if let Some(pem) = identity(&tls).context("elasticsearch.tls")? {
            transport = transport.auth(Credentials::Certificate(ClientCertificate::Pem(pem)));
        }
    }
    if let Some(authorization) = authorization(settings)? {
        // As a header, since this client takes a certificate or a user, and a server may want both.
        transport = transport.header(AUTHORIZATION, authorization);
    }
    let transport = transport.build().context("the HTTP client of Elasticsearch")?;
    Ok(Elasticsearch::new(transport))
}

fn authorization(settings: &Settings) -> anyhow::Result<Option<HeaderValue>> {
    let text = match (&settings.api_key, &settings.username, &settings.password) {
        (Some(key), _, _) => format!("ApiKey {key}"),
        (None, Some(user), Some(password)) => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        (None, None, None) => return Ok(None),
        _ => {
            anyhow::bail!("elasticsearch.username and elasticsearch.password belong together: one is missing")
        }
    };
    let mut value = HeaderValue::try_from(text)
        .context("elasticsearch.api_key has a character that no header can have")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// An error with its causes, and what to set where the server's certificate is not trusted.
#[must_use]
pub fn explain(error: &elasticsearch::Error) -> String {
    millrace_http::explain(error, "elasticsearch")
}

/// The server's words without what is a document's: its id, its fields, the request it was in. For
/// logs and readiness, which hold no ids.
#[must_use]
pub fn without_documents(message: &str) -> String {
    const STARTS: [&str; 5] = [
        " in document with id",
        ". Preview of field's value",
        ", request: [",
        " containing [",
        " of document [",
    ];
    let end = STARTS.iter().filter_map(|start| message.find(start)).min();
    let kept = &message[..end.unwrap_or(message.len())];
    kept.chars().take(500).collect()
}

/// The largest body that every node of the cluster takes (`http.max_content_length`); `None` where
/// that cannot be told.
pub async fn max_content_bytes(client: &Elasticsearch) -> Option<usize> {
    let parts = NodesInfoParts::Metric(&["http"]);
    let answer = client.nodes().info(parts).send().await.ok()?;
    let answer: Value = answer.error_for_status_code().ok()?.json().await.ok()?;
    let nodes = answer["nodes"].as_object()?.values();
    let bytes = nodes.filter_map(|node| node["http"]["max_content_length_in_bytes"].as_u64());
    usize::try_from(bytes.min()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_document_is_told() {
        for (said, kept) in [
            (
                "status 400: document_parsing_exception: [1:14] failed to parse field [windowEnd] of type [date] in \
                 document with id 'm-17_EUR_0'. Preview of field's value: 'x'",
                "status 400: document_parsing_exception: [1:14] failed to parse field [windowEnd] of type [date]",
            ),
            (
                "[x][0] primary shard is not active Timeout: [15s], request: [BulkShardRequest [[x][0]] containing \
                 [index {[x][m-17_EUR_0], source[{}]}]]",
                "[x][0] primary shard is not active Timeout: [15s]",
            ),
        ] {
            assert_eq!(without_documents(said), kept);
        }
        assert_eq!(without_documents(&"ü".repeat(1_000)).chars().count(), 500);
    }

    #[test]
    fn half_a_login_is_refused() {
        let settings = Settings {
            username: Some("elastic".to_owned()),
            ..Settings::default()
        };
        assert!(
            connect(&settings)
                .unwrap_err()
                .to_string()
                .contains("belong together")
        );
        let wrong = Settings {
            url: "127.0.0.1:9200".to_owned(),
            ..Settings::default()
        };
        assert!(
            connect(&wrong)
                .unwrap_err()
                .to_string()
                .contains("elasticsearch.url")
        );
    }
}
