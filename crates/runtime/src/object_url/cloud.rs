//! The object stores of clouds, as `s3://bucket/path`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

/// What the variables of a cloud's own tools start with: they apply where the options say nothing.
const CLOUD_VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Retries of one call.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    },
    max_retries: 3,
    retry_timeout: Duration::from_secs(10),
};

/// The store that `url` names.
pub(super) fn open(url: &Url, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>, String> {
    let (scheme, _) = ObjectStoreScheme::parse(url).map_err(|error| error.to_string())?;
    for option in options.keys() {
        check(&scheme, option)?;
    }
    // The library makes HTTP clients of its own.
    millrace_http::use_ring();
    let of_environment =
        std::env::vars().filter(|(name, _)| CLOUD_VARIABLES.iter().any(|prefix| name.starts_with(prefix)));
    let given = options.iter().map(|(key, value)| (key.clone(), value.clone()));
    build(&scheme, url, of_environment.chain(given).collect()).map_err(|error| error.to_string())
}

/// As the library's own function, but for the retries: those are the callers', who know what to do
/// meanwhile.
fn build(
    scheme: &ObjectStoreScheme,
    url: &Url,
    options: Vec<(String, String)>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    macro_rules! cloud {
        ($builder:ty) => {{
            let builder = <$builder>::new().with_url(url.as_str()).with_retry(RETRIES);
            let builder = options.into_iter().fold(builder, |builder, (key, value)| {
                match key.to_ascii_lowercase().parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            });
            Arc::new(builder.build()?) as Arc<dyn ObjectStore>
        }};
    }
    Ok(match scheme {
        ObjectStoreScheme::GoogleCloudStorage => cloud!(GoogleCloudStorageBuilder),
        ObjectStoreScheme::MicrosoftAzure => cloud!(MicrosoftAzureBuilder),
        _ => cloud!(AmazonS3Builder),
    })
}

/// The library passes over options that it does not know: a slip of the keyboard would go
/// unnoticed.
fn check(scheme: &ObjectStoreScheme, option: &str) -> Result<(), String> {
    let (is_known, example) = match scheme {
        ObjectStoreScheme::GoogleCloudStorage => (
            option.parse::<GoogleConfigKey>().is_ok(),
            "google_service_account",
        ),
        ObjectStoreScheme::MicrosoftAzure => (
            option.parse::<AzureConfigKey>().is_ok(),
            "azure_storage_account_name",
        ),
        _ => (option.parse::<AmazonS3ConfigKey>().is_ok(), "aws_endpoint"),
    };
    if is_known {
        Ok(())
    } else {
        Err(format!(
            "snapshots.store_options has {option}, which this kind of store does not know; {example} is one it does"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::open;
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn every_cloud_is_known_by_its_url() {
        let s3 = options(&[
            ("aws_region", "eu-central-1"),
            ("aws_endpoint", "http://127.0.0.1:1"),
        ]);
        let (_, path) = open(Path::new("s3://bucket/some/where"), &s3).unwrap();
        assert_eq!(path.as_ref(), "some/where");
        let azure = options(&[
            ("azure_storage_account_name", "account"),
            ("azure_storage_account_key", "a2V5"),
        ]);
        open(Path::new("az://container/path"), &azure).unwrap();
        open(
            Path::new("gs://bucket/path"),
            &options(&[("google_skip_signature", "true")]),
        )
        .unwrap();
    }

    #[test]
    fn an_option_that_the_store_does_not_know_is_named() {
        for (url, option) in [
            ("s3://bucket/path", "aws_endpiont"),
            ("gs://bucket/path", "aws_endpoint"),
        ] {
            let error = open(Path::new(url), &options(&[(option, "x")])).err().unwrap();
            assert!(error.contains(option), "{error}");
        }
    }
}
