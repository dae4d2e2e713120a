//! What a run shows while it goes on: a line that stays on a terminal, or a log line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use millrace_publisher::State;
use tracing::info;

/// Time between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The rate shown is that of about this time.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// Shows progress.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last_log: Instant,
    rate_per_s: f64,
    rate_since: Instant,
    rate_from: u64,
}

impl Progress {
    /// Starts; `count` is how many records there will be, if that is known.
    #[must_use]
    pub(crate) fn start(count: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match count {
                Some(count) => (
                    ProgressBar::new(count),
                    "{elapsed_precise} {wide_bar} {percent}% {msg}",
                ),
                None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {msg}"),
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            last_log: Instant::now(),
            rate_per_s: 0.0,
            rate_since: Instant::now(),
            rate_from: 0,
        }
    }

    /// Shows the state; `rejected` is how many rows were.
    pub(crate) fn show(&mut self, state: State, rejected: u64) {
        let span = self.rate_since.elapsed();
        if span >= RATE_SPAN {
            self.rate_per_s = (state.acknowledged - self.rate_from) as f64 / span.as_secs_f64();
            self.rate_since = Instant::now();
            self.rate_from = state.acknowledged;
        }
        let rate_per_s = self.rate_per_s.round() as u64;
        if let Some(bar) = &self.bar {
            bar.set_position(state.acknowledged);
            bar.set_message(format!(
                "{}/s, {} acknowledged, {} failed, {} rejected, {} in the queue",
                HumanCount(rate_per_s),
                HumanCount(state.acknowledged),
                HumanCount(state.failed),
                HumanCount(rejected),
                HumanCount(state.queue),
            ));
            bar.tick();
        } else if self.last_log.elapsed() >= LOG_INTERVAL {
            self.last_log = Instant::now();
            info!(
                rate_per_s,
                sent = state.sent,
                acknowledged = state.acknowledged,
                failed = state.failed,
                rejected,
                queue = state.queue,
                "sending"
            );
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
