//! Payments: the ledgers against the topics, the topics against each other and Elasticsearch.

use std::time::Duration;

use millrace_catalog::payments::{DETECT, PIPELINE, topic};
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use crate::check::{Check, Look, Verification, Waits, wait_for};
use crate::elastic::Index;
use crate::topics::Topics;
use crate::{compare, ledger, rekeyed, repeat};

pub(crate) const VERIFICATION: Verification = Verification {
    pipeline: &PIPELINE,
    open: |settings| {
        Ok(Box::new(Payments {
            settings: settings.clone(),
            topics: Topics::open(settings)?,
        }))
    },
    repeat: repeat::payments,
};

struct Payments {
    settings: Settings,
    topics: Topics,
}

impl Check for Payments {
    fn reads(&self) -> &'static str {
        "topics and ledgers"
    }

    /// Without the detector: an alert is compared with nothing that was sent.
    fn waits_for(&self) -> Waits {
        let jobs = PIPELINE.jobs.iter().map(|job| job.name);
        Waits {
            jobs: jobs.filter(|name| *name != DETECT.name).collect(),
            documents: vec![topic::AGGREGATES, topic::ANOMALIES],
        }
    }

    fn look(&mut self, index: Option<&Index>) -> anyhow::Result<Look> {
        let indexed = index.map(|index| wait_for(index.look())).transpose();
        let settings = &self.settings;
        let transactions = topic_name(&settings.kafka, topic::TRANSACTIONS);
        let folder = &settings.producer.ledger_dir;
        let expected = ledger::read(folder, &transactions, settings.aggregator.window_ms)?;
        let observed = self.topics.observe(&expected)?;
        let found = indexed.as_ref().ok().and_then(Option::as_ref);
        let (mut rows, counts) = compare::compare(&expected, &observed, found);
        rows.extend(self.topics.rekeyed().map(rekeyed::row));
        Ok(Look {
            rows,
            counts,
            is_running: !expected.running.is_empty(),
            unindexed: indexed.err(),
        })
    }

    fn cost(&self) -> Duration {
        self.topics.cost()
    }
}
