//! What a column's values may be.

use std::collections::BTreeSet;

use super::super::number::{Decimal, Marks};
use super::super::rows::Cell;
use super::super::time::TimeReader;
use super::super::value::truth;
use super::sample::Column;

/// Patterns of times that files have, the plain ones first.
const PATTERNS: [&str; 15] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
];

/// How a column's times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// The mapping's `format`; none where the file says it, or it is ISO.
    pub(super) format: Option<String>,
    /// Whether times name no zone.
    pub(super) is_local: bool,
    /// Another format that the values are as well.
    pub(super) or: Option<String>,
}

/// How a column's times are written, if it has any.
pub(super) fn time(column: &Column) -> Option<Time> {
    let typed = |is_local| {
        Some(Time {
            format: None,
            is_local,
            or: None,
        })
    };
    match column.cells.iter().find(|cell| **cell != Cell::Empty)? {
        Cell::Instant(_) => return typed(false),
        Cell::Local(_) | Cell::Date(_) => return typed(true),
        Cell::Empty | Cell::Text(_) | Cell::Number(_) => {}
    }
    let texts: Vec<String> = column.texts().collect();
    let reads = |format: &str, zone: Option<&str>| {
        TimeReader::new(Some(format), zone, Some("earlier"))
            .is_ok_and(|reader| texts.iter().all(|text| reader.read_text(text).is_ok()))
    };
    if reads("iso", None) {
        return typed(false);
    }
    // A number of eight digits is a date to ISO, and no time that anybody means here.
    if texts.iter().any(|text| text.contains('-')) && reads("iso", Some("UTC")) {
        return typed(true);
    }
    if let Some(format) = epoch(&texts) {
        return Some(Time {
            format: Some(format.to_owned()),
            is_local: false,
            or: None,
        });
    }
    let mut fitting = PATTERNS.into_iter().filter(|pattern| reads(pattern, Some("UTC")));
    let format = fitting.next()?.to_owned();
    Some(Time {
        format: Some(format),
        is_local: true,
        or: fitting.next().map(str::to_owned),
    })
}

/// Numbers that are times of the years 2000 to 2100.
fn epoch(texts: &[String]) -> Option<&'static str> {
    let (from, to) = (946_684_800_i64, 4_102_444_800_i64);
    [
        (1, "epoch_s"),
        (1_000, "epoch_ms"),
        (1_000_000, "epoch_us"),
        (1_000_000_000, "epoch_ns"),
    ]
    .into_iter()
    .find(|(per_s, _)| {
        texts.iter().all(|text| {
            Decimal::parse(text, Marks::PLAIN)
                .and_then(|number| number.floor(0))
                .is_some_and(|number| (from * per_s..to * per_s).contains(&number))
        })
    })
    .map(|(_, format)| format)
}

/// Ways to write numbers, the usual first.
const MARKS: [(char, Option<char>); 8] = [
    ('.', None),
    (',', None),
    ('.', Some(',')),
    (',', Some('.')),
    (',', Some(' ')),
    ('.', Some(' ')),
    ('.', Some('\'')),
    (',', Some('\'')),
];

/// The ways in which every value of a column is a number.
pub(super) fn marks(column: &Column) -> Vec<Marks> {
    let texts: Vec<String> = column.texts().collect();
    if texts.is_empty() {
        return Vec::new();
    }
    MARKS
        .into_iter()
        .map(|(decimal, thousands)| Marks { decimal, thousands })
        .filter(|marks| texts.iter().all(|text| Decimal::parse(text, *marks).is_some()))
        .collect()
}

/// Whether a column's values are numbers with signs or marks, and so no ids.
pub(super) fn is_quantity(column: &Column) -> bool {
    let is_plain = |text: String| text.bytes().all(|byte| byte.is_ascii_digit());
    !marks(column).is_empty() && !column.texts().all(is_plain)
}

/// The different values of a column, if they are few.
pub(super) fn few(column: &Column) -> Option<BTreeSet<String>> {
    let mut values = BTreeSet::new();
    for text in column.texts() {
        values.insert(text);
        if values.len() > 12 {
            return None;
        }
    }
    (!values.is_empty()).then_some(values)
}

/// A field, and for each of its values the words that mean it.
type Words = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// Words that programs and banks use for the contract's values.
const WORDS: [Words; 3] = [
    (
        "transactionType",
        &[
            (
                "purchase",
                &[
                    "purchase", "payment", "sale", "debit", "buy", "pos", "d", "dr", "charge", "soll", "s",
                    "kauf",
                ],
            ),
            (
                "refund",
                &[
                    "refund",
                    "credit",
                    "return",
                    "reversal",
                    "chargeback",
                    "c",
                    "cr",
                    "haben",
                    "h",
                    "gutschrift",
                    "erstattung",
                ],
            ),
        ],
    ),
    (
        "paymentMethod",
        &[
            (
                "credit_card",
                &[
                    "credit_card",
                    "creditcard",
                    "card",
                    "credit card",
                    "debit card",
                    "debit_card",
                    "visa",
                    "mastercard",
                    "amex",
                    "kreditkarte",
                    "karte",
                ],
            ),
            ("paypal", &["paypal"]),
            (
                "bank_transfer",
                &[
                    "bank_transfer",
                    "bank transfer",
                    "transfer",
                    "sepa",
                    "wire",
                    "ach",
                    "überweisung",
                    "ueberweisung",
                    "lastschrift",
                ],
            ),
        ],
    ),
    (
        "isInternational",
        &[
            ("true", &["ja", "oui", "si", "sí", "j", "o", "s"]),
            ("false", &["nein", "non"]),
        ],
    ),
];

/// For each value of a column, the contract's value of `field` that it is a word for; those that
/// are none are given too.
pub(super) fn words(field: &str, values: &BTreeSet<String>) -> (Vec<(String, &'static str)>, Vec<String>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let table = WORDS
        .iter()
        .find(|(name, _)| *name == field)
        .map_or(&[][..], |(_, table)| table);
    for value in values {
        let lower = value.to_lowercase();
        let found = table.iter().find(|(_, words)| words.contains(&lower.as_str()));
        match found {
            Some((ours, _)) => known.push((value.clone(), *ours)),
            None if field == "isInternational" && truth(value).is_ok() => {}
            None => unknown.push(value.clone()),
        }
    }
    (known, unknown)
}
