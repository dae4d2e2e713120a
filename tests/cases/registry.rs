//! The codec against the real registry.

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_contract::reader::ReadError;
use millrace_contract::{DecodeError, framing};
use millrace_domain::codec::{TransactionReader, transaction};
use millrace_domain::schema;
use millrace_registry::Compatibility;
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_tests::pipeline::registry_config;
use millrace_tests::{TestContext, sample};

fn subject(context: &TestContext) -> String {
    format!(
        "{}{}-value",
        context.settings.kafka.topic_prefix,
        topic::TRANSACTIONS
    )
}

/// Our schema with one more field, of the type and default given as JSON.
pub(super) fn with_field(name: &str, field_type: &str, default: &str) -> Result<String> {
    let mut schema: serde_json::Value = serde_json::from_str(schema::TRANSACTION)?;
    let mut field =
        serde_json::json!({"name": name, "type": serde_json::from_str::<serde_json::Value>(field_type)?});
    if !default.is_empty() {
        field["default"] = serde_json::from_str(default)?;
    }
    schema["fields"]
        .as_array_mut()
        .context("a record has fields")?
        .push(field);
    Ok(schema.to_string())
}

/// Registering twice gives one id; BACKWARD is set once.
pub(super) async fn registers_once(context: TestContext) -> Result<()> {
    let registry = Registry::new(registry_config(&context))?;
    let subject = subject(&context);
    ensure!(registry.latest(&subject).await?.is_none(), "{subject} is new");
    let id = registry.register(&subject, schema::TRANSACTION).await?;
    ensure!(
        registry.register(&subject, schema::TRANSACTION).await? == id,
        "the same schema has the same id"
    );
    // Confluent's registry says nothing of a subject without a level, Apicurio says NONE.
    let level = registry.compatibility(&subject).await?;
    ensure!(
        level.as_deref().is_none_or(|level| level == "NONE"),
        "it has no level of its own, and not {level:?}"
    );
    ensure!(
        registry.id_of(&subject, schema::TRANSACTION).await? == Some(id),
        "the schema is one of the subject's"
    );
    registry
        .set_compatibility(&subject, Compatibility::Backward)
        .await?;
    ensure!(
        registry.compatibility(&subject).await?.as_deref() == Some("BACKWARD"),
        "the level can be read"
    );
    ensure!(
        registry.subjects().await?.contains(&subject),
        "the subject is listed"
    );
    ensure!(
        registry
            .latest(&subject)
            .await?
            .is_some_and(|latest| latest.id == id),
        "the id is the latest"
    );
    Ok(())
}

/// A subject that others write refuses a schema without a field of ours, and takes one with a field
/// more that has a default; what somebody has made stricter stays so.
pub(super) async fn refuses_a_field_less(context: TestContext) -> Result<()> {
    millrace_tests::pipeline::init(&context).await?;
    let registry = Registry::new(registry_config(&context))?;
    let subject = subject(&context);
    ensure!(
        registry.compatibility(&subject).await?.as_deref() == Some("FULL_TRANSITIVE"),
        "the transactions are written by others"
    );
    let mut less: serde_json::Value = serde_json::from_str(schema::TRANSACTION)?;
    let fields = less["fields"].as_array_mut().context("a record has fields")?;
    fields.retain(|field| field["name"] != "isInternational");
    let refused = registry.register(&subject, &less.to_string()).await;
    let Err(RegistryError::Incompatible { message, .. }) = refused else {
        anyhow::bail!("a schema without a field was not refused as incompatible: {refused:?}");
    };
    ensure!(message.contains("isInternational"), "{message}");
    // As docs/writing.md says: a record with it could not be read. Its writer has a subject of its
    // own, of which every other record is read.
    let more = schema::TRANSACTION.replace(r#""bank_transfer""#, r#""bank_transfer", "voucher""#);
    let refused = registry.register(&subject, &more).await;
    ensure!(
        matches!(refused, Err(RegistryError::Incompatible { .. })),
        "a schema with a symbol more: {refused:?}"
    );
    registry.register(&format!("{subject}-of-another"), &more).await?;
    for (name, kind, default) in [
        ("channel", r#"["null", "string"]"#, "null"),
        ("branch", "\"string\"", "\"x\""),
    ] {
        registry
            .register(&subject, &with_field(name, kind, default)?)
            .await?;
    }
    let aggregates = format!(
        "{}{}-value",
        context.settings.kafka.topic_prefix,
        topic::AGGREGATES
    );
    let level = registry.compatibility(&aggregates).await?;
    ensure!(
        level.as_deref() == Some("BACKWARD"),
        "Millrace writes these: {level:?}"
    );
    registry
        .set_compatibility(&aggregates, Compatibility::FullTransitive)
        .await?;
    millrace_tests::pipeline::init(&context).await?;
    let level = registry.compatibility(&aggregates).await?;
    ensure!(
        level.as_deref() == Some("FULL_TRANSITIVE"),
        "{level:?} was stricter"
    );
    Ok(())
}

/// A value written with one more, optional field is read through the registry; an incompatible
/// schema is refused with the field's name; an id nobody registered is a bad value, not an outage.
pub(super) async fn resolves_other_writers(context: TestContext) -> Result<()> {
    let registry = Registry::new(registry_config(&context))?;
    let subject = subject(&context);
    let ours = registry.register(&subject, schema::TRANSACTION).await?;
    registry
        .set_compatibility(&subject, Compatibility::Backward)
        .await?;
    let newer = registry
        .register(&subject, &with_field("channel", "\"string\"", "\"web\"")?)
        .await?;
    let refused = registry
        .register(&subject, &with_field("branch", "\"string\"", "")?)
        .await;
    let Err(RegistryError::Incompatible { message, .. }) = refused else {
        anyhow::bail!("a new field without a default was not refused as incompatible: {refused:?}");
    };
    ensure!(
        message.contains("branch"),
        "the refusal names the field: {message}"
    );

    let sent = sample::transaction(7, 1_760_000_000_000);
    let (mut plain, mut evolved, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    transaction::encode_framed(ours, &sent, &mut plain);
    transaction::encode_framed(newer, &sent, &mut evolved);
    evolved.extend_from_slice(&[6, b'a', b'p', b'p']); // the new field, at the end
    framing::write_header(999_999, &mut unknown);
    let reader = TransactionReader::new(SchemaFetcher::new(registry_config(&context)));
    tokio::task::spawn_blocking(move || {
        ensure!(reader.read(&plain)? == sent, "our own schema");
        ensure!(reader.read(&evolved)? == sent, "the newer schema, resolved");
        let answer = reader.read(&unknown);
        let known_as_bad = matches!(
            answer,
            Err(ReadError::Invalid(DecodeError::UnknownSchema { id: 999_999 }))
        );
        ensure!(known_as_bad, "an id nobody registered: {answer:?}");
        Ok(())
    })
    .await?
}
