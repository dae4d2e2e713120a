//! Whether a job may begin to read another topic.
//!
//! Where transactions begin to be rekeyed, or cease to be, over a run that has results already, the
//! jobs' offsets and states are of the other topic. What each has read there it must not read again
//! by the way of the other one. Nothing decides that by itself: the job is refused before anything
//! is written, and told what to do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_catalog::payments::{self, topic};
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};
use millrace_telemetry::Shutdown;

/// How long the offsets may take: a transaction may be about to change them.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// The jobs that read transactions, or what is made of them.
const READERS: [&str; 2] = [payments::AGGREGATE_PARTIAL.name, payments::DETECT.name];
const REKEY: &str = payments::REKEY.name;

/// Offsets by partition.
type Offsets = Vec<Option<i64>>;

/// What the groups have committed of the transactions as producers wrote them, and this job of the
/// rekeyed ones.
#[derive(Debug, Clone, Default)]
struct Committed {
    own: Offsets,
    own_of_keyed: Offsets,
    /// The rekeying job's; or, for that job, each reader's.
    others: Vec<Offsets>,
}

/// Refuses `job` where it would read again, or leave out, what it or another has read by the other
/// way.
///
/// # Errors
/// That, with what to do; or the brokers do not say what is committed.
pub async fn check(settings: &Settings, job: &'static str, shutdown: &Shutdown) -> anyhow::Result<()> {
    let (settings, shutdown) = (settings.clone(), shutdown.clone());
    tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        loop {
            match look(&settings, job) {
                Ok(committed) => return judge(&settings, job, &committed),
                Err(_) if shutdown.is_triggered() => return Ok(()),
                Err(error) if started.elapsed() > LIMIT => return Err(error),
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "what the groups have committed is asked for again"
                ),
            }
            std::thread::sleep(PAUSE);
        }
    })
    .await?
}

fn group(kafka: &Kafka, job: &str) -> String {
    topic_name(kafka, &format!("millrace-{job}"))
}

fn look(settings: &Settings, job: &str) -> anyhow::Result<Committed> {
    let kafka = &settings.kafka;
    let lookup = Lookup::connect(kafka)?;
    let committed = |job: &str, topic: &str| -> anyhow::Result<Offsets> {
        let (group, topic) = (group(kafka, job), topic_name(kafka, topic));
        let offsets = lookup.committed_offsets(&group, &topic);
        offsets.with_context(|| format!("what {group} has committed of {topic}"))
    };
    let others = match job == REKEY {
        true => &READERS[..],
        false => &[REKEY],
    };
    let reads_keyed = job != REKEY && settings.rekeys();
    Ok(Committed {
        own: committed(job, topic::TRANSACTIONS)?,
        own_of_keyed: match reads_keyed {
            true => committed(job, topic::KEYED)?,
            false => Vec::new(),
        },
        others: others
            .iter()
            .map(|other| committed(other, topic::TRANSACTIONS))
            .collect::<Result<_, _>>()?,
    })
}

fn is_some(offsets: &Offsets) -> bool {
    offsets.iter().any(Option::is_some)
}

/// Whether one has read of some partition what the other has not.
fn is_ahead(one: &Offsets, other: &Offsets) -> bool {
    let other = other.iter().chain(std::iter::repeat(&None));
    one.iter().zip(other).any(|(one, other)| one > other)
}

/// The commands that set a group's offsets.
fn set(kafka: &Kafka, job: &str, offsets: &Offsets) -> String {
    let (group, topic) = (group(kafka, job), topic_name(kafka, topic::TRANSACTIONS));
    let set = (0..).zip(offsets).filter_map(|(partition, offset): (i32, _)| {
        let offset = (*offset)?;
        Some(format!(
            "kafka-consumer-groups.sh --bootstrap-server {} --group {group} --topic {topic}:{partition} --reset-offsets \
             --to-offset {offset} --execute",
            kafka.bootstrap_servers
        ))
    });
    set.collect::<Vec<_>>().join("; ")
}

const DRAIN: &str = "With the old setting, stop the writers, let the jobs read to the end and the last windows close (`millrace \
                     status`: no lag, no open windows), and stop the services";

