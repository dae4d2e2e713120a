//! Page views and sessions against what is worked out of the records at once, through a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::Service as Known;
use millrace_catalog::clickstream::{PAGE_VIEWS_PARTIAL, PIPELINE, SESSIONS, topic};
use millrace_clickstream::{Click, Page, PageViews, Session, User};
use millrace_contract::Encode as _;
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_telemetry::exposition;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, metrics_text};
use millrace_tests::streams::{
    PER_S, check_compared, check_letters, check_status, compared, generate_carelessly,
    generated_through_a_kill, start,
};
use millrace_tests::{TestContext, groups, send, topics, wait_until};
use rdkafka::producer::BaseProducer;
use uuid::Uuid;

use super::dead_letters::dlq;

const WINDOW_MS: i64 = 10_000;
const GAP_MS: i64 = 15_000;
const USERS: u32 = 40;
const PAGES: [&str; 7] = [
    "shop.example/",
    "shop.example/cart",
    "shop.example/schuhe/größe-42",
    "shop.example/p/1",
    "shop.example/p/2",
    "shop.example/help",
    "shop.example/checkout",
];
/// Clicks before the kill, and as many after it.
const HALF: u32 = 1_500;
/// Of event time between two clicks of one half.
const STEP_MS: i64 = 40;
/// Records that nobody can read, and as many of the far future.
const BAD: u32 = 4;
/// Records of the first window that come when it has closed.
const LATE: u32 = 9;

/// The click `number`. Users look around in turns: each for a while, and then not for longer than
/// the gap, so that all have several sessions.
fn click(number: u32, start_ms: i64) -> Result<Click> {
    let (turn, at) = (number / 250, number % 250);
    let user = (turn % 4) * (USERS / 4) + at % (USERS / 4);
    let page = |number: u32| Page::new(PAGES[number as usize % PAGES.len()]).context("a page");
    Ok(Click {
        event_id: Uuid::from_u128(0x4000_8000 << 64 | u128::from(number)),
        user_id: User::new(&format!("u-{user}")).context("a user")?,
        page: page(number.wrapping_mul(number) % 31)?,
        referrer: number.is_multiple_of(3).then(|| page(number / 3)).transpose()?,
        time_ms: start_ms + i64::from(number) * STEP_MS,
    })
}

/// What a click looks like to a browser: neither scheme nor query tell pages apart.
fn json(click: &Click, number: u32) -> Vec<u8> {
    let mut value = Vec::new();
    click.encode_json(&mut value);
    let text = String::from_utf8_lossy(&value).into_owned();
    let url = click.page.as_str();
    let seen = format!("\"url\":\"https://{url}?n={number}\"");
    text.replacen(&format!("\"url\":\"{url}\""), &seen, 1)
        .into_bytes()
}

fn put(context: &TestContext, producer: &BaseProducer, key: &str, value: &[u8]) -> Result<()> {
    send::put(producer, &context.settings.kafka, topic::CLICKS, (key, value))
}

/// Sends clicks in the order of their times, every seventh twice.
fn send_clicks(context: &TestContext, clicks: impl IntoIterator<Item = (u32, Click)>) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for (number, click) in clicks {
        for _ in 0..=u32::from(number.is_multiple_of(7)) {
            put(context, &producer, click.user_id.as_str(), &json(&click, number))?;
        }
    }
    send::flush(&producer)
}

fn numbered(clicks: &[Click], range: Range<u32>) -> impl Iterator<Item = (u32, Click)> {
    range.map(move |number| (number, clicks[number as usize]))
}

fn send_bad(context: &TestContext) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..BAD {
        put(context, &producer, "u-1", b"{\"event_id\": \"no\"}")?;
        let ahead = click(1_000_000 + number, now_ms() + 3_600_000)?;
        put(context, &producer, ahead.user_id.as_str(), &json(&ahead, number))?;
    }
    send::flush(&producer)
}

/// Views and visitors of each page and window.
type Views = BTreeMap<(i64, String), (i64, i64)>;
/// First and last time, views, first and last page of each user's sessions.
type Visits = BTreeSet<(String, i64, i64, i64, String, String)>;

