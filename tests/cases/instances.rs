//! Processes whose names are the same, or would have been.

mod supervised;

use anyhow::{Context as _, Result, ensure};
use millrace_telemetry::exposition;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, hasten};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, wait_until};

/// Services of which there may be several: the operator whose partitions they share, and how many
/// those are (of the sink, those of transactions, aggregates and anomalies).
const SHARED: [(&str, &str, f64); 3] = [
    ("aggregator", "aggregate-partial", 5.0),
    ("detector", "detect", 5.0),
    ("elastic-sink", "elastic-sink", 11.0),
];

/// Two aggregators, two detectors and two sinks that take any free port for their metrics are two
/// members each: they share the partitions, nobody is thrown out, and every record is in a final
/// aggregate, judged once, and in Elasticsearch.
pub(super) async fn any_port_makes_a_name(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    hasten(settings);
    settings.aggregator.metrics_port = 0;
    settings.detector.metrics_port = 0;
    settings.elastic_sink.metrics_port = 0;
    settings.aggregator.worker.threads = 1;
    settings.detector.worker.threads = 1;
    pipeline::init(&context).await?;
    let start = |(name, ..): (&str, &str, f64), number: u32| {
        Service::start(&context, &format!("{name}-{number}"), &["service", name])
    };
    let mut pairs = Vec::new();
    for shared in SHARED {
        pairs.push((shared, [start(shared, 1)?, start(shared, 2)?]));
    }
    for ((name, operator, partitions), [first, second]) in &pairs {
        let ports = [port(first).await?, port(second).await?];
        ensure!(ports[0] != ports[1], "both serve {ports:?}");
        wait_until(
            &format!("both of {name} to share the partitions"),
            LIMIT,
            || async {
                let (one, other) = (held(ports[0], operator).await?, held(ports[1], operator).await?);
                Ok((one > 0.0 && other > 0.0 && one + other == *partitions).then_some(()))
            },
        )
        .await?;
    }
    let produce = ["service", "producer", "--count", "2000", "--rate", "0"];
    Service::start(&context, "producer", &produce)?
        .succeed(LIMIT)
        .await?;
    pipeline::verify(&context).await?;
    check_undisturbed(&context).await?;
    for ((name, ..), pair) in pairs {
        for service in pair {
            let said = service.output();
            let is_thrown_out = said.contains("stands back\"") || said.contains("fenced");
            ensure!(!is_thrown_out, "one {name} has thrown the other out: {said}");
            service.stop().await?;
        }
    }
    Ok(())
}

/// On one machine the second process of a name is refused and the first runs on. On two machines,
/// which here are two folders for locks, the second takes over; the first says so once, stands
/// back, and ends when the other has gone: a supervisor that starts it again never makes the two
/// change places, also where both are started at once.
pub(super) async fn one_name_is_one_process(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    let detector = &mut context.settings.detector;
    detector.worker.threads = 1;
    detector.worker.instance = Some("the-one".to_owned());
    let ports = (detector.metrics_port, context.settings.aggregator.metrics_port);
    pipeline::init(&context).await?;
    let mut first = Service::start(&context, "first", &["service", "detector"])?;
    first.ready(ports.0).await?;

    context.settings.detector.metrics_port = ports.1;
    context.settings.aggregator.metrics_port = 0;
    let mut refused = Service::start(&context, "refused", &["service", "detector"])?;
    refused.fail(LIMIT).await?;
    let said = refused.output();
    ensure!(
        said.contains("the-one") && said.contains("detector.worker.instance"),
        "the name, and what to change: {said}"
    );
    first.ready(ports.0).await?;
    ensure!(
        !first.output().contains("fenced"),
        "the first has been left alone"
    );

    let locks = context.path("locks");
    std::fs::create_dir(&locks)?;
    let folder = locks.to_str().context("a path in UTF-8")?;
    let variables = [("TMPDIR", folder)];
    let mut second = Service::start_with(&context, "second", &["service", "detector"], &variables)?;
    second.ready(ports.1).await?;
    wait_until("the first to stand back", LIMIT, || async {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/health/ready", ports.0)).await?;
        let (is_ready, body) = (answer.status().is_success(), answer.text().await?);
        Ok((!is_ready && body.contains("detector.worker.instance")).then_some(()))
    })
    .await?;
    ensure!(first.is_running()?, "it ends only after the other");
    second.ready(ports.1).await?;
    second.stop().await?;
    first.fail(LIMIT).await?;
    let said = first.output().matches("stands back\"").count();
    ensure!(said == 1, "it said so {said} times: {}", first.output());

    let machines = [(ports.0, None), (ports.1, Some(folder.to_owned()))];
    supervised::never_change_places(&mut context, machines).await
}

/// The port that a service says it serves.
async fn port(service: &Service) -> Result<u16> {
    wait_until("a service to serve its metrics", LIMIT, || async {
        let output = service.output();
        let address = output.split("\"address\":\"127.0.0.1:").nth(1);
        let port = address.and_then(|rest| rest.split('"').next());
        Ok(port.map(str::parse::<u16>).transpose()?)
    })
    .await
}

/// How many partitions an operator of a process has; none as long as it does not answer.
async fn held(port: u16, operator: &str) -> Result<f64> {
    let Ok(text) = pipeline::metrics_text(port).await else {
        return Ok(0.0);
    };
    Ok(exposition::samples(&text, "millrace_assigned_partitions")
        .filter(|sample| sample.label("operator") == Some(operator))
        .map(|sample| sample.value)
        .sum())
}
