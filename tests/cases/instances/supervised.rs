//! Two processes of one name on two machines, each under a supervisor that starts it again as often
//! as it ends.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use millrace_tests::TestContext;
use millrace_tests::pipeline::LIMIT;
use millrace_tests::service::Service;

/// More starts of the two together would be a change of places.
const MOST_STARTS: u32 = 6;
const LOOK: Duration = Duration::from_millis(200);

/// A machine: the port of its detector, and its folder for locks where that is not this machine's
/// own.
pub(super) type Machine = (u16, Option<String>);

/// Both are started at once. One of them comes to work; the other stands back, ends only when that
/// one has gone, and takes its place once it is started again.
pub(super) async fn never_change_places(context: &mut TestContext, machines: [Machine; 2]) -> Result<()> {
    let [one, other] = machines;
    let mut pair = [
        Supervised::start(context, "one", one)?,
        Supervised::start(context, "other", other)?,
    ];
    let works = settled(context, &mut pair).await?;
    let [one, other] = pair;
    let (works, mut back) = if works == 0 { (one, other) } else { (other, one) };
    works.service.stop().await?;
    back.service.fail(LIMIT).await?;
    back.again(context)?;
    back.service.ready(back.machine.0).await?;
    let starts = works.starts + back.starts;
    ensure!(starts <= MOST_STARTS, "the two were started {starts} times");
    back.service.stop().await
}

/// Waits until one of two is ready and the other stands back; which one is.
async fn settled(context: &mut TestContext, pair: &mut [Supervised; 2]) -> Result<usize> {
    let begin = Instant::now();
    loop {
        let mut states = [State::Other; 2];
        for (it, state) in pair.iter_mut().zip(&mut states) {
            if !it.service.is_running()? {
                it.again(context)?;
            }
            *state = it.state().await;
        }
        match states {
            [State::Ready, State::Back] => return Ok(0),
            [State::Back, State::Ready] => return Ok(1),
            _ => {}
        }
        let starts = pair[0].starts + pair[1].starts;
        ensure!(starts <= MOST_STARTS, "they change places: {starts} starts");
        ensure!(begin.elapsed() < LIMIT, "nobody comes to work: {states:?}");
        tokio::time::sleep(LOOK).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// Another has its name.
    Back,
    /// It starts, ends, or waits for its partitions.
    Other,
}

/// The detector of a machine.
struct Supervised {
    service: Service,
    name: &'static str,
    machine: Machine,
    starts: u32,
}

impl Supervised {
    fn start(context: &mut TestContext, name: &'static str, machine: Machine) -> Result<Self> {
        Ok(Self {
            service: launch(context, name, &machine)?,
            name,
            machine,
            starts: 1,
        })
    }

    fn again(&mut self, context: &mut TestContext) -> Result<()> {
        self.starts += 1;
        self.service = launch(context, self.name, &self.machine)?;
        Ok(())
    }

    async fn state(&self) -> State {
        let url = format!("http://127.0.0.1:{}/health/ready", self.machine.0);
        // Before its start and at its end it does not answer.
        let Ok(answer) = reqwest::get(url).await else {
            return State::Other;
        };
        let is_ready = answer.status().is_success();
        match answer.text().await {
            Ok(_) if is_ready => State::Ready,
            Ok(body) if body.contains("detector.worker.instance") => State::Back,
            _ => State::Other,
        }
    }
}

fn launch(context: &mut TestContext, name: &str, (port, locks): &Machine) -> Result<Service> {
    context.settings.detector.metrics_port = *port;
    let variables: Vec<_> = locks.iter().map(|folder| ("TMPDIR", folder.as_str())).collect();
    Service::start_with(context, name, &["service", "detector"], &variables)
}
