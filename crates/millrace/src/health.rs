//! `millrace health URL`, for health checks of containers without curl.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;

/// What to ask.
#[derive(Debug, Args)]
pub struct Options {
    /// As http://127.0.0.1:9101/health/ready
    url: Url,
    /// Longest wait for the answer, as 5s
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Asks once. What is not well is printed to standard error.
///
/// # Errors
/// No answer came within the timeout.
#[allow(clippy::print_stderr, reason = "the command's output")]
pub async fn command(options: &Options) -> anyhow::Result<ExitCode> {
    let client = millrace_http::local_client(options.timeout)?;
    let answer = client.get(options.url.clone()).send().await;
    let answer = answer.with_context(|| format!("{} does not answer", options.url))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    let body = answer.text().await.unwrap_or_default();
    eprintln!("{}: {status}: {}", options.url, body.trim());
    Ok(ExitCode::FAILURE)
}
