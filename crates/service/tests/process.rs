//! A service as a process: what it exits with, what its last words are, and which signals it obeys.
//! This binary is the service too, when it is started as one.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use millrace_service::process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Says what the service does that this binary is then.
const ROLE: &str = "MILLRACE_SERVICE_TEST_ROLE";
/// What a service says when signals are handled.
const STARTED: &str = "the service runs";
/// What one says that does not obey.
const STUBBORN: &str = "not yet";

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return process::run(
            "tester",
            "Tests a process.",
            async move |_settings, shutdown| match role.as_str() {
                "ends" => Ok(()),
                "fails" => Err(anyhow::anyhow!("the third cause")
                    .context("the second cause")
                    .context("the first cause")),
                "waits" => {
                    tracing::info!("{STARTED}");
                    shutdown.wait().await;
                    Ok(())
                }
                "is-stubborn" => {
                    tracing::info!("{STARTED}");
                    shutdown.wait().await;
                    tracing::info!("{STUBBORN}");
                    std::future::pending().await
                }
                other => bail!("no role {other:?}"),
            },
        );
    }
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// A test's name, and what it does.
type Named = (&'static str, fn() -> Result<()>);

fn trials() -> Vec<Trial> {
    let all: [Named; 6] = [
        ("one_that_ends_well_exits_with_0", ends_well),
        ("one_that_fails_exits_with_1_and_says_why_in_one_line", fails),
        ("a_signal_ends_it_with_0", obeys_signals),
        ("a_second_signal_ends_it_at_once", obeys_a_second_signal),
        ("a_wrong_command_line_exits_with_2", refuses_arguments),
        (
            "a_wrong_configuration_exits_with_1_and_is_named",
            refuses_a_configuration,
        ),
    ];
    let trial = |(name, test): Named| {
        Trial::test(name, move || {
            test().map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    all.into_iter().map(trial).collect()
}

/// The service in a folder without a configuration.
fn service(role: &str, arguments: &[&str]) -> Result<(Child, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .env(ROLE, role)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, folder))
}

/// The exit code, the standard output and the standard error of one that ends by itself.
fn ended(role: &str, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let (child, _folder) = service(role, arguments)?;
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

fn ends_well() -> Result<()> {
    let (code, ..) = ended("ends", &[])?;
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}

fn fails() -> Result<()> {
    let (code, _, log) = ended("fails", &[])?;
    ensure!(code == Some(1), "{code:?}");
    let last = log.lines().last().context("a last word")?;
    let causes = "the first cause: the second cause: the third cause";
    ensure!(last.contains(causes), "{last}");
    Ok(())
}

/// Reads the service's log until it says this.
fn read_until(log: &mut impl BufRead, wanted: &str) -> Result<()> {
    let mut line = String::new();
    while log.read_line(&mut line)? > 0 {
        if line.contains(wanted) {
            return Ok(());
        }
        line.clear();
    }
    bail!("the log ends without {wanted:?}")
}

fn send(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

fn obeys_signals() -> Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut child, _folder) = service("waits", &[])?;
        let mut log = BufReader::new(child.stderr.take().context("a log")?);
        read_until(&mut log, STARTED)?;
        send(&child, signal)?;
        let mut rest = String::new();
        log.read_to_string(&mut rest)?;
        let status = child.wait()?;
        ensure!(status.code() == Some(0), "{signal}: {status}, {rest}");
        ensure!(
            rest.contains(signal.as_str()),
            "the log does not name {signal}: {rest}"
        );
    }
    Ok(())
}

fn obeys_a_second_signal() -> Result<()> {
    for (second, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let (mut child, _folder) = service("is-stubborn", &[])?;
        let mut log = BufReader::new(child.stderr.take().context("a log")?);
        read_until(&mut log, STARTED)?;
        send(&child, Signal::SIGTERM)?;
        read_until(&mut log, STUBBORN)?;
        send(&child, second)?;
        let status = child.wait()?;
        ensure!(status.code() == Some(code), "{second}: {status}");
    }
    Ok(())
}

fn refuses_arguments() -> Result<()> {
    let (code, _, err) = ended("ends", &["--confg", "x.yml"])?;
    ensure!(code == Some(2), "{code:?}");
    ensure!(err.contains("--confg"), "{err}");
    Ok(())
}

fn refuses_a_configuration() -> Result<()> {
    let (code, _, err) = ended("ends", &["--config", "missing.yml"])?;
    ensure!(code == Some(1), "{code:?}");
    ensure!(err.starts_with("error: ") && err.contains("missing.yml"), "{err}");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("wrong.yml");
    std::fs::write(&file, "kafka:\n  bootstrap_server: here:9092\n")?;
    let path = file.display().to_string();
    let (code, _, err) = ended("ends", &["--config", &path])?;
    ensure!(code == Some(1), "{code:?}");
    ensure!(
        err.contains("bootstrap_server") && err.contains("wrong.yml"),
        "{err}"
    );
    Ok(())
}
