//! Revenue, sales of products and funnels against what is worked out of the raw topic at once,
//! through kills.

mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::commerce::{FUNNEL, PRODUCT_SALES_PARTIAL, REVENUE_PARTIAL, topic};
use millrace_catalog::{Service as Known, dead_letter};
use millrace_commerce::{EventType, Product, ShopEvent, User};
use millrace_contract::{Encode as _, Id, Text};
use millrace_domain::Amount;
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::streams::{
    PER_S, check_compared, check_status, compared, generate_carelessly, generated_through_a_kill, start,
};
use millrace_tests::{TestContext, elastic, groups, send, topics, wait_until};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::json;
use uuid::Uuid;

use self::naive::{Made, ensure_same, expected, found};

const WINDOW_MS: i64 = 10_000;
const GAP_MS: i64 = 15_000;
const USERS: u32 = 40;
/// Events before the first kill, and as many after it.
const HALF: u32 = 1_500;
/// Of event time between two events of one half.
const STEP_MS: i64 = 40;
/// Records that nobody can read, and as many of the far future, and purchases of nothing.
const BAD: u32 = 4;
/// Records of the first window that come when it has closed.
const LATE: u32 = 9;

/// What a user does in turn: by the user's number, ways that end at each of the steps.
fn what(user: u32, turn: u32) -> EventType {
    use EventType::{Click, Purchase, Search, View};
    let way: &[EventType] = match user % 5 {
        0 => &[Search],
        1 => &[Search, View],
        2 => &[Search, View, Click],
        3 => &[Search, View, Click, Purchase],
        _ => &[View, Purchase],
    };
    way[turn as usize % way.len()]
}

/// The event `number`. Users look around in turns: each for a while, and then not for longer than
/// the gap, so that all have several sessions.
fn event(number: u32, start_ms: i64) -> Result<ShopEvent> {
    let (turn, at) = (number / 250, number % 250);
    let user = (turn % 4) * (USERS / 4) + at % (USERS / 4);
    let event_type = what(user, at / (USERS / 4));
    let is_search = event_type == EventType::Search;
    let id = |text: &str| Id::new(text).context("an id");
    // Down to the last of four decimals, of which doubles make other sums.
    let units = 1 + i64::from(number) * 7_919 % 5_000_003;
    Ok(ShopEvent {
        event_id: Uuid::from_u128(0x4000_8000 << 64 | u128::from(number)),
        event_type,
        user_id: User::new(&format!("u-{user}")).context("a user")?,
        product_id: Product::new(&format!("p-{}", number % 31)).filter(|_| !is_search),
        price: Amount::from_units(units).filter(|_| !is_search),
        quantity: (event_type == EventType::Purchase).then_some(1 + number.cast_signed() % 7),
        region: id(["EU", "NA", "APAC", "EU/Nord"][user as usize % 4])?,
        device: id(["mobile", "desktop", "tablet"][number as usize / 3 % 3])?,
        time_ms: start_ms + i64::from(number) * STEP_MS,
        query: Text::new("blue espresso machine").filter(|_| is_search),
        product_name: Text::new(&format!("Kettle {}", number % 31)).filter(|_| !is_search),
        category: Text::new("kitchen").filter(|_| !is_search),
    })
}

fn put(context: &TestContext, producer: &BaseProducer, key: &str, value: &[u8]) -> Result<()> {
    let name = topic_name(&context.settings.kafka, topic::EVENTS);
    let record = BaseRecord::to(&name).key(key).payload(value);
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .context("sending an event")
}

fn put_event(context: &TestContext, producer: &BaseProducer, event: &ShopEvent) -> Result<()> {
    let mut value = Vec::new();
    event.encode_json(&mut value);
    put(context, producer, event.user_id.as_str(), &value)
}

/// Sends events nearly in the order of their times, each third after the one that follows it, and
/// every seventh twice.
fn send_events(context: &TestContext, start_ms: i64, range: Range<u32>) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    let mut order: Vec<_> = range.collect();
    for three in order.chunks_exact_mut(3) {
        three.swap(1, 2);
    }
    for number in order {
        for _ in 0..=u32::from(number.is_multiple_of(7)) {
            put_event(context, &producer, &event(number, start_ms)?)?;
        }
    }
    send::flush(&producer)
}

