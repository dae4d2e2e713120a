//! Log lines on standard error, and panics among them.

use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use millrace_settings::{LogFormat, Telemetry};
use thiserror::Error;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::metrics::{self, MetricError};
use crate::{process, texts};

/// Why logs or metrics cannot be set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The filter directives cannot be read.
    #[error(
        "telemetry.log_level is {given:?}: {reason}; must be a level (error, warn, info, debug, trace, off) or \
         directives as info,millrace_kafka=debug"
    )]
    Level {
        /// The setting.
        given: String,
        /// The parser's reason.
        reason: String,
    },
    /// Something else took the process's logs before.
    #[error("the logs of this process are set up already: {0}")]
    Taken(String),
    /// The build's metric cannot be registered.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// Sets up the process's logs on standard error, sends panics there, and registers
/// `millrace_build_info` and the process's own metrics. Call it once, first of all. Messages of the
/// `log` crate, such as librdkafka's, are among them.
///
/// # Errors
/// A wrong `telemetry.log_level`; a second call.
pub fn init(service: &'static str, settings: &Telemetry) -> Result<(), InitError> {
    let filter = EnvFilter::builder()
        .parse(with_moved(&settings.log_level))
        .map_err(|reason| InitError::Level {
            given: settings.log_level.clone(),
            reason: reason.to_string(),
        })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match settings.log_format {
        LogFormat::Json => logs
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine {
                service,
                line: Format::default().json().flatten_event(true),
            })
            .finish()
            .try_init(),
        LogFormat::Text => logs.finish().try_init(),
    };
    set.map_err(|reason| InitError::Taken(reason.to_string()))?;
    std::panic::set_hook(Box::new(log_panic));
    metrics::build_info()?;
    process::register()?;
    texts::register()?;
    tracing::info!(version = metrics::VERSION, "{service} starts");
    Ok(())
}

/// Crates that were a part of another in earlier releases, after that other.
const MOVED: [(&str, &str); 2] = [
    ("millrace_kafka", "millrace_runtime"),
    ("millrace_producer", "millrace_publisher"),
];

/// The directives, with those of a crate for one that was a part of it in earlier releases, too;
/// not where that has one of its own.
fn with_moved(directives: &str) -> String {
    let mut all = directives.to_owned();
    // Commas may be within a span's fields.
    if directives.contains('{') {
        return all;
    }
    for (from, to) in MOVED {
        if directives.contains(to) {
            continue;
        }
        let of_from = directives
            .split(',')
            .filter_map(|it| it.trim().strip_prefix(from));
        let of_to = of_from.filter(|rest| rest.starts_with("::") || rest.starts_with('='));
        all.extend(of_to.map(|rest| format!(",{to}{rest}")));
    }
    all
}

/// A line of JSON with the service's name in it.
struct JsonLine {
    service: &'static str,
    line: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        // The formatter has no constant fields; its line starts with a brace and is never empty.
        write!(
            writer,
            "{{\"service\":\"{}\",{}",
            self.service,
            line.strip_prefix('{').unwrap_or(&line)
        )
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let location = panic.location().map_or_else(String::new, ToString::to_string);
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(
        location,
        thread = thread.name().unwrap_or("(unnamed)"),
        %backtrace,
        "panic: {message}"
    );
}

#[cfg(test)]
mod tests {
    use super::with_moved;

    #[test]
    fn a_level_of_a_crate_holds_for_what_was_in_it() {
        for (given, expected) in [
            ("info", "info"),
            (
                "info,millrace_kafka=debug",
                "info,millrace_kafka=debug,millrace_runtime=debug",
            ),
            (
                "millrace_kafka::worker=trace, warn",
                "millrace_kafka::worker=trace, warn,millrace_runtime::worker=trace",
            ),
            (
                "info,millrace_kafka_batch=debug",
                "info,millrace_kafka_batch=debug",
            ),
            (
                "millrace_producer=debug,millrace_kafka=warn",
                "millrace_producer=debug,millrace_kafka=warn,millrace_runtime=warn,millrace_publisher=debug",
            ),
            (
                "millrace_kafka=debug,millrace_runtime=info",
                "millrace_kafka=debug,millrace_runtime=info",
            ),
        ] {
            assert_eq!(with_moved(given), expected);
        }
    }
}
