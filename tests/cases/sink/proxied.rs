//! What the sink makes of answers that a proxy gives, of its own or in Elasticsearch's words.

use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_settings::Settings;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::proxy::{Mood, Proxy};
use millrace_tests::sink::{self, ALERTS, MINUTES, Sink, indexed, indexed_in, no_dead_letters, send};
use millrace_tests::{TestContext, sample};

use super::{DAY_MS, batch, month, now_ms, results};

/// How long the sink waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// A cluster that takes no more shards holds up the months that have no index yet, and not the
/// others; the sink is not ready for as long, whatever else it writes.
pub(in crate::cases) async fn no_room_for_shards_holds_up_new_months_alone(
    mut context: TestContext,
) -> Result<()> {
    sink::prepare(&mut context.settings);
    let direct = context.settings.clone();
    let proxy = Proxy::start(&direct.elasticsearch.url).await?;
    context.settings.elasticsearch.url.clone_from(&proxy.url);
    let now = now_ms()?;
    let current = month(now)?;
    let mut sink = Sink::start(&context).await?;
    send(&direct, batch(0..20, now)).await?;
    indexed(&direct, &current, 20).await?;
    results(&context, 0..1, now).await?;
    indexed_in(&direct, MINUTES, &current, 1).await?;
    indexed_in(&direct, ALERTS, &current, 1).await?;
    let _ = proxy.set(Mood::NoRoom);
    let old = (1..=5_u32).map(|months| {
        let time_ms = now - i64::from(months) * 40 * DAY_MS;
        sample::transaction(100 + months, time_ms)
    });
    send(&direct, old).await?;
    results(&context, 0..1, now - 40 * DAY_MS).await?;
    sink.blocked(&["no_room", "cluster.max_shards_per_node", "and 4 more indices"])
        .await?;
    for sent in [20, 40, 60] {
        send(&direct, batch(sent..sent + 20, now)).await?;
        results(&context, sent..sent + 5, now).await?;
        indexed(&direct, &current, u64::from(sent) + 20).await?;
        sink.blocked(&["no_room"]).await?;
    }
    for index in [MINUTES, ALERTS] {
        indexed_in(&direct, index, &current, 16).await?;
    }
    let _ = proxy.set(Mood::Fine);
    indexed(&direct, "*", 85).await?;
    for index in [MINUTES, ALERTS] {
        indexed_in(&direct, index, "*", 17).await?;
    }
    sink.ready().await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// A proxy that answers 413 to everything, with pages of its own, or slowly, costs time and no
/// document; what is not answered in time is sent in smaller requests, which grow again.
pub(in crate::cases) async fn a_proxy_spoils_no_document(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let direct = context.settings.clone();
    let proxy = Proxy::start(&direct.elasticsearch.url).await?;
    context.settings.elasticsearch.url.clone_from(&proxy.url);
    pipeline::init(&context).await?;
    context.settings.elasticsearch.timeout_ms = TIMEOUT.as_millis() as u64;
    context.settings.elastic_sink.bulk_bytes = 300_000;
    let now = now_ms()?;
    let mut sink = Sink::again(&context)?;
    sink.ready().await?;
    let mut sent = 0;
    for (mood, words) in [
        (Mood::Status(413), "413 Payload Too Large"),
        (Mood::Status(200), "the answer is no bulk answer"),
        (Mood::Status(400), "400 Bad Request"),
        (Mood::Status(502), "502 Bad Gateway"),
        (Mood::Status(429), "429 Too Many Requests"),
        // The client goes where it is sent.
        (Mood::Elsewhere, "Connection refused"),
    ] {
        let _ = proxy.set(mood);
        send(&direct, batch(sent..sent + 50, now)).await?;
        sink.blocked(&[words]).await?;
        let _ = proxy.set(Mood::Fine);
        sent += 50;
        indexed(&direct, "*", sent.into()).await?;
        sink.ready().await?;
    }
    // Late, and in time all the same.
    let _ = proxy.set(Mood::After(TIMEOUT / 2));
    send(&direct, batch(sent..sent + 50, now)).await?;
    sent += 50;
    indexed(&direct, "*", sent.into()).await?;
    let _ = proxy.set(Mood::AtMost(20_000));
    send(&direct, batch(sent..sent + 200, now)).await?;
    sent += 200;
    indexed(&direct, "*", sent.into()).await?;

    // Of these, 100 kB are answered in time.
    let _ = proxy.set(Mood::Fine);
    grown(&sink, &direct, &mut sent, now).await?;
    let _ = proxy.set(Mood::BytesPerSecond(17_000));
    send(&direct, batch(sent..sent + 1_500, now)).await?;
    sent += 1_500;
    sink.blocked(&["timeout"]).await?;
    indexed(&direct, "*", sent.into()).await?;
    sink.ready().await?;
    let slow = proxy.set(Mood::Fine);
    let unanswered = slow.iter().filter(|bytes| **bytes > 100_000).count();
    ensure!(
        (1..10).contains(&unanswered),
        "the same bytes again and again: {slow:?}"
    );
    grown(&sink, &direct, &mut sent, now).await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// Sends until requests may be as large as configured again.
async fn grown(sink: &Sink, settings: &Settings, sent: &mut u32, now: i64) -> Result<()> {
    let start = std::time::Instant::now();
    while start.elapsed() < LIMIT {
        if sink.metric("millrace_sink_bulk_limit_bytes", "").await? == 300_000.0 {
            return Ok(());
        }
        send(settings, batch(*sent..*sent + 500, now)).await?;
        *sent += 500;
        indexed(settings, "*", (*sent).into()).await?;
    }
    anyhow::bail!("requests do not grow again")
}
