//! Fraud alerts, by the day of the event that fired.

use millrace_catalog::payments::topic;
use millrace_domain::codec::DecodedAnomaly;

use super::{of_time, open};
use crate::table::{Cells, Kind, Row, Table, column};

/// The table.
pub const TABLE: Table = Table {
    name: "anomalies",
    topic: topic::ANOMALIES,
    columns: &[
        column("id", Kind::Id),
        column("rule", Kind::Text),
        column("entity_type", Kind::Text),
        column("entity", Kind::Text),
        column("severity", Kind::Text),
        column("score", Kind::Double),
        column("transaction_ids", Kind::Texts),
        column("figures", Kind::Figures),
        column("event_time", Kind::Time),
        column("detection_time", Kind::Time),
        column("rule_set_version", Kind::MaybeText),
        column("rule_revision", Kind::MaybeText),
        column("reason", Kind::MaybeText),
        column("reason_codes", Kind::Texts),
    ],
    sums: &[],
    rows: |schemas, _| open(schemas, row),
};

fn row(anomaly: &DecodedAnomaly, cells: &mut Cells) -> Row {
    cells.text(anomaly.id.to_string().as_bytes());
    cells.text(anomaly.rule.as_bytes());
    cells.text(anomaly.entity_type.as_str().as_bytes());
    cells.text(anomaly.entity.text().as_bytes());
    cells.text(anomaly.severity.as_str().as_bytes());
    cells.double(anomaly.score);
    cells.length(anomaly.transaction_ids.len());
    for id in &anomaly.transaction_ids {
        cells.text(&id.to_text());
    }
    cells.length(anomaly.figures.len());
    for (name, value) in &anomaly.figures {
        cells.text(name.as_bytes());
        cells.double(*value);
    }
    cells.long(anomaly.event_time_ms);
    cells.long(anomaly.detection_time_ms);
    cells.maybe_text(anomaly.rule_set_version.as_deref());
    cells.maybe_text(anomaly.rule_revision.as_deref());
    cells.maybe_text(anomaly.reason.as_deref());
    cells.length(anomaly.reason_codes.len());
    for code in &anomaly.reason_codes {
        cells.text(code.as_bytes());
    }
    of_time(anomaly.event_time_ms)
}
