//! What a pipeline is described by.

use millrace_contract::{AnyContract, Contract, Encode, Event};

use crate::Service;

/// In which installations something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In all.
    Always,
    /// Where the transactions are read as they were written.
    NotRekeyed,
    /// Where the transactions are rekeyed first (`misplaced_records: rekey`).
    Rekeyed,
    /// Where the section of the service says so (`enabled: true`).
    Enabled,
}

impl When {
    /// Whether it is there in an installation that rekeys, or does not, and enables nothing else.
    #[must_use]
    pub const fn holds(self, rekeys: bool) -> bool {
        match self {
            Self::Always => true,
            Self::NotRekeyed => !rekeys,
            Self::Rekeyed => rekeys,
            Self::Enabled => false,
        }
    }
}

/// A pipeline: what flows, what is made of it, and where it can be searched.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline {
    /// Its name.
    pub name: &'static str,
    /// The service whose section says whether the pipeline is there; `None`: it always is.
    pub enabled_by: Option<Service>,
    /// Its topics of records. Dead-letter and control topics follow from these and the jobs.
    pub streams: &'static [StreamSpec],
    /// Its exactly-once jobs.
    pub jobs: &'static [JobSpec],
    /// Its documents in Elasticsearch.
    pub documents: &'static [DocumentSpec],
    /// Its streams whose records are rows elsewhere, where a service is enabled that writes them.
    pub rows: &'static [RowsSpec],
}

/// How long a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// For `kafka.retention_ms`.
    Time,
    /// The newest record of each key, for ever.
    Compacted,
}

/// Who writes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Any producer that keeps to the schema.
    Others,
    /// The jobs that name it among what they write.
    Jobs,
    /// A service, beside its jobs.
    Service(Service),
    /// A command of `millrace`.
    Command(&'static str),
}

/// Who sends the records of a stream that cannot be decoded to its dead-letter topic. All others
/// that read the stream count and skip them: one bad record is one dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterOwner {
    /// Where that holds.
    pub when: When,
    /// The job, or the service of documents, by name.
    pub name: &'static str,
}

impl DeadLetterOwner {
    /// One in every installation.
    #[must_use]
    pub const fn always(name: &'static str) -> Self {
        Self {
            when: When::Always,
            name,
        }
    }
}

/// The sink of documents, of what they are made of.
const SINK: &[DeadLetterOwner] = &[DeadLetterOwner::always(Service::ElasticSink.name())];

/// A topic of records, and what holds for whoever reads it.
#[derive(Debug, Clone, Copy)]
pub struct StreamSpec {
    /// The topic's name, before any prefix.
    pub name: &'static str,
    /// Where there is such a topic.
    pub when: When,
    /// The stream that its readers would read if it were not there.
    pub in_place_of: Option<&'static str>,
    /// Partitions that it is made with.
    pub partitions: i32,
    /// How long it is kept.
    pub retention: Retention,
    /// Whether the broker stamps its records: as of every stream whose event times are bounded.
    pub log_append_time: bool,
    /// Whether its records are copies of another stream's, with headers.
    pub takes_copies: bool,
    /// The Avro schema of its values, where they have one.
    pub value_schema: Option<&'static str>,
    /// Who writes it.
    pub writer: Writer,
    /// Commands of `millrace` that read it, beside jobs and documents.
    pub commands: &'static [&'static str],
    /// Who owns its dead letters: of a stream that jobs or documents read, exactly one in every
    /// installation.
    pub dead_letters: &'static [DeadLetterOwner],
}

impl StreamSpec {
    /// A stream that the pipeline's jobs write.
    #[must_use]
    pub const fn of_jobs(name: &'static str, partitions: i32) -> Self {
        Self {
            name,
            when: When::Always,
            in_place_of: None,
            partitions,
            retention: Retention::Time,
            log_append_time: false,
            takes_copies: false,
            value_schema: None,
            writer: Writer::Jobs,
            commands: &[],
            dead_letters: &[],
        }
    }

    /// A stream of events that others write, stamped by the broker.
    #[must_use]
    pub const fn of_events(
        name: &'static str,
        schema: &'static str,
        dead_letters: &'static [DeadLetterOwner],
    ) -> Self {
        Self {
            log_append_time: true,
            value_schema: Some(schema),
            writer: Writer::Others,
            dead_letters,
            ..Self::of_jobs(name, 5)
        }
    }

    /// What the first stage of a windowed job sends to the second.
    #[must_use]
    pub const fn between_stages(
        name: &'static str,
        schema: &'static str,
        dead_letters: &'static [DeadLetterOwner],
    ) -> Self {
        Self {
            value_schema: Some(schema),
            dead_letters,
            ..Self::of_jobs(name, 3)
        }
    }

    /// Results, of which documents are made.
    #[must_use]
    pub const fn indexed(name: &'static str, schema: &'static str) -> Self {
        Self {
            value_schema: Some(schema),
            dead_letters: SINK,
            ..Self::of_jobs(name, 3)
        }
    }

