//! What the commands print.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use jiff::Timestamp;
use millrace_kafka::copies::{header, is_reserved};
use serde::Serialize;

use super::Found;
use super::letter::Letter;
use super::replay::Report;
use super::value::Shown;

/// Characters of a reason in a table.
const REASON_LEN: usize = 80;

/// One line of `list`.
#[derive(Debug, Serialize)]
struct Row {
    at: String,
    time: Option<String>,
    code: String,
    service: Option<String>,
    source: Option<String>,
    value_bytes: Option<u64>,
    truncated: bool,
    replayed: bool,
    reason: String,
}

impl Row {
    fn of(letter: &Letter, found: &Found) -> Self {
        let held = letter.record.payload.as_ref().map(|value| value.len() as u64);
        Self {
            at: letter.at.to_string(),
            time: letter.record.timestamp_ms.and_then(time),
            code: letter.code().into_owned(),
            service: letter.header(header::SERVICE).map(std::borrow::Cow::into_owned),
            source: letter
                .source()
                .map(|(topic, source)| format!("{topic} {}", source.at)),
            value_bytes: letter.truncated_from().filter(|_| held.is_some()).or(held),
            truncated: letter.truncated_from().is_some(),
            replayed: found.replayed.contains(letter),
            reason: letter.reason(),
        }
    }
}

fn time(ms: i64) -> Option<String> {
    Some(Timestamp::from_millisecond(ms).ok()?.to_string())
}

pub(super) fn list(topic: &str, found: &Found, json: bool) -> anyhow::Result<()> {
    let rows: Vec<Row> = found
        .letters
        .iter()
        .map(|letter| Row::of(letter, found))
        .collect();
    let matching: u64 = found.codes.values().sum();
    if json {
        let all = serde_json::json!({
            "topic": topic, "matching": matching, "codes": found.codes, "letters": rows,
        });
        say!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if !rows.is_empty() {
        say!("{}", table(rows.as_slice()));
    }
    say!("{}", summary(topic, rows.len(), found));
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "at",
        "time (UTC)",
        "code",
        "service",
        "source",
        "bytes",
        "",
        "reason",
    ]);
    for row in rows {
        let notes = [(row.truncated, "cut"), (row.replayed, "replayed")];
        let notes: Vec<&str> = notes
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, note)| *note)
            .collect();
        let bytes = row
            .value_bytes
            .map_or("none".to_owned(), |bytes| bytes.to_string());
        table.add_row(vec![
            Cell::new(&row.at),
            Cell::new(row.time.as_deref().unwrap_or("unknown")),
            Cell::new(&row.code),
            Cell::new(row.service.as_deref().unwrap_or_default()),
            Cell::new(row.source.as_deref().unwrap_or("unknown")),
            Cell::new(bytes).set_alignment(CellAlignment::Right),
            Cell::new(notes.join(", ")),
            Cell::new(row.reason.chars().take(REASON_LEN).collect::<String>()),
        ]);
    }
    table
}

fn summary(topic: &str, shown: usize, found: &Found) -> String {
    let matching: u64 = found.codes.values().sum();
    let codes: Vec<String> = found
        .codes
        .iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    match matching {
        0 => format!("{topic}: none"),
        _ => format!("{topic}: {shown} of {matching} shown ({})", codes.join(", ")),
    }
}

/// Everything about one letter.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    row: Row,
    key: Option<String>,
    /// Millrace's own are among `row`.
    headers: Vec<(String, Option<String>)>,
    value: &'a Shown,
}

impl<'a> Whole<'a> {
    fn of(letter: &Letter, value: &'a Shown, found: &Found) -> Self {
        let headers = letter.record.headers.iter();
        Self {
            row: Row::of(letter, found),
            key: letter.record.key.as_deref().map(printable),
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_deref().map(printable)))
                .collect(),
            value,
        }
    }
}

/// Text as it is, other bytes in hexadecimal.
fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.iter().fold("0x".to_owned(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

pub(super) fn show(found: &Found, values: &[Shown], json: bool) -> anyhow::Result<()> {
    let letters = found.letters.iter().zip(values);
    let all: Vec<Whole<'_>> = letters
        .map(|(letter, value)| Whole::of(letter, value, found))
        .collect();
    if json {
        say!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for whole in &all {
        say!("{}", text(whole)?);
    }
    if all.is_empty() {
        say!("none");
    }
    Ok(())
}

fn text(whole: &Whole<'_>) -> anyhow::Result<String> {
    let row = &whole.row;
    let mut text = String::new();
    writeln!(text, "letter    {}", row.at)?;
    writeln!(text, "time      {}", row.time.as_deref().unwrap_or("unknown"))?;
    writeln!(text, "code      {}", row.code)?;
    writeln!(text, "reason    {}", row.reason)?;
    writeln!(text, "service   {}", row.service.as_deref().unwrap_or("unknown"))?;
    writeln!(text, "source    {}", row.source.as_deref().unwrap_or("unknown"))?;
    writeln!(text, "replayed  {}", if row.replayed { "yes" } else { "no" })?;
    writeln!(text, "key       {}", whole.key.as_deref().unwrap_or("none"))?;
    for (of, reserved) in [("header", false), ("of copy", true)] {
        for (name, value) in whole
            .headers
            .iter()
            .filter(|(name, _)| is_reserved(name) == reserved)
        {
            writeln!(text, "{of:<10}{name}: {}", value.as_deref().unwrap_or("none"))?;
        }
    }
    let bytes = row.value_bytes.unwrap_or_default();
    let cut = if row.truncated { ", cut" } else { "" };
    match whole.value {
        Shown::Tombstone => writeln!(text, "value     none")?,
        Shown::Json(value) => writeln!(text, "value     JSON, {bytes} bytes\n{value:#}")?,
        Shown::Avro { schema_id, fields } => {
            writeln!(
                text,
                "value     Avro of schema {schema_id}, {bytes} bytes\n{fields:#}"
            )?;
        }
        Shown::Text(value) => writeln!(text, "value     text, {bytes} bytes{cut}\n{value}")?,
        Shown::Hex { why, bytes: hex } => writeln!(text, "value     {bytes} bytes{cut}; {why}\n{hex}")?,
    }
    Ok(text)
}

pub(super) fn replay(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    for refused in &report.refused {
        say!("refused {}: {}", refused.letter, refused.reason);
    }
    let verb = if report.dry_run { "would be sent" } else { "sent" };
    let codes: Vec<String> = report
        .sent
        .iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    let codes = if codes.is_empty() {
        String::new()
    } else {
        format!(" ({})", codes.join(", "))
    };
    say!(
        "{} of {} {verb} to {}{codes}; {} sent before, {} refused{}",
        report.sent_count(),
        report.letters,
        report.target,
        report.sent_before,
        report.refused_count,
        if report.has_more {
            "; there are more than the limit"
        } else {
            ""
        },
    );
    Ok(())
}
