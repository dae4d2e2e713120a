//! From an Avro schema to columns, and from a body of it to cells.

use std::collections::HashMap;

use millrace_contract::wire::Cursor;
use millrace_contract::{DecodeError, decimal};
use serde_json::Value as Json;

use crate::cells::Cells;
use crate::kind::{Column, Kind, MoneyForm};

/// Places of every decimal.
const SCALE: i64 = 4;

/// The largest sum of 38 digits.
const MAX_SUM: i128 = 10_i128.pow(38) - 1;

/// What errors call a field: the bodies that come here have been decoded by their contracts, whose
/// errors say more.
const FIELD: &str = "a field of the table";

/// The columns of a record's schema: a record in it gives its fields, in their place.
///
/// # Errors
/// What no column can be made of, by its field.
pub(crate) fn columns(schema: &str) -> Result<Vec<Column>, String> {
    let schema: Json = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    match kind(&schema, &mut HashMap::new())? {
        Kind::Record(columns) => Ok(flat(columns)),
        other => Err(format!("it is no record's schema: {other:?}")),
    }
}

fn flat(columns: Vec<Column>) -> Vec<Column> {
    let of = |column: Column| match column.kind {
        Kind::Record(inner) => flat(inner),
        _ => vec![column],
    };
    columns.into_iter().flat_map(of).collect()
}

/// The kind of a type; enums and records are known by their names from then on.
fn kind(schema: &Json, named: &mut HashMap<String, Kind>) -> Result<Kind, String> {
    match schema {
        Json::String(name) => Ok(match name.as_str() {
            "string" => Kind::Text,
            "long" => Kind::Count,
            "int" => Kind::Number,
            "double" => Kind::Double,
            "boolean" => Kind::Flag,
            name => {
                let known = named.get(simple(name)).cloned();
                known.ok_or_else(|| format!("no column holds {name}"))?
            }
        }),
        Json::Array(branches) => match &branches[..] {
            [null, inner] if null == "null" => Ok(kind(inner, named)?.maybe()),
            _ => Err(format!(
                "no column holds {schema}: of unions, null and one other alone"
            )),
        },
        Json::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
            let inner = |key: &str| object.get(key).unwrap_or(&Json::Null);
            let found = match (text("type"), text("logicalType")) {
                ("string", "uuid") => Kind::Id,
                ("long", "timestamp-millis") => Kind::Time,
                ("bytes", "decimal") if inner("scale") == SCALE => Kind::Sum,
                ("enum", _) => Kind::Symbol(symbols(inner("symbols"))),
                ("array", _) => Kind::List(Box::new(kind(inner("items"), named)?)),
                ("map", _) => Kind::Map(Box::new(kind(inner("values"), named)?)),
                ("record", _) => Kind::Record(fields(inner("fields"), named)?),
                (_, "") => kind(inner("type"), named)?,
                _ => return Err(format!("no column holds {schema}")),
            };
            if !text("name").is_empty() {
                named.insert(simple(text("name")).to_owned(), found.clone());
            }
            Ok(found)
        }
        _ => Err(format!("{schema} is no type")),
    }
}

/// A name without its namespace.
fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn symbols(symbols: &Json) -> Vec<String> {
    let texts = symbols.as_array().into_iter().flatten().filter_map(Json::as_str);
    texts.map(str::to_owned).collect()
}

fn fields(fields: &Json, named: &mut HashMap<String, Kind>) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for field in fields.as_array().into_iter().flatten() {
        let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
        let of_field = field.get("type").unwrap_or(&Json::Null);
        let kind = kind(of_field, named).map_err(|error| format!("{name}: {error}"))?;
        columns.push(Column {
            name: snake_case(name),
            kind,
        });
    }
    Ok(columns)
}

/// A field's name as a column's: `windowStart` is `window_start`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

