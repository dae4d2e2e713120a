//! The tables for a person.

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;

use super::Status;
use super::services::Watermark;

/// All tables, one below the other; what has no rows is left out.
pub(super) fn render(status: &Status) -> String {
    let mut blocks = vec![parts(status)];
    if let Some(kafka) = &status.kafka {
        let mut topics = table(&["topic", "partitions", "records", "under-replicated", "offline"]);
        for topic in &kafka.topics {
            topics.add_row(vec![
                Cell::new(&topic.name),
                number(topic.partitions),
                count(topic.records),
                number(topic.under_replicated),
                number(topic.offline),
            ]);
        }
        let mut groups = table(&["consumer group", "topic", "lag"]);
        for group in &kafka.groups {
            let lag = if group.committed_partitions == 0 {
                text("nothing committed")
            } else {
                count(group.lag)
            };
            groups.add_row(vec![Cell::new(&group.name), Cell::new(&group.topic), lag]);
        }
        blocks.extend([topics, groups].into_iter().filter(|table| !table.is_empty()));
    }
    let mut watermarks = table(&[
        "operator",
        "watermark (UTC)",
        "behind now",
        "open windows",
        "closed windows",
        "open transaction",
    ]);
    for watermark in &status.watermarks {
        watermarks.add_row(watermark_row(watermark));
    }
    if !watermarks.is_empty() {
        blocks.push(watermarks);
    }
    let tables: Vec<String> = blocks.iter().map(ToString::to_string).collect();
    let verdict = if status.ready {
        "everything that is needed is ready"
    } else {
        "NOT READY"
    };
    format!("{}\n{verdict}", tables.join("\n\n"))
}

fn parts(status: &Status) -> Table {
    let mut table = table(&["service", "address", "state", ""]);
    for part in &status.parts {
        let state = match (part.ready, part.optional) {
            (true, _) => "ready",
            (false, true) => "not ready",
            (false, false) => "NOT READY",
        };
        table.add_row([&part.name, &part.address, state, &part.note]);
    }
    table
}

fn watermark_row(watermark: &Watermark) -> Vec<Cell> {
    let time = jiff::Timestamp::from_millisecond(watermark.watermark_ms).map_or_else(
        |_| "unknown".to_owned(),
        |time| time.strftime("%F %T").to_string(),
    );
    // Counts are whole numbers in a float.
    let windows = |count: Option<f64>| text(&count.map_or_else(String::new, |count| format!("{count:.0}")));
    vec![
        Cell::new(&watermark.operator),
        Cell::new(time),
        text(&format!("{:.1} s", watermark.lag_s)),
        windows(watermark.open_windows),
        windows(watermark.closed_windows),
        text(
            &watermark
                .open_transaction_s
                .map_or_else(String::new, |seconds| format!("for {seconds:.0} s")),
        ),
    ]
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header.to_vec());
    table
}

fn text(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn number(number: usize) -> Cell {
    text(&number.to_string())
}

fn count(count: i64) -> Cell {
    text(&HumanCount(count.unsigned_abs()).to_string())
}
