//! Files of entries: CSV, NDJSON, or the JSON that `millrace lists show --json` prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use millrace_domain::{ListEntry, ListKey, ListPurpose, ListedKind, ShortId, is_list_name};
use millrace_fraud::{Listings, MAX_LIST_ENTRIES};
use millrace_producer::replay::parse_time;
use serde::{Deserialize, Serialize};

/// The longest file in bytes.
const MAX_LEN: u64 = 16 << 20;
/// Lines that are told of what is wrong.
const MAX_TOLD: usize = 20;

/// An entry as files and answers have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// `list`, or `snooze`.
    #[serde(default)]
    pub(crate) purpose: Option<String>,
    /// Of the list, or the rule.
    #[serde(alias = "list", alias = "rule")]
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) entity: String,
    /// RFC 3339, or milliseconds since 1970.
    #[serde(default)]
    pub(crate) until: Option<String>,
    #[serde(default)]
    pub(crate) author: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) time: Option<String>,
}

impl Row {
    pub(crate) fn of(entry: &ListEntry) -> Self {
        let key = &entry.key;
        Self {
            purpose: Some(key.purpose.as_str().to_owned()),
            name: key.name.clone(),
            kind: key.kind.to_string(),
            entity: key.entity.clone(),
            until: entry.until_ms.map(time),
            author: Some(entry.author.clone()),
            reason: Some(entry.reason.clone()),
            time: Some(time(entry.time_ms)),
        }
    }

    /// The entry; what the file does not say is taken from `given`.
    fn entry(self, given: &Given<'_>) -> Result<ListEntry, String> {
        let purpose = match self.purpose.as_deref() {
            None | Some("list") => ListPurpose::List,
            Some("snooze") => ListPurpose::Snooze,
            Some(other) => return Err(format!("purpose {other:?} must be list or snooze")),
        };
        let key = key(purpose, &self.name, &self.kind, &self.entity)?;
        let parse = |name, text: Option<String>| {
            let parse = |text: String| parse_time(&text).map_err(|error| format!("{name} {text:?} {error}"));
            text.map(parse).transpose()
        };
        let reason = self.reason.or(given.reason.map(str::to_owned));
        Ok(ListEntry {
            key,
            until_ms: parse("until", self.until)?,
            // An import is somebody's act: the author is who imports.
            author: given.author.to_owned(),
            reason: reason.ok_or("has no reason: give each line one, or all of them by --reason")?,
            time_ms: given.now_ms,
        })
    }
}

/// What an entry's file need not say.
pub(crate) struct Given<'a> {
    pub(crate) author: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) now_ms: i64,
}

pub(crate) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// A key of its parts.
///
/// # Errors
/// Which part is wrong, and what would be right.
pub(crate) fn key(purpose: ListPurpose, name: &str, kind: &str, entity: &str) -> Result<ListKey, String> {
    if !is_list_name(name) {
        return Err(format!(
            "{name:?} is no name: a letter, then letters, digits and `_`, at most 64, in lower case"
        ));
    }
    let kind = ListedKind::parse(kind).ok_or_else(|| {
        let all = ListedKind::ALL.map(ListedKind::as_str).join(", ");
        format!("kind {kind:?} must be one of {all}")
    })?;
    ShortId::new(entity, "entity").map_err(|error| error.to_string())?;
    Ok(ListKey {
        purpose,
        name: name.to_owned(),
        kind,
        entity: entity.to_owned(),
    })
}

/// The entries of a file.
///
/// # Errors
/// It cannot be read, is too long, or lines of it are wrong: which, and how.
pub(crate) fn read(path: &Path, given: &Given<'_>) -> anyhow::Result<Vec<ListEntry>> {
    let name = path.display();
    let length = fs::metadata(path).with_context(|| name.to_string())?.len();
    if length > MAX_LEN {
        bail!("{name} has {length} bytes: a file of entries has at most {MAX_LEN}");
    }
    let bytes = fs::read(path).with_context(|| name.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{name} is not UTF-8"))?;
    let rows = match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => rows_of_csv(&text),
        Some("ndjson" | "jsonl") => rows_of_ndjson(&text),
        Some("json") => rows_of_json(&text),
        _ => bail!("{name}: its name must end in .csv, .ndjson or .json, to say how it is written"),
    };
    entries(rows, given).map_err(|mut wrong| {
        let more = wrong.len().saturating_sub(MAX_TOLD);
        wrong.truncate(MAX_TOLD);
        let lines = wrong.iter().map(|(line, what)| format!("{name}:{line}: {what}"));
        let mut told: Vec<_> = lines.collect();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        anyhow::anyhow!("{}", told.join("\n"))
    })
}

/// The listings of a file, for a run over files.
///
/// # Errors
/// As of [`read`], and of entries that no detector would take.
pub(crate) fn listings(path: &Path) -> anyhow::Result<Listings> {
    let given = Given {
        author: "-",
        reason: Some("-"),
        now_ms: 0,
    };
    let mut listings = Listings::default();
    for entry in read(path, &given)? {
        let key = entry.key.to_string();
        let put = listings.put(entry);
        put.with_context(|| format!("{}: {key}", path.display()))?;
    }
    Ok(listings)
}

type Rows = Vec<(u64, Result<Row, String>)>;