/// Worked out of all clicks at once.
fn expected(clicks: &[Click]) -> (Views, Visits) {
    let mut viewers: BTreeMap<(i64, String), (i64, BTreeSet<&str>)> = BTreeMap::new();
    let mut by_user: BTreeMap<&str, Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        let start_ms = click.time_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        let (views, users) = viewers
            .entry((start_ms, click.page.as_str().to_owned()))
            .or_default();
        *views += 1;
        users.insert(click.user_id.as_str());
        by_user.entry(click.user_id.as_str()).or_default().push(click);
    }
    let views = viewers
        .into_iter()
        .map(|(key, (views, users))| (key, (views, users.len() as i64)));
    let mut visits = Visits::new();
    for (user, mut clicks) in by_user {
        clicks.sort_by_key(|click| (click.time_ms, click.event_id));
        for session in clicks.chunk_by(|one, next| next.time_ms - one.time_ms < GAP_MS) {
            let [first, .., last] = session else {
                let [only] = session else { continue };
                let page = only.page.as_str().to_owned();
                visits.insert((user.to_owned(), only.time_ms, only.time_ms, 1, page.clone(), page));
                continue;
            };
            visits.insert((
                user.to_owned(),
                first.time_ms,
                last.time_ms,
                session.len() as i64,
                first.page.as_str().to_owned(),
                last.page.as_str().to_owned(),
            ));
        }
    }
    (views.collect(), visits)
}

/// What the topics have, each result once and by its key.
async fn found(context: &TestContext) -> Result<(Views, Visits)> {
    let (mut views, mut visits) = (Views::new(), Visits::new());
    for (record, result) in topics::read_as::<PageViews>(context, topic::PAGE_VIEWS).await? {
        let page = result.page.as_str().to_owned();
        let key = record.key.as_deref();
        ensure!(key == Some(page.as_bytes()), "{result:?} by {key:?}");
        ensure!(
            result.window_end_ms - result.window_start_ms == WINDOW_MS,
            "{result:?}"
        );
        let before = views.insert((result.window_start_ms, page), (result.views, result.visitors));
        ensure!(before.is_none(), "twice: {result:?}");
    }
    for (record, session) in topics::read_as::<Session>(context, topic::SESSIONS).await? {
        let user = session.user_id.as_str().to_owned();
        let key = record.key.as_deref();
        ensure!(key == Some(user.as_bytes()), "{session:?} by {key:?}");
        let is_new = visits.insert((
            user,
            session.start_ms,
            session.end_ms,
            session.page_count,
            session.entry_page.as_str().to_owned(),
            session.exit_page.as_str().to_owned(),
        ));
        ensure!(is_new, "twice: {session:?}");
    }
    Ok((views, visits))
}

/// Views, visitors and sessions are what all records together come to: of clicks that are there
/// twice, among records that nobody can read, and through a kill half-way. What comes for a closed
/// window is on the late topic, and changes nothing.
pub(super) async fn equals_an_offline_computation(mut context: TestContext) -> Result<()> {
    let clickstream = &mut context.settings.clickstream;
    clickstream.enabled = true;
    clickstream.window_ms = WINDOW_MS;
    clickstream.session_gap_ms = GAP_MS;
    // Nothing is taken for idle before the second half is there.
    clickstream.worker.idle_timeout_ms = 600_000;
    context.settings.snapshots.interval_ms = 1_000;
    pipeline::init(&context).await?;
    let start_ms = (now_ms() - 3_600_000).div_euclid(WINDOW_MS) * WINDOW_MS;
    let clicks: Vec<_> = (0..2 * HALF)
        .map(|number| click(number, start_ms))
        .collect::<Result<_>>()?;

    let service = start(&context, Known::Clickstream).await?;
    send_clicks(&context, numbered(&clicks, 0..HALF))?;
    send_bad(&context)?;
    for job in [&PAGE_VIEWS_PARTIAL, &SESSIONS] {
        groups::wait_until_read(&context.settings, &job.group(), topic::CLICKS).await?;
    }
    service.kill()?;
    send_clicks(&context, numbered(&clicks, HALF..2 * HALF))?;
    context.settings.clickstream.worker.idle_timeout_ms = 3_000;
    let service = start(&context, Known::Clickstream).await?;

    // Idleness closes the last windows and sessions.
    let expected = expected(&clicks);
    ensure!(
        expected.1.len() > USERS as usize * 2,
        "{} sessions",
        expected.1.len()
    );
    wait_until("all views and sessions", LIMIT, || async {
        let (views, visits) = found(&context).await?;
        let is_all = views.len() >= expected.0.len() && visits.len() >= expected.1.len();
        Ok(is_all.then_some(()))
    })
    .await?;
    ensure!(found(&context).await? == expected, "other views or sessions");

    check_late(&context, start_ms).await?;
    ensure!(
        found(&context).await? == expected,
        "late clicks changed something"
    );
    check_letters(&context, topic::CLICKS, BAD).await?;
    check_listed(&context).await?;
    let undisturbed = check_undisturbed(&context).await?;
    for (name, count) in [
        ("records of clickstream.late", LATE),
        ("dead letters of page-views-partial", 2 * BAD),
    ] {
        let found = compared(&undisturbed, name);
        ensure!(
            found == u64::from(count),
            "{found} {name}, not {count}: {undisturbed:?}"
        );
    }
    service.stop().await
}

