//! What is made of a shop's events, as it is worked out of the raw topic at once, and as the topics
//! of results have it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::commerce::topic;
use millrace_catalog::dead_letter;
use millrace_commerce::{Funnel, ProductSales, Revenue};
use millrace_contract::Symbols as _;
use millrace_tests::checks::source;
use millrace_tests::{TestContext, topics};
use serde_json::Value;

use super::{GAP_MS, WINDOW_MS};

/// Searches, views, clicks, purchases, pieces, and money in 1/10,000.
pub(super) type Sold = ([i64; 5], i128);

/// All that is made of events.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Made {
    /// Of each window, and region with device.
    pub(super) revenue: BTreeMap<(i64, String), Sold>,
    /// Of each window and product; of none by the empty text.
    pub(super) products: BTreeMap<(i64, String), Sold>,
    /// Last event, events, money, and how far it came, of each user's sessions by their start.
    pub(super) funnels: BTreeMap<(String, i64), (i64, i64, i128, String)>,
    /// Events that are not late, each id once.
    pub(super) events: usize,
}

impl Made {
    pub(super) fn is_as_much_as(&self, other: &Self) -> bool {
        self.revenue.len() >= other.revenue.len()
            && self.products.len() >= other.products.len()
            && self.funnels.len() >= other.funnels.len()
    }

    /// Money of all windows.
    pub(super) fn revenue_units(&self) -> i128 {
        self.revenue.values().map(|(_, units)| units).sum()
    }
}

/// One event, as it stands in the topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    time_ms: i64,
    id: String,
    what: String,
    user: String,
    place: String,
    product: String,
    pieces: i64,
    units: i128,
}

/// An amount of digits, in 1/10,000: no double has a part in it.
fn units(text: &str) -> Result<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    ensure!(part.len() <= 4, "{text} has more than four decimals");
    Ok(format!("{whole}{part:0<4}").parse()?)
}

impl Seen {
    fn of(json: &Value) -> Result<Self> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let is_purchase = json["event_type"] == "purchase";
        let pieces = json["quantity"].as_i64().filter(|_| is_purchase).unwrap_or(0);
        let price = match json["price"].is_null() {
            true => 0,
            // The shortest digits of the number, as they were written.
            false => units(&json["price"].to_string())?,
        };
        Ok(Self {
            time_ms: json["ts"].as_i64().context("a time")?,
            id: text("event_id"),
            what: text("event_type"),
            user: text("user_id"),
            place: format!("{}/{}", text("region"), text("device")),
            product: text("product_id"),
            pieces,
            units: price * i128::from(pieces),
        })
    }
}

/// Worked out of the raw topic: every record that is neither a dead letter nor late, each id once.
pub(super) async fn expected(context: &TestContext) -> Result<Made> {
    let mut left_out = BTreeSet::new();
    for topic in [dead_letter(topic::EVENTS), topic::LATE.to_owned()] {
        for copy in topics::read(&context.settings, &topic).await? {
            left_out.insert(source(&copy)?);
        }
    }
    let mut by_id = BTreeMap::new();
    for record in topics::read(&context.settings, topic::EVENTS).await? {
        if !left_out.contains(&(record.partition, record.offset)) {
            let seen = Seen::of(&serde_json::from_slice(&record.payload)?)?;
            by_id.entry(seen.id.clone()).or_insert(seen);
        }
    }
    let mut made = Made {
        events: by_id.len(),
        ..Made::default()
    };
    let mut by_user: BTreeMap<String, BTreeSet<Seen>> = BTreeMap::new();
    for seen in by_id.into_values() {
        let start_ms = seen.time_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        add(&mut made.revenue, (start_ms, seen.place.clone()), &seen);
        add(&mut made.products, (start_ms, seen.product.clone()), &seen);
        by_user.entry(seen.user.clone()).or_default().insert(seen);
    }
    for (user, seen) in by_user {
        // In the order of time, and of two at one time by their ids.
        let seen: Vec<_> = seen.into_iter().collect();
        for session in seen.chunk_by(|one, next| next.time_ms - one.time_ms < GAP_MS) {
            let way = ["search", "view", "click", "purchase"];
            let mut rest = session.iter();
            let came = way
                .iter()
                .take_while(|step| rest.any(|it| it.what == **step))
                .count();
            let reached = ["none", "search", "view", "click", "purchase"][came];
            let (first, last) = (&session[0], &session[session.len() - 1]);
            let money = session.iter().map(|it| it.units).sum();
            made.funnels.insert(
                (user.clone(), first.time_ms),
                (last.time_ms, session.len() as i64, money, reached.to_owned()),
            );
        }
    }
    Ok(made)
}