fn send_bad(context: &TestContext, start_ms: i64) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..BAD {
        put(context, &producer, "u-1", b"{\"event_id\": \"no\"}")?;
        let ahead = event(1_000_000 + number, now_ms() + 3_600_000)?;
        put_event(context, &producer, &ahead)?;
        let of_nothing = ShopEvent {
            event_id: Uuid::from_u128(0x6000_8000 << 64 | u128::from(number)),
            event_type: EventType::Purchase,
            quantity: Some(0),
            ..event(number, start_ms)?
        };
        put_event(context, &producer, &of_nothing)?;
    }
    send::flush(&producer)
}

async fn wait_until_read(context: &TestContext) -> Result<()> {
    for job in [&REVENUE_PARTIAL, &PRODUCT_SALES_PARTIAL, &FUNNEL] {
        groups::wait_until_read(&context.settings, &job.group(), topic::EVENTS).await?;
    }
    Ok(())
}

/// Revenue, sales and funnels are, value by value, what the raw topic comes to: of events that come
/// out of order and twice, among records that nobody can read and purchases of nothing, and through
/// two kills; and all of it is in Elasticsearch. What comes for a closed window is on the late
/// topic, and changes nothing.
pub(super) async fn equals_the_raw_topic(mut context: TestContext) -> Result<()> {
    pipeline::hasten(&mut context.settings);
    let commerce = &mut context.settings.commerce;
    commerce.enabled = true;
    commerce.window_ms = WINDOW_MS;
    commerce.session_gap_ms = GAP_MS;
    // Nothing is taken for idle before the second half is there.
    commerce.worker.idle_timeout_ms = 600_000;
    context.settings.snapshots.interval_ms = 1_000;
    pipeline::init(&context).await?;
    let start_ms = (now_ms() - 3_600_000).div_euclid(WINDOW_MS) * WINDOW_MS;

    let service = start(&context, Known::Commerce).await?;
    send_events(&context, start_ms, 0..HALF)?;
    send_bad(&context, start_ms)?;
    wait_until_read(&context).await?;
    service.kill()?;
    send_events(&context, start_ms, HALF..2 * HALF)?;
    let service = start(&context, Known::Commerce).await?;
    wait_until_read(&context).await?;
    service.kill()?;
    context.settings.commerce.worker.idle_timeout_ms = 3_000;
    let service = start(&context, Known::Commerce).await?;

    // Idleness closes the last windows and sessions.
    let expected = expected(&context).await?;
    ensure!(expected.events == 2 * HALF as usize, "{} events", expected.events);
    let reached: BTreeSet<_> = expected.funnels.values().map(|it| it.3.as_str()).collect();
    ensure!(reached.len() == 5 && expected.revenue.len() > 40, "{reached:?}");
    wait_until("all revenue, sales and funnels", LIMIT, || async {
        let is_all = found(&context).await?.is_as_much_as(&expected);
        Ok(is_all.then_some(()))
    })
    .await?;
    ensure_same(&found(&context).await?, &expected)?;

    check_late(&context, start_ms, &expected).await?;
    check_letters(&context).await?;
    check_documents(&context, &expected).await?;
    let undisturbed = check_undisturbed(&context).await?;
    for (name, count) in [
        ("records of data-stream.late", LATE),
        ("dead letters of revenue-partial", 3 * BAD),
    ] {
        ensure!(
            compared(&undisturbed, name) == u64::from(count),
            "{count} {name}: {undisturbed:?}"
        );
    }
    service.stop().await
}

async fn check_late(context: &TestContext, start_ms: i64, expected: &Made) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..LATE {
        let late = ShopEvent {
            event_id: Uuid::from_u128(0x5000_8000 << 64 | u128::from(number)),
            ..event(number, start_ms)?
        };
        put_event(context, &producer, &late)?;
    }
    send::flush(&producer)?;
    topics::wait_for_records(&context.settings, topic::LATE, LATE as usize).await?;
    wait_until_read(context).await?;
    let copies = topics::read(&context.settings, topic::LATE).await?;
    ensure!(copies.len() == LATE as usize, "{} late records", copies.len());
    ensure_same(&found(context).await?, expected)
}

