//! What a writer of one's own needs, told once: when the topic that it writes to is made.

use millrace_catalog::payments::topic;
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use super::{Outcome, Report};

/// The line of each client that has another partitioner by itself; docs/writing.md has them all.
const LINES: [(&str, &str); 4] = [
    (
        "Python, confluent-kafka",
        r#"Producer({"partitioner": "murmur2_random", …})"#,
    ),
    (
        "Go, confluent-kafka-go",
        r#"kafka.ConfigMap{"partitioner": "murmur2_random", …}"#,
    ),
    (
        ".NET, Confluent.Kafka",
        "new ProducerConfig { Partitioner = Partitioner.Murmur2Random, … }",
    ),
    (
        "Node, @confluentinc/kafka-javascript",
        r#""partitioner": "murmur2_random""#,
    ),
];

/// The lines, where the topic that others write to is new.
pub(super) fn advice(settings: &Settings, report: &Report) -> Option<String> {
    let topic = topic_name(&settings.kafka, topic::TRANSACTIONS);
    let subject = format!("topic {topic}");
    let is_new = |outcome: &Outcome| *outcome == Outcome::Created;
    let mut steps = report.steps.iter();
    if !steps.any(|step| step.subject == subject && is_new(&step.outcome)) {
        return None;
    }
    let mut text = format!(
        "A producer of your own writes to {topic} with userId as the key and murmur2 as the partitioner; Java has it, \
         others set it:"
    );
    for (client, line) in LINES {
        text.push_str(&format!("\n  {client:<38}{line}"));
    }
    text.push_str("\ndocs/writing.md has more clients, and the forms of a value");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let step = |subject: &str, outcome| Step {
            subject: subject.to_owned(),
            outcome,
            is_planned: false,
        };
        let others = step("topic p-transaction_aggregates", Outcome::Created);
        Report {
            steps: vec![others, step("topic p-financial_transactions", outcome)],
        }
    }

    #[test]
    fn writers_are_told_when_their_topic_is_made_and_not_again() {
        let mut settings = Settings::default();
        settings.kafka.topic_prefix = "p-".to_owned();
        let told = advice(&settings, &report(Outcome::Created)).unwrap();
        for (client, line) in LINES {
            let told = told.lines().find(|told| told.contains(client)).unwrap();
            assert!(told.ends_with(line), "{told}");
        }
        assert!(told.contains("writes to p-financial_transactions with userId as the key"));
        for outcome in [Outcome::Unchanged, Outcome::Changed("a from 1 to 2".to_owned())] {
            assert_eq!(advice(&settings, &report(outcome)), None);
        }
    }

    #[test]
    fn the_documentation_says_the_same() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/writing.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (client, line) in LINES {
            let row = format!("| {client}");
            let row = page.lines().find(|text| text.starts_with(&row)).unwrap();
            assert!(row.contains(line), "{row}");
        }
    }
}