fn judge(settings: &Settings, job: &str, committed: &Committed) -> anyhow::Result<()> {
    let kafka = &settings.kafka;
    let topic = topic_name(kafka, topic::TRANSACTIONS);
    if job == REKEY {
        // Where they are ahead of it, they have read since it was last switched off.
        if !committed
            .others
            .iter()
            .any(|other| is_ahead(other, &committed.own))
        {
            return Ok(());
        }
        let [first, rest @ ..] = committed.others.as_slice() else {
            return Ok(());
        };
        let from = match rest.iter().all(|other| other == first) {
            true => set(kafka, REKEY, first),
            false => format!(
                "{} are not where each other is ({:?}): both have to have read to the end first",
                READERS.join(" and "),
                committed.others
            ),
        };
        bail!(
            "{topic} is to be rekeyed, and others have read of it without that: what they have read would count again. \
             {DRAIN}. Then have it begin where they ended: {from}"
        );
    }
    let rekeyed = committed.others.first().cloned().unwrap_or_default();
    if settings.rekeys() {
        if is_some(&committed.own) && !is_some(&committed.own_of_keyed) || is_ahead(&committed.own, &rekeyed)
        {
            let group = group(kafka, job);
            bail!(
                "{job} has read {topic} itself, and is now to read what is rekeyed: the windows, ids and profiles that it has \
                 are of the other topic. {DRAIN}. Then have the rekeying job begin where this one ended: {}; and have this \
                 one forget it: kafka-consumer-groups.sh --bootstrap-server {} --group {group} --topic {topic} \
                 --delete-offsets (docs/writing.md, \"Switching rekeying on and off\")",
                set(kafka, REKEY, &committed.own),
                kafka.bootstrap_servers
            );
        }
        return Ok(());
    }
    if is_ahead(&rekeyed, &committed.own) {
        bail!(
            "{topic} was rekeyed, and {job} is now to read it itself: it would count again what it has read of the rekeyed \
             ones. {DRAIN}. Then have it begin where the rekeying job ended: {} (docs/writing.md, \"Switching rekeying on \
             and off\")",
            set(kafka, job, &rekeyed)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_settings::MisplacedRecords;

    fn settings(rekeys: bool) -> Settings {
        let mut settings = Settings::default();
        if rekeys {
            settings.aggregator.misplaced_records = MisplacedRecords::Rekey;
            settings.detector.misplaced_records = MisplacedRecords::Rekey;
        }
        settings
    }

    const NONE: [Option<i64>; 2] = [None, None];

    fn judged(
        rekeys: bool,
        job: &str,
        own: &[Option<i64>],
        keyed: &[Option<i64>],
        others: &[&[Option<i64>]],
    ) -> Option<String> {
        let committed = Committed {
            own: own.to_vec(),
            own_of_keyed: keyed.to_vec(),
            others: others.iter().map(|offsets| offsets.to_vec()).collect(),
        };
        judge(&settings(rekeys), job, &committed)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_first_start_and_a_restart_are_let_through() {
        let some = [Some(5), None];
        assert_eq!(judged(true, REKEY, &NONE, &[], &[&NONE, &NONE]), None);
        assert_eq!(judged(true, REKEY, &some, &[], &[&some, &NONE]), None);
        assert_eq!(
            judged(true, REKEY, &[Some(9), None], &[], &[&some, &some]),
            None,
            "switched on again"
        );
        for job in READERS {
            assert_eq!(judged(true, job, &NONE, &NONE, &[&some]), None);
            assert_eq!(judged(true, job, &some, &some, &[&some]), None);
            let on = [Some(9), Some(2)];
            assert_eq!(judged(true, job, &some, &some, &[&on]), None, "switched on again");
            assert_eq!(judged(false, job, &NONE, &[], &[&NONE]), None);
            assert_eq!(judged(false, job, &some, &[], &[&NONE]), None);
            assert_eq!(
                judged(false, job, &some, &[], &[&some]),
                None,
                "it was set forward"
            );
        }
    }

    #[test]
    fn switching_over_a_run_is_refused_with_what_to_do() {
        let (read, ahead) = ([Some(5), Some(7)], [Some(5), Some(8)]);
        let refused = judged(true, "detect", &read, &NONE, &[&NONE]).unwrap();
        for part in [
            "--group millrace-rekey --topic financial_transactions:1 --reset-offsets --to-offset 7 --execute",
            "--group millrace-detect --topic financial_transactions --delete-offsets",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let refused = judged(true, REKEY, &NONE, &[], &[&read, &read]).unwrap();
        assert!(
            refused.contains("financial_transactions:0 --reset-offsets --to-offset 5 "),
            "{refused}"
        );
        let refused = judged(true, REKEY, &NONE, &[], &[&read, &ahead]).unwrap();
        assert!(refused.contains("both have to have read to the end"), "{refused}");
        let refused = judged(false, "aggregate-partial", &read, &[], &[&ahead]).unwrap();
        assert!(
            refused.contains("--group millrace-aggregate-partial --topic financial_transactions:1 --reset-offsets --to-offset 8 "),
            "{refused}"
        );
        assert!(judged(false, "aggregate-partial", &NONE, &[], &[&ahead]).is_some());
    }

    #[test]
    fn a_second_switch_is_refused_like_the_first() {
        // Rekeyed up to `before`, read without that up to `since`, and to be rekeyed again.
        let (before, since) = ([Some(5), Some(7)], [Some(5), Some(9)]);
        let keyed = [Some(3), Some(4)];
        let refused = judged(true, REKEY, &before, &[], &[&since, &since]).unwrap();
        assert!(
            refused.contains(
                "--group millrace-rekey --topic financial_transactions:1 --reset-offsets --to-offset 9 "
            ),
            "{refused}"
        );
        for job in READERS {
            let refused = judged(true, job, &since, &keyed, &[&before]).unwrap();
            assert!(refused.contains("--to-offset 9 --execute"), "{refused}");
            assert_eq!(
                judged(true, job, &since, &keyed, &[&since]),
                None,
                "{job}: it was set"
            );
        }
    }
}
