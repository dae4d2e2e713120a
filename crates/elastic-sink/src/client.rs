//! The connection to Elasticsearch: the few calls that are needed, over the HTTP client that every
//! part of Millrace has. The official client brings a second HTTP and TLS stack, and some hundreds
//! of calls, at a fifth of the time that the whole build takes.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_http::Tls;
use millrace_settings::Elasticsearch as Settings;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use url::Url;

/// A client of one server. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Elasticsearch {
    client: Client,
    url: Url,
}

impl Elasticsearch {
    /// A request to a path, whose segments are escaped here. It has the credentials and the timeout
    /// of the settings.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        // `connect` takes no URL that cannot have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.client.request(method, url)
    }
}

/// A client for the server of `settings`. Nothing is connected yet.
///
/// # Errors
/// The address is no URL, credentials are incomplete, or a file of `tls` cannot be used.
pub fn connect(settings: &Settings) -> anyhow::Result<Elasticsearch> {
    let wanted = || {
        format!(
            "elasticsearch.url {:?} must be a URL as http://127.0.0.1:9200",
            settings.url
        )
    };
    let url = Url::parse(&settings.url).with_context(wanted)?;
    anyhow::ensure!(!url.cannot_be_a_base(), wanted());
    let tls = match url.scheme() {
        "https" => millrace_service::registry::tls(&settings.tls),
        _ => Tls::default(),
    };
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    if let Some(authorization) = authorization(settings)? {
        headers.insert(AUTHORIZATION, authorization);
    }
    let client = millrace_http::builder(Duration::from_millis(settings.timeout_ms), &tls)
        .context("elasticsearch.tls")?
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        // Elasticsearch speaks no other version; what stands before it might.
        .http1_only()
        .build()
        .context("the HTTP client of Elasticsearch")?;
    Ok(Elasticsearch { client, url })
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
pub fn explain(error: &reqwest::Error) -> String {
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
    let request = client.request(Method::GET, &["_nodes", "http"]);
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    let answer: Value = answer.json().await.ok()?;
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
    fn segments_follow_the_path_of_the_address_and_are_escaped() {
        for (url, path) in [
            ("http://127.0.0.1:9200", "/a-*,b/_search"),
            ("http://127.0.0.1:9200/", "/a-*,b/_search"),
            (
                "http://127.0.0.1:9200/behind/a-proxy/",
                "/behind/a-proxy/a-*,b/_search",
            ),
        ] {
            let settings = Settings {
                url: url.to_owned(),
                api_key: Some("secret".to_owned()),
                ..Settings::default()
            };
            let server = connect(&settings).unwrap();
            assert!(!format!("{server:?}").contains("secret"), "{server:?}");
            let request = server.request(Method::GET, &["a-*,b", "_search"]).build();
            assert_eq!(request.unwrap().url().path(), path);
        }
        let server = connect(&Settings::default()).unwrap();
        let request = server.request(Method::GET, &["a/b?c#d", "_search"]).build();
        assert_eq!(request.unwrap().url().path(), "/a%2Fb%3Fc%23d/_search");
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
        for url in ["127.0.0.1:9200", "localhost:9200", "mailto:somebody"] {
            let wrong = Settings {
                url: url.to_owned(),
                ..Settings::default()
            };
            let error = connect(&wrong).unwrap_err().to_string();
            assert!(error.contains("elasticsearch.url"), "{error}");
        }
    }
}
