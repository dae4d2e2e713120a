//! What the sink makes of a proxy before Elasticsearch, whatever that answers.

use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_settings::Settings;
use millrace_tests::TestContext;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::proxy::{Mood, Proxy};
use millrace_tests::sink::{self, Sink, indexed, no_dead_letters, send};

use super::{batch, now_ms};

/// How long the sink waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(6);

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
