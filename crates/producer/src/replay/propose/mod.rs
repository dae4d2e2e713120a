//! A mapping proposed from a file's columns and first rows.

mod guess;
mod names;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use millrace_domain::{Currency, ShortId, TransactionId};

use super::number::Decimal;
use super::rows::FileFormat;
use super::value::truth;
use sample::{Column, Sample};

/// Proposes a mapping for a file, as the text of one, with what could not be decided as comments.
///
/// # Errors
/// The file cannot be read, or has no rows.
pub fn propose(path: &Path, format: Option<FileFormat>) -> anyhow::Result<String> {
    let format = format.map_or_else(|| FileFormat::of(path), Ok)?;
    let sample = Sample::read(path, format)?;
    let mut proposal = Proposal {
        sample: &sample,
        stem: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        taken: BTreeSet::new(),
        undecided: Vec::new(),
    };
    Ok(proposal.text(path))
}

/// From how many rows on a column that tells them apart may be their id.
const ROWS_OF_AN_ID: usize = 20;

struct Proposal<'a> {
    sample: &'a Sample,
    stem: String,
    /// Columns that have a field.
    taken: BTreeSet<&'a str>,
    undecided: Vec<String>,
}

/// A text as YAML takes it in braces.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'a> Proposal<'a> {
    fn text(&mut self, path: &Path) -> String {
        let mut entries: Vec<(&str, String)> = Vec::new();
        // Ids last: they may be made of the others.
        let order = names::fields().filter(|field| *field != "transactionId");
        for field in order.chain(["transactionId"]) {
            let entry = self.entry(field);
            entries.push((field, entry));
        }
        let mut text = format!(
            "# Proposed by `millrace map` from the {} first rows of {}: look it over before you use it.\n\
             # The form is explained in config/mappings/card-transactions.yml.\n",
            self.sample.rows,
            path.display()
        );
        let notes = self.sample.notes.iter().chain(&self.undecided);
        let notes: Vec<&String> = notes.collect();
        if !notes.is_empty() {
            text += "#\n# Not decided, or to be looked at:\n";
            for note in notes {
                let _ = writeln!(text, "# - {note}");
            }
        }
        let unused: Vec<&str> = self
            .sample
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| !self.taken.contains(name))
            .collect();
        if !unused.is_empty() {
            let _ = writeln!(text, "#\n# Columns that are not used: {}", unused.join(", "));
        }
        text.push('\n');
        if let Some(delimiter) = self.sample.delimiter {
            let delimiter = if delimiter == b'\t' {
                "tab".to_owned()
            } else {
                char::from(delimiter).to_string()
            };
            let _ = writeln!(text, "file: {{delimiter: {}}}", quoted(&delimiter));
        }
        for (field, entry) in entries {
            let _ = writeln!(text, "{field}: {{{entry}}}");
        }
        text
    }

    fn entry(&mut self, field: &'static str) -> String {
        match field {
            "transactionId" => self.transaction_id(),
            "transactionTime" => self.time(),
            "amount" => self.amount(),
            "userId" | "merchantId" => self.id(field),
            "currency" => self.currency(),
            "location" => self.location(),
            other => self.word(other),
        }
    }

    /// The column whose name suits a field best, among those whose values may be its.
    fn pick(&mut self, field: &str, fits: impl Fn(&Column) -> bool) -> Option<&'a Column> {
        let sample = self.sample;
        let best = sample
            .columns
            .iter()
            .rev()
            .filter(|column| !self.taken.contains(column.name.as_str()))
            .map(|column| (names::score(field, &column.name), column))
            .filter(|(score, column)| *score > 0 && column.texts().next().is_some() && fits(column))
            .max_by_key(|(score, _)| *score)?;
        self.taken.insert(&best.1.name);
        Some(best.1)
    }

    fn note(&mut self, note: impl Into<String>) {
        self.undecided.push(note.into());
    }

    fn time(&mut self) -> String {
        let column = self.pick("transactionTime", |column| guess::time(column).is_some());
        let Some((column, time)) = column.and_then(|column| Some((column, guess::time(column)?))) else {
            self.note(
                "transactionTime: no column has times of a form that is known here; give column and format",
            );
            return "column: \"?\"".to_owned();
        };
        let mut entry = format!("column: {}", quoted(&column.name));
        if let Some(format) = &time.format {
            let _ = write!(entry, ", format: {}", quoted(format));
        }
        if time.is_local {
            entry += ", zone: UTC";
            self.note(format!(
                "transactionTime: the times of {} name no zone; UTC is a guess",
                column.name
            ));
        }
        if let Some(or) = time.or {
            self.note(format!(
                "transactionTime: {} can be read as {or:?} as well",
                column.name
            ));
        }
        entry
    }

    fn amount(&mut self) -> String {
        let Some(column) = self.pick("amount", |column| !guess::marks(column).is_empty()) else {
            self.note("amount: no column has numbers and a name that suits; give one");
            return "column: \"?\"".to_owned();
        };
        let ways = guess::marks(column);
        let marks = ways[0];
        let mut entry = format!("column: {}", quoted(&column.name));
        if marks.decimal != '.' || marks.thousands.is_some() {
            let _ = write!(entry, ", decimal_mark: {:?}", marks.decimal.to_string());
        }
        if let Some(mark) = marks.thousands {
            let _ = write!(entry, ", thousands_mark: {:?}", mark.to_string());
        }
        let values: Vec<Decimal> = column
            .texts()
            .filter_map(|text| Decimal::parse(&text, marks))
            .collect();
        if values
            .iter()
            .any(|value| value.scaled(4).is_none_or(|(_, is_exact)| !is_exact))
        {
            entry += ", decimals: 2";
            self.note(format!(
                "amount: some of {} have more than four decimals; rounded to two",
                column.name
            ));
        }
        let refused = values.iter().filter(|value| value.to_f64() <= 0.0).count();
        if refused > 0 {
            self.note(format!(
                "amount: {refused} of {} in {} are 0 or below, and will be rejected: amounts are above 0, and \
                 transactionType says purchase or refund",
                values.len(),
                column.name
            ));
        }
        let other = ways.iter().skip(1).find(|way| way.decimal != marks.decimal);
        if other.is_some() && column.texts().any(|text| text.contains(['.', ','])) {
            self.note(format!(
                "amount: {} can be read with another decimal mark as well",
                column.name
            ));
        }
        entry
    }

    fn id(&mut self, field: &'static str) -> String {
        let Some(column) = self.pick(field, |_| true) else {
            self.note(format!("{field}: no column has a name that suits; give one"));
            return "column: \"?\"".to_owned();
        };
        let long = column
            .texts()
            .filter(|text| ShortId::new(text, field).is_err())
            .count();
        if long > 0 {
            self.note(format!(
                "{field}: {long} of {} in {} are longer than {} bytes, and will be rejected",
                self.sample.rows,
                column.name,
                ShortId::MAX_LEN
            ));
        }
        if !column.is_filled() {
            self.note(format!(
                "{field}: {} is empty in some rows, which will be rejected",
                column.name
            ));
        }
        format!("column: {}", quoted(&column.name))
    }

    fn transaction_id(&mut self) -> String {
        let named = self.pick("transactionId", Column::tells_rows_apart);
        if let Some(column) = named.or_else(|| self.pick_by_values()) {
            if column
                .texts()
                .all(|text| TransactionId::parse(text.as_bytes()).is_ok())
            {
                return format!("column: {}", quoted(&column.name));
            }
            if !column.name.contains(['{', '}']) {
                return format!("uuid5: {}", quoted(&format!("{}/{{{}}}", self.stem, column.name)));
            }
        }
        self.note(
            "transactionId: no column tells rows apart, so the id is made of all that are used: rows that are alike in \
             these count once",
        );
        let used = self.taken.iter().filter(|name| !name.contains(['{', '}']));
        let pieces: Vec<String> = used.map(|name| format!("{{{name}}}")).collect();
        format!(
            "uuid5: {}, default: none",
            quoted(&format!("{}/{}", self.stem, pieces.join("/")))
        )
    }

    /// A column that nobody would know for an id by its name, and whose values are one.
    fn pick_by_values(&mut self) -> Option<&'a Column> {
        let sample = self.sample;
        // Of a few rows anything tells them apart.
        if sample.rows < ROWS_OF_AN_ID {
            return None;
        }
        let column = sample.columns.iter().find(|column| {
            !self.taken.contains(column.name.as_str())
                && column.tells_rows_apart()
                && guess::time(column).is_none()
                && !guess::is_quantity(column)
        })?;
        self.taken.insert(&column.name);
        self.note(format!(
            "transactionId: no column has a name that suits; {} tells the first {} rows apart, but does it in all of them?",
            column.name, sample.rows
        ));
        Some(column)
    }

    fn currency(&mut self) -> String {
        let fits = |column: &Column| {
            column
                .texts()
                .all(|text| Currency::parse(text.as_bytes()).is_ok())
        };
        match self.pick("currency", fits) {
            Some(column) if column.is_filled() => format!("column: {}", quoted(&column.name)),
            Some(column) => {
                self.note(format!(
                    "currency: {} is empty in some rows; EUR is a guess",
                    column.name
                ));
                format!("column: {}, default: EUR", quoted(&column.name))
            }
            None => {
                self.note("currency: no column has it; EUR is a guess");
                "constant: EUR".to_owned()
            }
        }
    }

    fn location(&mut self) -> String {
        let fits = |column: &Column| column.texts().all(|text| ShortId::new(&text, "location").is_ok());
        match self.pick("location", fits) {
            Some(column) => format!("column: {}, default: Unknown", quoted(&column.name)),
            None => {
                self.note(
                    "location: no column has a city that fits; without one, impossible travel is not found",
                );
                "constant: Unknown".to_owned()
            }
        }
    }

    /// A field with few values.
    fn word(&mut self, field: &'static str) -> String {
        let usual = match field {
            "transactionType" => "purchase",
            "paymentMethod" => "credit_card",
            _ => "false",
        };
        let Some(column) = self.pick(field, |column| guess::few(column).is_some()) else {
            self.note(format!("{field}: no column has it; {usual} is a guess"));
            return format!("constant: {usual}");
        };
        let values = guess::few(column).unwrap_or_default();
        let (known, unknown) = guess::words(field, &values);
        if !unknown.is_empty() {
            self.note(format!(
                "{field}: {} has {}, whose meaning is not known here: give values for them; {usual} for all is a guess",
                column.name,
                unknown.join(", ")
            ));
            self.taken.remove(column.name.as_str());
            return format!("constant: {usual}");
        }
        let mut entry = format!("column: {}", quoted(&column.name));
        let other: Vec<String> = known
            .iter()
            .filter(|(theirs, ours)| theirs != ours && !(field == "isInternational" && truth(theirs).is_ok()))
            .map(|(theirs, ours)| format!("{}: {ours}", quoted(theirs)))
            .collect();
        if !other.is_empty() {
            let _ = write!(entry, ", values: {{{}}}", other.join(", "));
        }
        if !column.is_filled() {
            let _ = write!(entry, ", default: {usual}");
            self.note(format!(
                "{field}: {} is empty in some rows; {usual} is a guess",
                column.name
            ));
        }
        entry
    }
}