fn add(all: &mut BTreeMap<(i64, String), Sold>, key: (i64, String), seen: &Seen) {
    let (counts, money) = all.entry(key).or_default();
    let kinds = ["search", "view", "click", "purchase"];
    for (count, kind) in counts.iter_mut().zip(kinds) {
        *count += i64::from(seen.what == kind);
    }
    counts[4] += seen.pieces;
    *money += seen.units;
}

/// What the topics have, each result once and by its key.
pub(super) async fn found(context: &TestContext) -> Result<Made> {
    let mut made = Made::default();
    for (record, result) in topics::read_as::<Revenue>(context, topic::REVENUE).await? {
        let place = format!("{}/{}", result.region, result.device);
        let key = record.key.as_deref();
        ensure!(key == Some(place.as_bytes()), "{result:?} by {key:?}");
        ensure!(
            result.window_end_ms - result.window_start_ms == WINDOW_MS,
            "{result:?}"
        );
        made.events += usize::try_from(result.events())?;
        let counts = [
            result.searches,
            result.views,
            result.clicks,
            result.purchases,
            result.units,
        ];
        let key = (result.window_start_ms, place);
        let before = made.revenue.insert(key, (counts, result.revenue_units));
        ensure!(before.is_none(), "twice: {result:?}");
    }
    for (record, result) in topics::read_as::<ProductSales>(context, topic::PRODUCT_SALES).await? {
        let product = result
            .product_id
            .map_or_else(String::new, |it| it.as_str().to_owned());
        let key = record.key.unwrap_or_default();
        ensure!(key == product.as_bytes(), "{result:?} by {key:?}");
        let counts = [
            result.searches,
            result.views,
            result.clicks,
            result.purchases,
            result.units,
        ];
        let key = (result.window_start_ms, product);
        let before = made.products.insert(key, (counts, result.revenue_units));
        ensure!(before.is_none(), "twice: {result:?}");
    }
    for (record, session) in topics::read_as::<Funnel>(context, topic::FUNNEL).await? {
        let user = session.user_id.as_str().to_owned();
        let key = record.key.as_deref();
        ensure!(key == Some(user.as_bytes()), "{session:?} by {key:?}");
        let value = (
            session.end_ms,
            session.events(),
            session.revenue_units,
            session.reached.as_str().to_owned(),
        );
        let before = made.funnels.insert((user, session.start_ms), value);
        ensure!(before.is_none(), "twice: {session:?}");
    }
    Ok(made)
}

pub(super) fn ensure_same(found: &Made, expected: &Made) -> Result<()> {
    for (key, sold) in &expected.revenue {
        let found = found.revenue.get(key);
        ensure!(
            found == Some(sold),
            "revenue of {key:?}: {found:?} in place of {sold:?}"
        );
    }
    for (key, sold) in &expected.products {
        let found = found.products.get(key);
        ensure!(
            found == Some(sold),
            "sales of {key:?}: {found:?} in place of {sold:?}"
        );
    }
    for (key, session) in &expected.funnels {
        let found = found.funnels.get(key);
        ensure!(
            found == Some(session),
            "{key:?}: {found:?} in place of {session:?}"
        );
    }
    ensure!(
        found == expected,
        "there are more results than there should be, or other events"
    );
    Ok(())
}