/// Each bad record is one dead letter, whichever of the jobs read it.
async fn check_letters(context: &TestContext) -> Result<()> {
    let letters = topics::read(&context.settings, &dead_letter(topic::EVENTS)).await?;
    let mut codes: BTreeMap<_, u32> = BTreeMap::new();
    for letter in &letters {
        let code = letter.header("error.code").context("a code")?;
        *codes.entry(code).or_default() += 1;
    }
    for code in ["far_future", "incomplete_purchase"] {
        let count = codes.remove(code);
        ensure!(count == Some(BAD), "{count:?} of {code}, beside {codes:?}");
    }
    ensure!(codes.values().sum::<u32>() == BAD, "{codes:?}");
    Ok(())
}

/// The sink makes one document of each event, of each result and of each session; queries and names
/// of products are found by a word, and the money is there to the last unit.
async fn check_documents(context: &TestContext, expected: &Made) -> Result<()> {
    let sink = start(context, Known::ElasticSink).await?;
    for (index, count) in [
        ("millrace-events-raw", expected.events + LATE as usize),
        ("millrace-events-aggregated", expected.revenue.len()),
        ("millrace-product-sales", expected.products.len()),
        ("millrace-funnels", expected.funnels.len()),
    ] {
        wait_until("all documents", LIMIT, || async {
            let found = elastic::count(&context.settings, index).await?;
            Ok((found == Some(count as u64)).then_some(()))
        })
        .await
        .with_context(|| format!("{count} documents in {index}"))?;
    }
    for (field, word) in [("query", "ESPRESSO"), ("productName", "kettle")] {
        let query = json!({"query": {"match": {field: word}}, "size": 0, "track_total_hits": true});
        let found = elastic::search(&context.settings, "millrace-events-raw", &query).await?;
        let hits = found["hits"]["total"]["value"].as_u64();
        ensure!(hits > Some(100), "{hits:?} hits of {word} in {field}");
    }
    let query = json!({"size": 0, "aggs": {"sum": {"sum": {"field": "revenueUnits"}}}});
    for index in ["millrace-events-aggregated", "millrace-product-sales"] {
        let found = elastic::search(&context.settings, index, &query).await?;
        let sum = found["aggregations"]["sum"]["value"].as_f64().context("a sum")?;
        // Below 2^53, so that the server adds exactly.
        ensure!(
            sum as i128 == expected.revenue_units(),
            "{sum} in {index} in place of {}",
            expected.revenue_units()
        );
    }
    sink.stop().await
}

/// Generated events, through a kill of their jobs: `verify` finds each in revenue and sales, with
/// what it came to, from the ledger to Elasticsearch; all that the jobs have written is what an
/// undisturbed run writes; `status` shows the jobs.
pub(super) async fn generated_events_are_verified(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    settings.commerce.enabled = true;
    settings.commerce.window_ms = WINDOW_MS;
    settings.commerce.session_gap_ms = 5_000;
    settings.producer.commerce_per_s = PER_S;
    generate_carelessly(settings);
    let generated = (topic::EVENTS, "shop events");
    let (pipeline, report) = generated_through_a_kill(&context, Known::Commerce, generated).await?;
    let events = report.count("shop events in the topic")?;
    let late = report.count("late shop events")?;
    for results in ["sales by region", "sales by product"] {
        let in_time = report.count(results)?;
        ensure!(in_time + late == events, "{in_time} in {results}: {report:?}");
        ensure!(
            report.count(&format!("Elasticsearch: shop events of {results}"))? == in_time,
            "{report:?}"
        );
    }
    ensure!(
        report.count("Elasticsearch: shop events")? == events,
        "{report:?}"
    );
    let revenue = report.row("revenue of sales by region")?;
    ensure!(
        revenue != "0.00" && report.row("revenue of sales by product")? == revenue,
        "{report:?}"
    );
    check_compared(
        &context,
        &[
            "records of revenue.partials",
            "records of revenue",
            "records of product_sales.partials",
            "records of product_sales",
            "records of funnel",
            "dead letters of revenue-partial",
        ],
    )
    .await?;
    check_status(&context, millrace_catalog::commerce::PIPELINE.jobs).await?;
    pipeline.stop().await
}
