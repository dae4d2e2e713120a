//! Every test against the real stack, in one run: `cargo test -p millrace-tests`.
//!
//! Containers are used where a Docker engine answers, else local processes;
//! `MILLRACE_TEST_STACK=docker|local|running` decides otherwise (`running`: a stack that is there
//! already, for all tests but those that do faults to servers). Services run as child processes of
//! this very binary, which carries the `millrace` command: so they can be killed as a machine would
//! kill them.

#![allow(
    clippy::disallowed_methods,
    reason = "`main` sees to the cryptography of all clients"
)]

mod cases;

/// Tests that run at once on a small machine.
const AT_ONCE: usize = 4;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use cases::Case;
use libtest_mimic::{Arguments, Failed, Trial};
use millrace_tests::pulse::Pulse;
use millrace_tests::{Environment, environment, s3, service, topics};
use tokio::runtime::Runtime;

fn main() -> Result<ExitCode> {
    millrace_http::use_ring();
    if service::is_child() {
        return Ok(service::run_child());
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(at_once);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let runtime = Arc::new(Runtime::new()?);
    let start = Instant::now();
    let environment = Arc::new(runtime.block_on(Environment::start())?);
    eprintln!(
        "the stack runs in {} after {:.1} s",
        environment.kind(),
        start.elapsed().as_secs_f32()
    );
    let pulse = Arc::new(Pulse::start(environment.bootstrap_servers())?);
    let stack = Stack {
        runtime: Arc::clone(&runtime),
        environment: Arc::clone(&environment),
        pulse: Arc::clone(&pulse),
    };
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&stack)));
    eprintln!(
        "the brokers answered within {:.3} s",
        pulse.longest().as_secs_f32()
    );
    drop((stack, pulse));
    if let Some(environment) = Arc::into_inner(environment) {
        runtime.block_on(environment.stop())?;
    }
    Ok(conclusion.exit_code())
}

/// What all tests share.
#[derive(Clone)]
struct Stack {
    runtime: Arc<Runtime>,
    environment: Arc<Environment>,
    pulse: Arc<Pulse>,
}

impl Stack {
    /// Runs a test. One that fails is run again, once and alone, if nobody could have answered it.
    fn judge(&self, name: &str, alone: bool, case: &Case) -> Result<()> {
        let start = Instant::now();
        let Err(error) = self.run(name, alone, case) else {
            return Ok(());
        };
        // A test that is alone kills servers, which are silent then.
        let Some(silence) = self.pulse.silence_since(start, alone) else {
            return Err(error);
        };
        eprintln!(
            "{name} failed while the brokers, or this machine, stood still for {:.1} s, and is tried again: {error:#}",
            silence.as_secs_f32()
        );
        self.run(&format!("{name}-again"), true, case)
    }

    fn run(&self, name: &str, alone: bool, case: &Case) -> Result<()> {
        self.runtime.block_on(async {
            let context = self.environment.context(name, alone).await?;
            let settings = context.settings.clone();
            // Without the wait for the servers.
            let start = Instant::now();
            let tried = case(context).await;
            eprintln!("{name} took {:.1} s", start.elapsed().as_secs_f32());
            if let Err(error) = topics::delete_all(&settings).await {
                eprintln!("{name} leaves its topics behind: {error:#}");
            }
            tried
        })
    }
}

/// How many tests run at once where nobody says: a test waits for most of its time, for sessions,
/// transactions and partitions to be given up.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(AT_ONCE, |cores| AT_ONCE.max(cores.get()))
}

fn trials(stack: Option<&Stack>) -> Vec<Trial> {
    let mut cases = cases::all();
    // What others wait for comes last, and what takes minutes first: else a thread would have
    // nothing to do at the end.
    cases.sort_by_key(|(name, alone, _)| (*alone, !cases::LONGEST.contains(name)));
    cases
        .into_iter()
        .map(|(name, alone, case)| {
            let stack = stack.cloned();
            // What the stack, or this machine, does not have.
            let has_s3 = cfg!(feature = "cloud-stores") && s3::binary().is_some();
            let is_ignored = name.starts_with("object_store::") && !has_s3
                || name.starts_with("tls::") && !environment::is_secure()
                || name.starts_with("tokens::") && !(environment::is_secure() && cfg!(feature = "oidc"))
                || cases::TOO_LONG_FOR_CI.contains(&name)
                || alone && environment::is_borrowed();
            let trial = Trial::test(name, move || {
                let Some(stack) = stack else {
                    return Err(Failed::from("only listed"));
                };
                let judged = stack.judge(name, alone, &case);
                judged.map_err(|error| Failed::from(format!("{error:#}")))
            });
            trial.with_ignored_flag(is_ignored)
        })
        .collect()
}