async fn check_late(context: &TestContext, start_ms: i64) -> Result<()> {
    let late = |number: u32| -> Result<_> {
        let fresh = Uuid::from_u128(0x5000_8000 << 64 | u128::from(number));
        Ok((
            1,
            Click {
                event_id: fresh,
                ..click(number, start_ms)?
            },
        ))
    };
    send_clicks(context, (0..LATE).map(late).collect::<Result<Vec<_>>>()?)?;
    topics::wait_for_records(&context.settings, topic::LATE, LATE as usize).await?;
    for job in [&PAGE_VIEWS_PARTIAL, &SESSIONS] {
        groups::wait_until_read(&context.settings, &job.group(), topic::CLICKS).await?;
    }
    let copies = topics::read(&context.settings, topic::LATE).await?;
    ensure!(copies.len() == LATE as usize, "{} late records", copies.len());
    for copy in &copies {
        let source = copy.header("source.topic");
        let name = topic_name(&context.settings.kafka, topic::CLICKS);
        ensure!(source.as_ref() == Some(&name), "{copy:?}");
    }
    // Sessions count them, and keep no copies.
    let port = context.settings.clickstream.metrics_port;
    wait_until("late clicks of sessions", LIMIT, || async {
        let text = metrics_text(port).await?;
        let samples = exposition::samples(&text, "millrace_late_records_total");
        let of_sessions = samples.filter(|sample| sample.label("operator") == Some(SESSIONS.name));
        let count: f64 = of_sessions.map(|sample| sample.value).sum();
        Ok((count >= f64::from(LATE)).then_some(()))
    })
    .await
}

/// `dlq` lists the dead letters and the late records.
async fn check_listed(context: &TestContext) -> Result<()> {
    for (name, count) in [(topic::CLICKS, 2 * BAD), (topic::LATE, LATE)] {
        let said = dlq(context, &format!("dlq-{name}"), &["list", name], false).await?;
        ensure!(said["matching"] == count, "{count} letters of {name}: {said}");
    }
    Ok(())
}

/// Generated clicks, through a kill of their jobs: `verify` finds each in the page views, and the
/// results in Elasticsearch; all that the jobs have written is what an undisturbed run writes;
/// `status` shows the jobs.
pub(super) async fn generated_clicks_are_verified(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    settings.clickstream.enabled = true;
    settings.clickstream.window_ms = WINDOW_MS;
    settings.clickstream.session_gap_ms = 5_000;
    settings.producer.clicks_per_s = PER_S;
    generate_carelessly(settings);
    let generated = (topic::CLICKS, "clicks");
    let (pipeline, report) = generated_through_a_kill(&context, Known::Clickstream, generated).await?;
    let views = report.count("page views")?;
    ensure!(
        views + report.count("late clicks")? == report.count("clicks in the topic")?,
        "{views} views: {report:?}"
    );
    ensure!(
        report.count("Elasticsearch: views of page views")? == views
            && report.count("Elasticsearch: sessions")? > 100,
        "{report:?}"
    );
    check_compared(
        &context,
        &[
            "records of page_views.partials",
            "records of page_views",
            "records of sessions",
            "dead letters of page-views-partial",
        ],
    )
    .await?;
    check_status(&context, PIPELINE.jobs).await?;
    pipeline.stop().await
}
