//! The connection to Elasticsearch, by its official client.

use std::time::Duration;

use anyhow::Context as _;
use elasticsearch::Elasticsearch;
use elasticsearch::auth::Credentials;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use millrace_settings::Elasticsearch as Settings;
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
    let mut transport = TransportBuilder::new(SingleNodeConnectionPool::new(url))
        .timeout(Duration::from_millis(settings.timeout_ms));
    if let Some(credentials) = credentials(settings)? {
        transport = transport.auth(credentials);
    }
    let transport = transport.build().context("the HTTP client of Elasticsearch")?;
    Ok(Elasticsearch::new(transport))
}

fn credentials(settings: &Settings) -> anyhow::Result<Option<Credentials>> {
    match (&settings.api_key, &settings.username, &settings.password) {
        (Some(key), _, _) => Ok(Some(Credentials::EncodedApiKey(key.clone()))),
        (None, Some(user), Some(password)) => Ok(Some(Credentials::Basic(user.clone(), password.clone()))),
        (None, None, None) => Ok(None),
        _ => {
            anyhow::bail!("elasticsearch.username and elasticsearch.password belong together: one is missing")
        }
    }
}

/// An error with its causes, as the client's own message rarely says more than that a request failed.
#[must_use]
pub fn explain(error: &elasticsearch::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
