//! What became of the judgements of a rule set's rules, as a metric.

use millrace_rules::{Evaluator, MeaningHash, Tally};
use millrace_telemetry::metrics::{MetricError, counters};
use prometheus::IntCounterVec;

/// How often each rule was judged with which result. Rules are few, and their names are the
/// configuration's.
pub(crate) fn counter() -> Result<IntCounterVec, MetricError> {
    counters(
        "millrace_rule_judgements_total",
        "Transactions that a rule of the rule set fired for (in shadow too), was unknown for, or was quiet for.",
        &["rule", "outcome"],
    )
}

/// One partition's judgements, as counted so far.
#[derive(Debug)]
pub(crate) struct Judgements {
    counter: IntCounterVec,
    version: Option<MeaningHash>,
    /// By rule of that version.
    rules: Vec<(String, Tally)>,
}

impl Judgements {
    pub(crate) fn new(counter: IntCounterVec) -> Self {
        Self {
            counter,
            version: None,
            rules: Vec::new(),
        }
    }

    /// Takes what an evaluator has judged by now as counted.
    pub(crate) fn pass(&mut self, evaluator: Option<&Evaluator>) {
        if let Some(evaluator) = evaluator {
            self.follow(evaluator);
            for ((_, seen), tally) in self.rules.iter_mut().zip(evaluator.tallies()) {
                *seen = *tally;
            }
        }
    }

    /// Counts what an evaluator has judged since.
    pub(crate) fn count(&mut self, evaluator: Option<&Evaluator>) {
        let Some(evaluator) = evaluator else {
            return;
        };
        self.follow(evaluator);
        for ((rule, seen), tally) in self.rules.iter_mut().zip(evaluator.tallies()) {
            let outcomes = [
                ("fired", tally.fired, seen.fired),
                ("unknown", tally.unknown, seen.unknown),
                ("quiet", tally.quiet, seen.quiet),
            ];
            for (outcome, now, before) in outcomes {
                if now > before {
                    self.counter
                        .with_label_values(&[rule, outcome])
                        .inc_by(now - before);
                }
            }
            *seen = *tally;
        }
    }

    /// Goes on with the evaluator's version: a rule that both have keeps its figures there too.
    fn follow(&mut self, evaluator: &Evaluator) {
        let version = evaluator.version();
        if self.version == Some(version.hash()) {
            return;
        }
        let seen = |name: &str| {
            let found = self.rules.iter().find(|(known, _)| known == name);
            found.map_or_else(Tally::default, |(_, tally)| *tally)
        };
        let rules = version.rules().iter();
        self.rules = rules
            .map(|rule| (rule.name().to_owned(), seen(rule.name())))
            .collect();
        self.version = Some(version.hash());
    }
}