    /// Copies of events that came after their window had closed.
    #[must_use]
    pub const fn of_late(name: &'static str) -> Self {
        Self {
            takes_copies: true,
            commands: &["dlq"],
            ..Self::of_jobs(name, 5)
        }
    }
}

/// An exactly-once job.
#[derive(Debug, Clone, Copy)]
pub struct JobSpec {
    /// Its name, as metrics, snapshots and its consumer group have it.
    pub name: &'static str,
    /// The service that runs it.
    pub service: Service,
    /// Where it runs.
    pub when: When,
    /// The stream that it reads, or what stands in its place.
    pub input: &'static str,
    /// Its control topic: idle advances and changes of its settings, one partition for each of its
    /// input.
    pub control: &'static str,
    /// Its control topic where another stream stands in the input's place, whose offsets are of
    /// another log.
    pub control_in_place: Option<&'static str>,
    /// The streams that it writes.
    pub writes: &'static [&'static str],
}

impl JobSpec {
    /// A job of every installation that has its pipeline; what it writes is still to be said.
    #[must_use]
    pub const fn of(
        service: Service,
        name: &'static str,
        input: &'static str,
        control: &'static str,
    ) -> Self {
        Self {
            name,
            service,
            when: When::Always,
            input,
            control,
            control_in_place: None,
            writes: &[],
        }
    }

    /// The job's consumer group, before any prefix.
    #[must_use]
    pub fn group(&self) -> String {
        format!("millrace-{}", self.name)
    }

    /// The control topic, before any prefix.
    #[must_use]
    pub const fn control(&self, rekeys: bool) -> &'static str {
        match self.control_in_place {
            Some(control) if rekeys => control,
            _ => self.control,
        }
    }
}

/// Documents made of a stream, in indices of their own by month.
#[derive(Debug, Clone, Copy)]
pub struct DocumentSpec {
    /// The stream, or what stands in its place.
    pub stream: &'static str,
    /// The service that writes them.
    pub service: Service,
    /// Name of the index template, and of the indices before the month, before any prefix.
    pub index: &'static str,
    /// The mapping of the indices, as Elasticsearch takes it.
    pub mapping: &'static str,
}

impl DocumentSpec {
    /// Documents that the Elasticsearch sink makes of a stream.
    #[must_use]
    pub const fn of(stream: &'static str, index: &'static str, mapping: &'static str) -> Self {
        Self {
            stream,
            service: Service::ElasticSink,
            index,
            mapping,
        }
    }
}

/// Rows made of a stream's records, in tables of a store.
#[derive(Debug, Clone, Copy)]
pub struct RowsSpec {
    /// The stream, as it was written, also where another stands in its place: a row says at which
    /// offset its record is, which a change of `misplaced_records` must not make another.
    pub stream: &'static str,
    /// The service that writes them. What it cannot read it counts and passes over.
    pub service: Service,
    /// The table, where the stream's schema says all else of it.
    pub table: Option<TableSpec>,
}

/// A table in the lake, whose columns are the fields of its stream's records.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec {
    /// Its name: its folder, and a label of metrics.
    pub name: &'static str,
    /// The field by whose day a row is filed: of the time that its record is of.
    pub day: &'static str,
    /// How its records are read.
    pub records: AnyContract,
    /// Fields that are decimals of any size to others, and here the money of one record.
    pub money: &'static [&'static str],
}

impl RowsSpec {
    /// Those that the lake has of a stream's events, in a table of this name, by the day of a field
    /// of theirs.
    #[must_use]
    pub const fn lake_events<T: Event + Encode>(
        stream: &'static str,
        name: &'static str,
        day: &'static str,
    ) -> Self {
        Self::lake(stream, name, day, AnyContract::of_events::<T>())
    }

    /// Those that the lake has of results, as of [`Self::lake_events`].
    #[must_use]
    pub const fn lake_results<T: Encode + 'static>(
        stream: &'static str,
        name: &'static str,
        day: &'static str,
    ) -> Self {
        Self::lake(stream, name, day, AnyContract::of_results::<T>())
    }

    /// Those that the lake has of results that are taken as they were written, as of
    /// [`Self::lake_events`].
    #[must_use]
    pub const fn lake_bodies<T: Contract + 'static>(
        stream: &'static str,
        name: &'static str,
        day: &'static str,
    ) -> Self {
        Self::lake(stream, name, day, AnyContract::of_bodies::<T>())
    }

    const fn lake(stream: &'static str, name: &'static str, day: &'static str, records: AnyContract) -> Self {
        Self {
            stream,
            service: Service::LakeSink,
            table: Some(TableSpec {
                name,
                day,
                records,
                money: &[],
            }),
        }
    }

    /// With fields that are the money of one record ([`TableSpec::money`]).
    #[must_use]
    pub const fn with_money(self, money: &'static [&'static str]) -> Self {
        match self.table {
            Some(table) => Self {
                table: Some(TableSpec { money, ..table }),
                ..self
            },
            None => self,
        }
    }

    /// Those that Cassandra has of a stream.
    #[must_use]
    pub const fn cassandra(stream: &'static str) -> Self {
        Self {
            stream,
            service: Service::CassandraSink,
            table: None,
        }
    }
}
