//! The schemas, each as `<topic>-value`: with the compatibility FULL_TRANSITIVE where others write
//! and Millrace reads, and BACKWARD where Millrace writes. A level is raised and never lowered.

use millrace_catalog::payments::topic;
use millrace_catalog::{TopicSpec, topics, value_subject};
use millrace_domain::codec::TransactionReader;
use millrace_domain::plan::{Consent, Difference, Item, Need, State};
use millrace_registry::{Compatibility, Found};
use millrace_registry::{Registry, SchemaFetcher};

use millrace_kafka::topic_name;
use millrace_settings::Settings;

use super::Steps;
use super::wait::Deadline;

/// What is to be done about the subjects.
pub(super) struct Plan {
    registry: Registry,
    subjects: Vec<Subject>,
}

/// One subject.
struct Subject {
    name: String,
    schema: &'static str,
    /// The level to set.
    level: Option<Compatibility>,
    exists: bool,
    items: Vec<Item>,
}

impl Plan {
    /// Looks at the subjects that are there.
    pub(super) async fn make(
        settings: &Settings,
        consent: Consent,
        deadline: &Deadline,
    ) -> anyhow::Result<Self> {
        let config = millrace_service::registry::config(&settings.schema_registry);
        let registry = Registry::new(config.clone())?;
        let service = format!("the schema registry at {}", registry.url());
        deadline.until_answer(&service, || registry.subjects()).await?;
        let reader = TransactionReader::new(SchemaFetcher::new(config));
        let default = registry.default_compatibility().await?;
        let mut subjects = Vec::new();
        for spec in &topics(settings.installation()) {
            let Some(schema) = spec.value_schema else { continue };
            let name = value_subject(&topic_name(&settings.kafka, spec.name));
            let mut subject = subject(&registry, (spec, schema), name, (default.as_deref(), consent)).await?;
            if spec.name == topic::TRANSACTIONS && subject.exists {
                subject
                    .items
                    .extend(unreadable(&registry, &reader, &subject.name).await?);
            }
            subjects.push(subject);
        }
        Ok(Self { registry, subjects })
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.subjects.iter().flat_map(|subject| &subject.items)
    }

    pub(super) async fn apply(self, steps: &mut Steps) -> anyhow::Result<()> {
        let registry = &self.registry;
        for subject in self.subjects {
            let Subject { name, schema, .. } = &subject;
            // Of a new subject, the level comes first, so that not even the first change escapes
            // it. One that is there is not touched before the registry has taken our schema.
            if let Some(level) = subject.level.filter(|_| !subject.exists) {
                registry.set_compatibility(name, level).await?;
            }
            registry.register(name, schema).await?;
            if let Some(level) = subject.level.filter(|_| subject.exists) {
                registry.set_compatibility(name, level).await?;
            }
            subject.items.iter().for_each(|item| steps.add_item(item));
        }
        Ok(())
    }
}

