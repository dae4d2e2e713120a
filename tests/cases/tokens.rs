//! OAUTHBEARER with tokens of an OpenID provider.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::secure::Secure;
use millrace_tests::service::Service;
use millrace_tests::token_provider::TokenProvider;
use millrace_tests::{TestContext, wait_until};

use super::tls::brokers;

/// How long a token holds. Clients renew it after four fifths, and brokers close a connection whose
/// token has expired.
const LIFETIME: Duration = Duration::from_secs(30);

/// The whole pipeline logs in with tokens that expire while it runs, and what comes out is
/// verified.
pub(super) async fn services_log_in_and_renew_their_tokens(mut context: TestContext) -> Result<()> {
    let (secure, provider) = start(&mut context, LIFETIME).await?;
    context.settings.kafka.properties = secure.token_properties(&provider);
    context.settings.aggregator.window_ms = 1_000;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let pipeline = Pipeline::start(&context).await?;
    let at_start = provider.issued();
    ensure!(at_start >= 4, "init and the services have got {at_start} tokens");
    let started = Instant::now();
    // Records come all the time, so that every connection is needed when its token expires.
    let arguments = ["service", "producer", "--rate", "100"];
    let producer = Service::start(&context, "producer", &arguments)?;
    wait_until("all tokens to be renewed, and again", LIMIT, || async {
        let are_renewed = started.elapsed() > 2 * LIFETIME && provider.issued() > 3 * at_start;
        Ok(are_renewed.then_some(()))
    })
    .await?;
    producer.stop().await?;
    pipeline::verify(&context).await?;
    pipeline.stop().await
}

/// `init` says what is wrong: the client's secret, a provider that is not there, one whose
/// certificate is not trusted, and a token that the provider has not signed.
pub(super) async fn what_is_wrong_is_told(mut context: TestContext) -> Result<()> {
    let (secure, provider) = start(&mut context, LIFETIME).await?;
    let good = secure.token_properties(&provider);
    context.settings.kafka.properties.clone_from(&good);
    let brokers = brokers(&context.settings.kafka).await?;
    ensure!(brokers.len() == 3, "with all right, the brokers are {brokers:?}");
    let url = "sasl.oauthbearer.token.endpoint.url";
    for (name, property, value, words) in [
        (
            "secret",
            "sasl.oauthbearer.client.secret",
            "wrong",
            "invalid_client",
        ),
        ("scope", "sasl.oauthbearer.scope", "payroll", "invalid_request"),
        ("provider", url, "https://127.0.0.1:9/token", "connect"),
        ("authority", "https.ca.location", "", "certificate"),
        ("endpoint", url, "", url),
    ] {
        let mut properties = good.clone();
        properties.insert(property.to_owned(), value.to_owned());
        if property == "https.ca.location" {
            properties.remove(property);
        }
        context.settings.kafka.properties = properties;
        init_says(&context, name, words).await?;
    }
    // The brokers check who has signed.
    let properties = &mut context.settings.kafka.properties;
    properties.clone_from(&good);
    properties.retain(|name, _| !name.starts_with("sasl.oauthbearer.") && name != "https.ca.location");
    let unsigned = [
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=millrace"),
    ];
    properties.extend(unsigned.map(|(name, value)| (name.to_owned(), value.to_owned())));
    init_says(&context, "unsigned", "invalid_token").await
}

/// `init` fails, and its last line has these words.
async fn init_says(context: &TestContext, name: &str, words: &str) -> Result<()> {
    let mut init = Service::start(context, name, &["init", "--timeout", "30s"])?;
    init.fail(LIMIT).await?;
    let output = init.output();
    let last = output.lines().last().unwrap_or_default();
    ensure!(
        last.contains(words),
        "{name}: {words:?} is not at the end of\n{output}"
    );
    Ok(())
}

/// A provider of tokens for the secure listener, which the settings name.
async fn start(context: &mut TestContext, lifetime: Duration) -> Result<(Secure, TokenProvider)> {
    let secure = context
        .secure
        .clone()
        .context("the stack has no secure listener")?;
    let provider = TokenProvider::start(&secure, lifetime).await?;
    let servers = &mut context.settings.kafka.bootstrap_servers;
    servers.clone_from(&secure.bootstrap_servers);
    Ok((secure, provider))
}
