//! The schemas, each as `<topic>-value`: with the compatibility FULL_TRANSITIVE where others write and Millrace reads, and
//! BACKWARD where Millrace writes.

use millrace_codec::Registry;
use millrace_codec::registry::{Change, Compatibility};
use millrace_domain::topic;
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use super::wait::Deadline;
use super::{Outcome, Steps};

pub(super) async fn register(
    settings: &Settings,
    deadline: &Deadline,
    steps: &mut Steps,
) -> anyhow::Result<()> {
    let registry = Registry::new(millrace_service::registry::config(&settings.schema_registry))?;
    let service = format!("the schema registry at {}", registry.url());
    deadline.until_answer(&service, || registry.subjects()).await?;
    for spec in &topic::ALL {
        let Some(schema) = spec.value_schema else { continue };
        let subject = format!("{}-value", topic_name(&settings.kafka, spec.name));
        // The level comes first, so that not even the first change escapes it.
        let level = match spec.is_written_by_others {
            true => Compatibility::FullTransitive,
            false => Compatibility::Backward,
        };
        let outcome = match registry.set_compatibility(&subject, level).await? {
            Change::Updated => Outcome::Updated,
            Change::Unchanged => Outcome::Unchanged,
        };
        steps.add(
            format!("compatibility {level} of {subject}, or stricter"),
            outcome,
        );
        let before = registry.latest(&subject).await?;
        let id = registry.register(&subject, schema).await?;
        let after = registry.latest(&subject).await?;
        // A subject may be ahead of this program: then ours is one of its older versions.
        let outcome = match (before, after) {
            (None, _) => Outcome::Created,
            (Some(before), Some(after)) if after.version > before.version => Outcome::Updated,
            _ => Outcome::Unchanged,
        };
        steps.add(format!("schema {subject} (id {id})"), outcome);
    }
    Ok(())
}
