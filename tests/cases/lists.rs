//! Lists and snoozes that are changed while the detector runs, by the command, with kills in
//! between.

mod alerts;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, detector, metrics_text, run};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, send, topics, wait_until};
use rdkafka::producer::BaseRecord;

use super::changes::{hasten, sent_since, verify};

/// Records between two changes.
const BETWEEN: i64 = 800;

/// `all` alerts for every accepted transaction, so that it tells which those are; `busy` too, but
/// for whom it is snoozed about.
const RULES: &str = r#"
rules:
  - name: all
    when: count("10m") >= 1
    severity: low
    reason: any
    mode: live
  - name: busy
    when: count("10m") >= 1
    severity: low
    reason: any, too
    mode: live
  - name: denied
    when: listed("deny", user) or listed("deny", merchant)
    severity: critical
    reason: on the list deny
    mode: live
  - name: watched_twice
    when: listed("watch", user) and count("1h", listed("watch", user)) >= 2
    severity: low
    quiet: 1s
    reason: twice
    mode: live
"#;

fn file(context: &TestContext, name: &str, text: &str) -> Result<String> {
    let path = context.path(name);
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// As [`run`], of a change that succeeds, and that the detector has taken by then.
async fn change(context: &TestContext, name: &str, arguments: &[&str]) -> Result<()> {
    let arguments = [arguments, &["--author", "ann", "--wait", "120s"]].concat();
    let (is_made, output) = run(context, name, &arguments).await?;
    ensure!(is_made, "{arguments:?}: {output}");
    Ok(())
}

fn from_now(after: Duration) -> Result<String> {
    let then = SystemTime::now().duration_since(UNIX_EPOCH)? + after;
    Ok(then.as_millis().to_string())
}

/// Two thousand entries that nobody is meant by, one of a user that ends soon, and a watched one.
fn entries() -> Result<String> {
    let until = from_now(Duration::from_secs(5))?;
    let mut text = String::from("list,kind,entity,until,reason\n");
    for number in 0..2_000 {
        text += &format!("deny,user,nobody-{number},,stolen\n");
    }
    text += &format!("deny,user,u-5,{until},for a moment\n");
    text += "watch,user,u-6,,\n";
    Ok(text)
}

/// Changes of every kind under a running stream, with kills of the detector between them and right
/// after them. Each partition has taken each change at one offset; for every accepted transaction
/// an alert is there, or is not, as the entries at its offset and its event time say; and all that
/// was written is what one undisturbed run writes that reads the same changes.
pub(super) async fn hold_while_it_runs(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    context.settings.producer.users = 30;
    context.settings.producer.rate_per_s = 200;
    pipeline::init(&context).await?;
    let rules = file(&context, "rules.yml", RULES)?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let mut running = detector(&context).await?;
    change(&context, "apply", &["rules", "apply", &rules, "--reason", "r"]).await?;
    let producer = Service::start(&context, "producer", &["service", "producer"])?;
    sent_since(&context, BETWEEN).await?;

    let deny = ["lists", "add", "deny", "--user", "u-3", "--merchant", "m-2"];
    change(&context, "deny", &[&deny[..], &["--reason", "stolen"]].concat()).await?;
    sent_since(&context, 1).await?;
    running = killed(&context, running).await?;
    let snooze = ["rules", "snooze", "busy", "--user", "u-3", "--user", "u-4"];
    change(
        &context,
        "snooze",
        &[&snooze[..], &["--for", "1h", "--reason", "known"]].concat(),
    )
    .await?;
    sent_since(&context, BETWEEN).await?;
    let port = context.settings.detector.metrics_port;
    wait_until("a snoozed alert is counted", LIMIT, || async {
        let counted = value(port, "millrace_snoozed_alerts_total").await?;
        Ok(counted.is_some_and(|count| count > 0.0).then_some(()))
    })
    .await?;
    let imported = file(&context, "entries.csv", &entries()?)?;
    change(
        &context,
        "import",
        &["lists", "import", &imported, "--reason", "told"],
    )
    .await?;
    sent_since(&context, BETWEEN / 2).await?;
    running = killed(&context, running).await?;
    sent_since(&context, BETWEEN).await?;
    change(&context, "remove", &["lists", "remove", "deny", "--user", "u-3"]).await?;
    running = killed(&context, running).await?;
    change(
        &context,
        "unsnooze",
        &["rules", "unsnooze", "busy", "--user", "u-4"],
    )
    .await?;
    let until = from_now(Duration::from_secs(4))?;
    let brief = ["rules", "snooze", "busy", "--user", "u-7", "--until", &until];
    change(
        &context,
        "brief",
        &[&brief[..], &["--reason", "a moment"]].concat(),
    )
    .await?;
    sent_since(&context, 2 * BETWEEN).await?;
    ensure!(running.is_running()?, "the detector has run through all changes");

    producer.stop().await?;
    verify(&context).await?;
    check_undisturbed(&context).await?;
    alerts::check(&context).await?;
    aggregator.stop().await?;
    running.stop().await
}

async fn killed(context: &TestContext, running: Service) -> Result<Service> {
    running.kill()?;
    detector(context).await
}

async fn value(port: u16, metric: &str) -> Result<Option<f64>> {
    Ok(millrace_telemetry::exposition::sum(
        &metrics_text(port).await?,
        metric,
    ))
}

/// What is wrong is refused before anything is written, and says what would be right; what was
/// written comes back from `show`.
pub(super) async fn that_are_wrong_are_refused(context: TestContext) -> Result<()> {
    let by = ["--author", "ann"];
    let why = ["--reason", "stolen", "--author", "ann"];
    let add = ["lists", "add", "deny", "--user", "u-1"];
    let (is_made, output) = run(&context, "early", &[&add[..], &why].concat()).await?;
    ensure!(
        !is_made && output.contains("lists: `millrace init` creates it"),
        "{output}"
    );
    pipeline::init(&context).await?;
    let wrong = "list,kind,entity\ndeny,user,u-1\ndeny,card,u-2\nDeny,user,u-3\n";
    let wrong = file(&context, "wrong.csv", wrong)?;
    let refused: [(&[&str], &[&str], &str); 7] = [
        (
            &["lists", "add", "Deny", "--user", "u-1"],
            &why,
            "\"Deny\" is no name",
        ),
        (&["lists", "add", "deny"], &why, "who? Give --user, --merchant"),
        (
            &["lists", "remove", "deny", "--user", "u-9"],
            &by,
            "user u-9 is not on the list deny",
        ),
        (
            &["lists", "import", &wrong],
            &why,
            "wrong.csv:3: kind \"card\" must be one of user, merchant, location",
        ),
        (
            &["rules", "snooze", "busy", "--user", "u-1", "--for", "1h"],
            &why,
            "no rule \"busy\": it has velocity, amount_outlier",
        ),
        (
            &["rules", "snooze", "velocity", "--user", "u-1"],
            &why,
            "until when?",
        ),
        (
            &["rules", "unsnooze", "velocity", "--user", "u-1"],
            &by,
            "velocity is not snoozed about u-1",
        ),
    ];
    for (number, (arguments, more, expected)) in refused.iter().enumerate() {
        let arguments = [arguments, *more].concat();
        let (is_made, output) = run(&context, &format!("refused-{number}"), &arguments).await?;
        ensure!(!is_made && output.contains(expected), "{arguments:?}: {output}");
    }
    let written = topics::read(&context.settings, topic::LISTS).await?;
    ensure!(written.is_empty(), "nothing was written");
    what_is_written_is_shown(&context).await
}

async fn what_is_written_is_shown(context: &TestContext) -> Result<()> {
    let why = ["--reason", "stolen", "--author", "ann"];
    let add = ["lists", "add", "deny", "--user", "u-1"];
    let (is_made, output) = run(context, "add", &[&add[..], &why].concat()).await?;
    ensure!(
        is_made && output.contains("list/deny/user/u-1 holds until taken away"),
        "{output}"
    );
    let snooze = ["rules", "snooze", "velocity", "--user", "u-1", "--until", "1000"];
    let (is_made, output) = run(context, "snooze", &[&snooze[..], &why].concat()).await?;
    ensure!(
        is_made && output.contains("1 of them are over by now"),
        "{output}"
    );
    let (is_told, output) = run(context, "show", &["lists", "show", "--json"]).await?;
    ensure!(
        is_told && output.contains("\"entity\": \"u-1\"") && output.contains("\"author\": \"ann\""),
        "{output}"
    );
    let (is_told, output) = run(context, "snoozes", &["rules", "snoozes"]).await?;
    ensure!(
        is_told && output.contains("velocity") && output.contains("(over)"),
        "{output}"
    );
    let expired = ["lists", "remove", "--expired", "--author", "ann"];
    let (is_made, output) = run(context, "expired", &expired).await?;
    ensure!(
        is_made && output.contains("snooze/velocity/user/u-1 is taken away"),
        "{output}"
    );
    let (is_told, output) = run(context, "list", &["lists", "show"]).await?;
    ensure!(
        is_told && output.contains("u-1") && !output.contains("velocity"),
        "{output}"
    );
    Ok(())
}

/// What is no entry, at a start or while the detector runs, is counted and keeps nobody from going
/// on; and an entry that comes next is gone by.
pub(super) async fn that_are_no_entries_are_passed_over(context: TestContext) -> Result<()> {
    pipeline::init(&context).await?;
    let garbage = || {
        let kafka = &context.settings.kafka;
        let name = millrace_kafka::topic_name(kafka, topic::LISTS);
        let producer = send::producer(kafka, &[])?;
        let record = BaseRecord::to(&name)
            .key("list/deny/user/u-1")
            .payload("no entry");
        producer.send(record).map_err(|(error, _)| error)?;
        send::flush(&producer)
    };
    garbage()?;
    let why = ["--reason", "stolen", "--author", "ann"];
    let add = |user| [&["lists", "add", "deny", "--user", user][..], &why].concat();
    let (is_made, output) = run(&context, "first", &add("u-2")).await?;
    ensure!(is_made, "{output}");
    let running = detector(&context).await?;
    let port = context.settings.detector.metrics_port;
    let told = |refused: f64, entries: f64| async move {
        wait_until(
            &format!("{refused} refused, {entries} entries"),
            LIMIT,
            || async {
                let now = (
                    value(port, "millrace_refused_list_entries_total").await?,
                    value(port, "millrace_list_entries").await?,
                );
                Ok((now == (Some(refused), Some(entries))).then_some(()))
            },
        )
        .await
    };
    told(1.0, 1.0).await?;
    garbage()?;
    let (is_made, output) = run(
        &context,
        "second",
        &[&add("u-3")[..], &["--wait", "60s"]].concat(),
    )
    .await?;
    ensure!(
        is_made && output.contains("every partition of the detector goes by it"),
        "{output}"
    );
    told(2.0, 2.0).await?;
    running.stop().await
}
