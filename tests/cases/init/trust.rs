//! Connections over TLS whose certificate an authority of a company's own has signed.

use anyhow::{Result, ensure};
use axum::routing::{get, post};
use axum::{Json, Router};
use millrace_settings::{Settings, Tls};
use millrace_tests::pipeline::LIMIT;
use millrace_tests::service::Service;
use millrace_tests::tls_front::Authority;
use millrace_tests::{TestContext, topics as logs};
use serde_json::json;
use tokio::net::TcpListener;

/// What has a certificate here.
const SECTIONS: [&str; 3] = ["schema_registry", "elasticsearch", "kibana"];
/// What the Kibana of this test says that it has imported.
const IMPORTED: &str = "7 Kibana objects: created";

/// `init` trusts no authority that it was not told of, and says which key takes it; it works with
/// the file of that key, and with the one that SSL_CERT_FILE names, for registry, Elasticsearch and
/// Kibana alike.
pub(in crate::cases) async fn trusts_whom_it_is_told_to(mut context: TestContext) -> Result<()> {
    let authority = Authority::make(&context.path("."))?;
    let settings = &mut context.settings;
    let registry = authority.front(&settings.schema_registry.url).await?;
    let elasticsearch = authority.front(&settings.elasticsearch.url).await?;
    let kibana = authority.front(&kibana().await?).await?;
    settings.schema_registry.url.clone_from(&registry.url);
    settings.elasticsearch.url.clone_from(&elasticsearch.url);
    settings.kibana.url.clone_from(&kibana.url);
    let file = authority.file.display().to_string();
    let tls = Tls {
        ca_file: Some(file.clone()),
        ..Tls::default()
    };

    // An untrusted certificate is waited for, as somebody may mend it: not for long here.
    let said = refused(&context, "registry", "10s").await?;
    is_told(&said, "schema_registry")?;
    context.settings.schema_registry.tls = tls.clone();
    let said = refused(&context, "elasticsearch", "10s").await?;
    is_told(&said, "elasticsearch")?;
    context.settings.elasticsearch.tls = tls.clone();
    let said = done(&context, "kibana", "1s", &[]).await?;
    is_told(&said, "kibana")?;
    ensure!(
        said.contains("created") && !said.contains(IMPORTED),
        "all but Kibana's is done: {said}"
    );

    context.settings.kibana.tls = tls;
    let said = done(&context, "by-settings", "60s", &[]).await?;
    ensure!(said.contains(IMPORTED), "{said}");
    trust_nobody(&mut context.settings);
    let said = done(&context, "by-variable", "60s", &[("SSL_CERT_FILE", &file)]).await?;
    ensure!(said.contains(IMPORTED), "{said}");
    logs::known_to_all_brokers(&context.settings).await
}

fn trust_nobody(settings: &mut Settings) {
    for tls in [
        &mut settings.schema_registry.tls,
        &mut settings.elasticsearch.tls,
        &mut settings.kibana.tls,
    ] {
        *tls = Tls::default();
    }
}

/// The refusal is the certificate's, and names the key that takes the authority; no other one's.
fn is_told(said: &str, section: &str) -> Result<()> {
    let key = format!("set {section}.tls.ca_file to its PEM file");
    ensure!(said.contains(&key), "{key:?} is not in\n{said}");
    let others = SECTIONS.iter().filter(|other| **other != section);
    for other in others {
        let key = format!("set {other}.tls.ca_file");
        ensure!(!said.contains(&key), "{key:?} is in\n{said}");
    }
    Ok(())
}

/// `init` fails; what it said.
async fn refused(context: &TestContext, name: &str, timeout: &str) -> Result<String> {
    let mut init = Service::start(context, name, &["init", "--timeout", timeout])?;
    init.fail(LIMIT).await?;
    Ok(init.output())
}

/// `init` ends well; what it said.
async fn done(
    context: &TestContext,
    name: &str,
    kibana_timeout: &str,
    variables: &[(&str, &str)],
) -> Result<String> {
    let arguments = ["init", "--kibana-timeout", kibana_timeout];
    let mut init = Service::start_with(context, name, &arguments, variables)?;
    init.succeed(LIMIT).await?;
    Ok(init.output())
}

/// Answers what `init` asks of Kibana, as the stack has none; where it listens.
async fn kibana() -> Result<String> {
    let status = json!({ "status": { "overall": { "level": "available" } } });
    let imported = json!({ "success": true, "successCount": 7 });
    let router = Router::new()
        .route("/api/status", get(move || async move { Json(status) }))
        .route(
            "/api/saved_objects/_import",
            post(move || async move { Json(imported) }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    // It ends with the runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
