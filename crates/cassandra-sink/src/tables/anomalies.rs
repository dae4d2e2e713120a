//! Fraud alerts, twice: by whom they are about, and by day.

use millrace_domain::codec::DecodedAnomaly;

use super::{NoRow, check_time};
use crate::row::{
    Cell, DAY_MS, Row, date, day, double, figures, maybe_text, text, texts, time, tiny, uuid, uuids,
};
use crate::table::{Table, ascending, descending, partition, value};
use crate::version::first_stays;

/// Partitions of a day. With one, a busy day would be too large for it, and one node would take all
/// writes; a day is read by so many reads at once.
pub const BUCKETS: i8 = 16;

/// A month of a user or a merchant, the newest first.
pub const BY_ENTITY: Table = Table {
    name: "anomalies_by_entity",
    about: "Alerts about a user or a merchant in a month",
    columns: &[
        partition("entity_type", "text"),
        partition("entity", "text"),
        partition("month", "date"),
        descending("event_time", "timestamp"),
        ascending("id", "uuid"),
        value("rule", "text"),
        value("severity", "text"),
        value("score", "double"),
        value("transaction_ids", "frozen<list<uuid>>"),
        value("figures", "frozen<map<text, double>>"),
        value("detection_time", "timestamp"),
        value("rule_set_version", "text"),
        value("rule_revision", "text"),
        value("reason", "text"),
        value("reason_codes", "frozen<list<text>>"),
    ],
};

/// A part of a day, the newest first.
pub const BY_DAY: Table = Table {
    name: "anomalies_by_day",
    about: "Alerts of a day, in 16 parts by id",
    columns: &[
        partition("day", "date"),
        partition("bucket", "tinyint"),
        descending("event_time", "timestamp"),
        ascending("id", "uuid"),
        value("entity_type", "text"),
        value("entity", "text"),
        value("rule", "text"),
        value("severity", "text"),
        value("score", "double"),
        value("transaction_ids", "frozen<list<uuid>>"),
        value("figures", "frozen<map<text, double>>"),
        value("detection_time", "timestamp"),
        value("rule_set_version", "text"),
        value("rule_revision", "text"),
        value("reason", "text"),
        value("reason_codes", "frozen<list<text>>"),
    ],
};

/// The rows of an anomaly that was read at `offset`.
pub(crate) fn rows(anomaly: &DecodedAnomaly, offset: i64) -> Result<Vec<Row>, NoRow> {
    let time_ms = check_time(anomaly.event_time_ms)?;
    let id = anomaly.id.as_bytes();
    let bucket = i8::try_from(id[15] & 0xf).unwrap_or_default();
    let of = || {
        [
            text(anomaly.entity_type.as_str()),
            text(anomaly.entity.text().as_str()),
        ]
    };
    let order = || [time(time_ms), uuid(anomaly.id)];
    let row = |table, cells| Row {
        table,
        time_ms,
        version: first_stays(time_ms, offset),
        cells,
    };
    let by_entity = of().into_iter().chain([date(month(time_ms))]).chain(order());
    let by_day = [day(time_ms), tiny(bucket)]
        .into_iter()
        .chain(order())
        .chain(of());
    Ok(vec![
        row(&BY_ENTITY, by_entity.chain(values(anomaly)).collect()),
        row(&BY_DAY, by_day.chain(values(anomaly)).collect()),
    ])
}

/// The columns that both tables end with.
fn values(anomaly: &DecodedAnomaly) -> [Cell; 10] {
    [
        text(anomaly.rule.as_str()),
        text(anomaly.severity.as_str()),
        double(anomaly.score),
        uuids(anomaly.transaction_ids.iter().map(|id| *id.as_bytes())),
        figures(&anomaly.figures),
        time(anomaly.detection_time_ms),
        maybe_text(anomaly.rule_set_version.as_deref()),
        maybe_text(anomaly.rule_revision.as_deref()),
        maybe_text(anomaly.reason.as_deref()),
        texts(anomaly.reason_codes.iter().map(String::as_str)),
    ]
}

/// The first day of a time's month, by its number since 1970.
pub(crate) fn month(time_ms: i64) -> i64 {
    let days = time_ms.div_euclid(DAY_MS);
    // Times are of the years 1970 to 9999 here.
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    days - i64::from(date.day()) + 1
}
