//! What `up` says while it works: a line for each event, and on a terminal a line at the bottom
//! that changes.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Off a terminal, a status line is printed so often.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Writes to standard error: standard output is for results.
#[derive(Debug)]
pub(super) struct Reporter {
    started: Instant,
    bar: Option<ProgressBar>,
    last_status: std::sync::Mutex<Option<Instant>>,
}

impl Reporter {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            started: Instant::now(),
            bar,
            last_status: std::sync::Mutex::new(None),
        }
    }

    /// An event, with the time since the start.
    #[allow(clippy::print_stderr, reason = "the command's output")]
    pub(super) fn line(&self, text: &str) {
        let line = format!("{:7.1} s  {text}", self.started.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// What is being waited for; on a terminal only.
    pub(super) fn waiting(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// How the pipeline is: the changing line on a terminal, else a line now and then.
    pub(super) fn status(&self, text: &str) {
        if self.bar.is_some() {
            return self.waiting(text);
        }
        let mut last = self
            .last_status
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= STATUS_INTERVAL) {
            *last = Some(Instant::now());
            self.line(text);
        }
    }

    /// A table or report, as it is.
    #[allow(clippy::print_stderr, reason = "the command's output")]
    pub(super) fn block(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("\n{text}\n")),
            None => eprintln!("\n{text}\n"),
        }
    }

    /// A result, to standard output.
    pub(super) fn print(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
    }

    /// Takes the changing line away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message("");
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