async fn subject(
    registry: &Registry,
    (spec, schema): (&TopicSpec, &'static str),
    name: String,
    (default, consent): (Option<&str>, Consent),
) -> anyhow::Result<Subject> {
    let found = registry.compatibility(&name).await?;
    let newest = registry.latest(&name).await?;
    let wanted = match spec.is_written_by_others {
        true => Compatibility::FullTransitive,
        false => Compatibility::Backward,
    };
    let (state, level) = match &newest {
        None => (State::New, Level::of_new(found.as_deref(), default, wanted)),
        Some(newest) => {
            // A subject may be ahead of this program: then ours is one of its older versions.
            let state = match registry.id_of(&name, schema).await? {
                Some(_) => State::AsWanted,
                None => match registry.incompatibility(&name, schema).await? {
                    Some(reason) => State::Refused(format!(
                        "its version {} does not go with Millrace's schema: {reason}. Delete the subject, or choose \
                         another kafka.topic_prefix",
                        newest.version
                    )),
                    None => registered(newest.version, consent),
                },
            };
            (
                state,
                Level::of_existing(found.as_deref(), default, (wanted, consent)),
            )
        }
    };
    let mut items = vec![Item {
        name: format!("schema {name}"),
        state,
    }];
    items.extend(level.state.map(|state| Item {
        name: format!("compatibility of {name}"),
        state,
    }));
    Ok(Subject {
        name,
        schema,
        level: level.set,
        exists: newest.is_some(),
        items,
    })
}

fn registered(newest: u32, consent: Consent) -> State {
    let values = (&*newest.to_string(), &*(newest + 1).to_string());
    let rule = (Need::Required, "Millrace's own schema is registered");
    State::of(vec![Difference::decide("version", values, rule, consent)])
}

/// Says where records of the newest version cannot be read.
async fn unreadable(
    registry: &Registry,
    reader: &TransactionReader,
    subject: &str,
) -> anyhow::Result<Option<Item>> {
    let Some((id, found)) = registry.newest_writer_schema(subject).await? else {
        return Ok(None);
    };
    let reason = match found {
        Found::Whole(schema) => match reader.check_schema(id, &schema) {
            Ok(()) => return Ok(None),
            Err(error) => error.to_string(),
        },
        Found::Without { reference, why } => format!("the registry {why} {}", reference.name),
        Found::Nothing => return Ok(None),
    };
    Ok(Some(Item {
        name: format!("schema {subject}"),
        state: State::Warning(format!(
            "records of its newest version, of id {id}, will be dead letters: {reason}"
        )),
    }))
}

/// What is done about a subject's level.
#[derive(Debug, PartialEq, Eq)]
struct Level {
    set: Option<Compatibility>,
    /// To be told of.
    state: Option<State>,
}

impl Level {
    const LEFT: Self = Self {
        set: None,
        state: None,
    };

    fn of_new(found: Option<&str>, default: Option<&str>, wanted: Compatibility) -> Self {
        if found.is_some_and(|found| wanted.is_met_by(found)) {
            return Self::LEFT;
        }
        let there = found.or(default).and_then(Compatibility::named);
        Self {
            set: Some(there.map_or(wanted, |there| there.and(wanted))),
            state: None,
        }
    }

    fn of_existing(
        found: Option<&str>,
        default: Option<&str>,
        (wanted, consent): (Compatibility, Consent),
    ) -> Self {
        let there = found.or(default).unwrap_or("NONE");
        if wanted.is_met_by(there) {
            return Self {
                set: None,
                state: Some(State::AsWanted),
            };
        }
        let said = match found {
            Some(found) => found.to_owned(),
            None => format!("the registry's ({there})"),
        };
        let others_write = wanted == Compatibility::FullTransitive;
        let (to, rule) = match Compatibility::named(there) {
            None => (wanted, (Need::Fixed, "Millrace does not know this level")),
            Some(there) if others_write => (
                there.and(wanted),
                (
                    Need::Required,
                    "Millrace reads with a schema of its own: a field that a writer leaves out would make every record of \
                     theirs a dead letter",
                ),
            ),
            Some(there) => (
                there.and(wanted),
                match found {
                    Some(_) => (
                        Need::Optional,
                        "readers of Millrace's records could be left behind",
                    ),
                    None => (
                        Need::Required,
                        "readers of Millrace's records are not left behind",
                    ),
                },
            ),
        };
        let difference = Difference::decide("level", (&said, to.as_str()), rule, consent);
        let state = State::of(vec![difference]);
        Self {
            set: state.is_written().then_some(to),
            state: Some(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Compatibility::{Backward, Full, FullTransitive};

    fn set(found: Option<&str>, default: Option<&str>, wanted: Compatibility) -> Option<Compatibility> {
        Level::of_existing(found, default, (wanted, Consent::default())).set
    }

    #[test]
    fn the_level_of_what_others_write_is_raised_and_of_others_left() {
        for found in ["NONE", "BACKWARD", "FORWARD_TRANSITIVE", "FULL"] {
            assert_eq!(
                set(Some(found), None, FullTransitive),
                Some(FullTransitive),
                "{found}"
            );
            let level = Level::of_existing(Some(found), None, (FullTransitive, Consent::default()));
            let said = format!("{:?}", level.state);
            assert!(said.contains(found) && said.contains("FULL_TRANSITIVE"), "{said}");
        }
        assert_eq!(set(Some("FULL_TRANSITIVE"), None, FullTransitive), None);
        assert_eq!(set(None, Some("FULL_TRANSITIVE"), FullTransitive), None);
        assert_eq!(set(None, Some("BACKWARD"), FullTransitive), Some(FullTransitive));
        assert_eq!(set(Some("odd"), None, FullTransitive), None);
    }

    #[test]
    fn a_level_of_our_own_subjects_that_somebody_has_set_stays_and_is_never_lowered() {
        for found in ["NONE", "FORWARD"] {
            assert_eq!(set(Some(found), None, Backward), None, "{found}");
        }
        let overwrite = Consent {
            overwrite: true,
            accept_data_loss: false,
        };
        let level = Level::of_existing(Some("FORWARD"), None, (Backward, overwrite));
        assert_eq!(level.set, Some(Full));
        assert_eq!(set(None, Some("NONE"), Backward), Some(Backward));
        assert_eq!(set(None, Some("BACKWARD"), Backward), None);
        for found in ["BACKWARD", "FULL", "FULL_TRANSITIVE"] {
            assert_eq!(set(Some(found), None, Backward), None, "{found}");
        }
    }

    #[test]
    fn a_new_subject_gets_what_is_wanted_and_no_less_than_the_registrys_own() {
        assert_eq!(Level::of_new(None, None, Backward).set, Some(Backward));
        assert_eq!(Level::of_new(None, Some("FORWARD"), Backward).set, Some(Full));
        assert_eq!(
            Level::of_new(None, Some("NONE"), FullTransitive).set,
            Some(FullTransitive)
        );
        assert_eq!(Level::of_new(Some("FULL"), None, Backward), Level::LEFT);
    }
}