/// The entries, each key once; else the lines that are wrong.
fn entries(rows: Rows, given: &Given<'_>) -> Result<Vec<ListEntry>, Vec<(u64, String)>> {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    let mut seen = BTreeMap::new();
    if rows.len() > MAX_LIST_ENTRIES {
        let count = rows.len();
        return Err(vec![(
            rows[MAX_LIST_ENTRIES].0,
            format!("there are {count} entries: at most {MAX_LIST_ENTRIES} in a file"),
        )]);
    }
    for (line, row) in rows {
        match row.and_then(|row| row.entry(given)) {
            Ok(entry) => match seen.insert(entry.key.clone(), line) {
                Some(before) => wrong.push((line, format!("the same entry as that of line {before}"))),
                None => entries.push(entry),
            },
            Err(what) => wrong.push((line, what)),
        }
    }
    if wrong.is_empty() { Ok(entries) } else { Err(wrong) }
}

fn rows_of_csv(text: &str) -> Rows {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return vec![(1, Err(error.to_string()))],
    };
    let has = |names: &[&str]| headers.iter().any(|header| names.contains(&header));
    if !(has(&["name", "list", "rule"]) && has(&["kind"]) && has(&["entity"])) {
        let told =
            "the first line must name the columns: list, kind, entity, and maybe until, reason, purpose";
        return vec![(1, Err(told.to_owned()))];
    }
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        let place = |error: &csv::Error| error.position().map_or(0, csv::Position::line);
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let row = record.deserialize(Some(&headers));
                (line, row.map_err(|error| told(&error)))
            }
            Err(error) => (place(&error), Err(told(&error))),
        }
    };
    reader.records().map(row).collect()
}

/// What is wrong, without the place, which is told anyway.
fn told(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("it has {len} values: the first line has {expected_len}")
        }
        _ => error.to_string(),
    }
}

fn rows_of_ndjson(text: &str) -> Rows {
    let lines = (1..).zip(text.lines());
    let rows = lines.filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(at, line)| (at, serde_json::from_str(line).map_err(|error| error.to_string())))
        .collect()
}

fn rows_of_json(text: &str) -> Rows {
    match serde_json::from_str::<Vec<Row>>(text) {
        Ok(rows) => (1..).zip(rows.into_iter().map(Ok)).collect(),
        Err(error) => vec![(error.line() as u64, Err(error.to_string()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> anyhow::Result<Vec<ListEntry>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let given = Given {
            author: "ann",
            reason: Some("as told"),
            now_ms: 7,
        };
        read(&path, &given)
    }

    #[test]
    fn every_form_gives_the_same_entries() {
        let csv = "list,kind,entity,until,reason\n\
                   deny,user,u-1,2026-12-01T00:00:00Z,stolen\n\
                   watch,merchant,\"m, 2\",,\n";
        let ndjson = "{\"name\":\"deny\",\"kind\":\"user\",\"entity\":\"u-1\",\"until\":\"1796083200000\",\"reason\":\"stolen\"}\n\n\
                      {\"list\":\"watch\",\"kind\":\"merchant\",\"entity\":\"m, 2\"}\n";
        let entries = read_text("a.csv", csv).unwrap();
        assert_eq!(entries, read_text("a.ndjson", ndjson).unwrap());
        let rows: Vec<_> = entries.iter().map(Row::of).collect();
        let json = serde_json::to_string_pretty(&rows).unwrap();
        assert_eq!(entries, read_text("a.json", &json).unwrap());
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.to_string(), entry.until_ms, &*entry.reason))
            .collect();
        let expected = [
            ("list/deny/user/u-1".to_owned(), Some(1_796_083_200_000), "stolen"),
            ("list/watch/merchant/m, 2".to_owned(), None, "as told"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn each_wrong_line_is_told_with_what_would_be_right() {
        let csv = "list,kind,entity,until\n\
                   Deny,user,u-1,\n\
                   deny,card,u-1,\n\
                   deny,user,,\n\
                   deny,user,u-1,tomorrow\n\
                   deny,user,u-2\n\
                   deny,user,u-3,\n\
                   deny,user,u-3,5\n";
        let error = read_text("a.csv", csv).unwrap_err().to_string();
        let expected = [
            "a.csv:2: \"Deny\" is no name: a letter, then",
            "a.csv:3: kind \"card\" must be one of user, merchant, location",
            "a.csv:4: entity \"\" must be 1 to 64 bytes",
            "a.csv:5: until \"tomorrow\" must be a time as",
            "a.csv:6: it has 3 values: the first line has 4",
            "a.csv:8: the same entry as that of line 7",
        ];
        for (line, expected) in error.lines().zip(expected) {
            assert!(line.contains(expected), "{line}");
        }
        assert_eq!(error.lines().count(), expected.len(), "{error}");
        let header = read_text("a.csv", "user\nu-1\n").unwrap_err().to_string();
        assert!(
            header.contains("a.csv:1: the first line must name the columns: list"),
            "{header}"
        );
        let other = read_text("a.ndjson", "{\"list\":\"deny\",\"kind\":\"user\",\"id\":\"u\"}\n");
        let other = other.unwrap_err().to_string();
        assert!(other.contains("a.ndjson:1: unknown field `id`"), "{other}");
        let name = read_text("a.txt", csv).unwrap_err().to_string();
        assert!(name.contains("must end in .csv, .ndjson or .json"), "{name}");
        let many = format!("list,kind,entity,until\n{}", "D,user,u,\n".repeat(30));
        let many = read_text("a.csv", &many).unwrap_err().to_string();
        assert!(
            many.lines().count() == 21 && many.ends_with("and 10 more"),
            "{many}"
        );
    }
}