impl Kind {
    /// Moves a value of this kind from an Avro body to a row's cells.
    ///
    /// # Errors
    /// The body has no such value, or the column takes none so large.
    pub(crate) fn copy(&self, body: &mut Cursor<'_>, cells: &mut Cells) -> Result<(), DecodeError> {
        match self {
            Self::Id | Self::Text => cells.text(body.bytes(FIELD)?),
            Self::Symbol(symbols) => {
                let index = body.long(FIELD)?;
                let symbol = usize::try_from(index).ok().and_then(|at| symbols.get(at));
                let symbol = symbol.ok_or(DecodeError::IndexOutOfRange {
                    field: FIELD,
                    index,
                    count: symbols.len(),
                })?;
                cells.text(symbol.as_bytes());
            }
            Self::Time | Self::Count | Self::Rising => cells.long(body.long(FIELD)?),
            Self::Money(MoneyForm::Double) => cells.long(money(body.double(FIELD)?)),
            Self::Money(MoneyForm::Decimal) => {
                let value = decimal::units(body, FIELD)?;
                let units = i64::try_from(value);
                cells.long(units.map_err(|_| DecodeError::OutOfRange { field: FIELD, value })?);
            }
            Self::Sum => cells.sum(sum(decimal::units(body, FIELD)?)?),
            Self::Number => cells.number(body.int(FIELD)?),
            Self::Double => cells.double(body.double(FIELD)?),
            Self::Flag => cells.flag(body.boolean(FIELD)?),
            Self::Maybe(inner) => {
                let is_there = body.one_of(FIELD, &[false, true])?;
                cells.flag(is_there);
                if is_there {
                    inner.copy(body, cells)?;
                }
            }
            Self::List(inner) => cells.list(|cells| items(body, |body| inner.copy(body, cells)))?,
            Self::Map(inner) => cells.list(|cells| {
                items(body, |body| {
                    cells.text(body.bytes(FIELD)?);
                    inner.copy(body, cells)
                })
            })?,
            Self::Record(columns) => {
                for column in columns {
                    column.kind.copy(body, cells)?;
                }
            }
        }
        Ok(())
    }
}

/// Copies the items of an array or a map; how many they are.
fn items(
    body: &mut Cursor<'_>,
    mut copy: impl FnMut(&mut Cursor<'_>) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let mut count = 0;
    body.blocks(FIELD, |body| {
        count += 1;
        copy(body)
    })?;
    Ok(count)
}

/// The units of 1/10,000 that a double of money means, which its contract has found to be one with
/// four decimals.
fn money(value: f64) -> i64 {
    (value * 10_f64.powi(SCALE as i32)).round() as i64
}

fn sum(units: i128) -> Result<i128, DecodeError> {
    if (-MAX_SUM..=MAX_SUM).contains(&units) {
        return Ok(units);
    }
    Err(DecodeError::Invalid {
        code: "sum_out_of_range",
        message: format!("{units} has more than 38 digits"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Kind) -> Column {
        Column {
            name: name.to_owned(),
            kind,
        }
    }

    #[test]
    fn a_schema_is_columns() {
        let schema = r#"{"type": "record", "name": "n.R", "fields": [
            {"name": "eventId", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "note", "type": ["null", {"type": "string"}]},
            {"name": "kind", "type": {"type": "enum", "name": "n.Kind", "symbols": ["a", "b"]}},
            {"name": "inner", "type": {"type": "record", "name": "I", "fields": [
                {"name": "maxTemp", "type": "double"},
                {"name": "kinds", "type": {"type": "array", "items": "n.Kind"}}]}},
            {"name": "parts", "type": {"type": "array", "items": {"type": "record", "name": "P", "fields": [
                {"name": "n", "type": "int"}]}}}
        ]}"#;
        let kinds = || Kind::Symbol(vec!["a".to_owned(), "b".to_owned()]);
        let part = Kind::Record(vec![column("n", Kind::Number)]);
        assert_eq!(
            columns(schema).unwrap(),
            [
                column("event_id", Kind::Id),
                column("note", Kind::Text.maybe()),
                column("kind", kinds()),
                column("max_temp", Kind::Double),
                column("kinds", Kind::List(Box::new(kinds()))),
                column("parts", Kind::List(Box::new(part))),
            ]
        );
    }

    #[test]
    fn what_no_column_holds_is_named_by_its_field() {
        for kind in [
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}"#,
            r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
            r#"["string", "long"]"#,
            r#""bytes""#,
        ] {
            let schema = format!(
                r#"{{"type": "record", "name": "R", "fields": [{{"name": "odd", "type": {kind}}}]}}"#
            );
            let error = columns(&schema).unwrap_err();
            assert!(error.starts_with("odd: "), "{error}");
        }
    }

    #[test]
    fn a_sum_has_38_digits() {
        assert_eq!(sum(-MAX_SUM), Ok(-MAX_SUM));
        assert_eq!(sum(MAX_SUM + 1).unwrap_err().code(), "sum_out_of_range");
    }
}
