//! A table: its columns, and what a record is in it.

use std::fmt::Write as _;

use millrace_catalog::{Service, TableSpec};
use millrace_contract::DecodeError;
use millrace_contract::wire::Cursor;
use millrace_registry::RegistryError;
use millrace_sink::Record;

use crate::avro::{self, snake_case};
use crate::cells::Cells;
use crate::kind::{Column, Kind, MoneyForm};
use crate::name::Day;

/// A table, which is made of one topic.
#[derive(Debug)]
pub struct Table {
    /// Its name: its folder in the lake, and a label of metrics.
    pub name: &'static str,
    /// The topic, before any prefix.
    pub topic: &'static str,
    /// What the catalog says of it.
    pub(crate) spec: &'static TableSpec,
    /// The service of the topic's stream, where it is one that can be left out.
    pub(crate) service: Option<Service>,
    /// Its columns, in the order of a row's cells; at their end where its record was.
    pub(crate) columns: Vec<Column>,
    /// Columns that are fields of the record.
    own: usize,
    /// The place of the column whose day is a row's.
    day: usize,
}

/// The columns that every table has at its end: where its record was.
fn place() -> [Column; 2] {
    [("kafka_partition", Kind::Number), ("kafka_offset", Kind::Rising)].map(|(name, kind)| Column {
        name: name.to_owned(),
        kind,
    })
}

impl Table {
    /// The table that the catalog describes, of a topic.
    ///
    /// # Errors
    /// What is wrong with the schema, or with what is said of it.
    pub(crate) fn of(
        topic: &'static str,
        service: Option<Service>,
        spec: &'static TableSpec,
    ) -> Result<Self, String> {
        let mut columns = avro::columns(spec.records.schema)?;
        let doubles = spec.records.money.iter().filter(|(_, money)| money.is_some());
        let doubles = doubles.map(|(name, _)| (*name, MoneyForm::Double));
        let decimals = spec.money.iter().map(|name| (*name, MoneyForm::Decimal));
        for (field, form) in doubles.chain(decimals) {
            let column = find(&columns, field)?;
            let kind = &mut columns[column].kind;
            *kind = match (&*kind, form) {
                (Kind::Double, MoneyForm::Double) | (Kind::Sum, MoneyForm::Decimal) => Kind::Money(form),
                (Kind::Maybe(inner), MoneyForm::Double) if **inner == Kind::Double => {
                    Kind::Money(form).maybe()
                }
                (other, _) => return Err(format!("{field} is no money: {other:?}")),
            };
        }
        let day = find(&columns, spec.day)?;
        if columns[day].kind != Kind::Time {
            return Err(format!("{} is no time", spec.day));
        }
        let own = columns.len();
        columns.extend(place());
        Ok(Self {
            name: spec.name,
            topic,
            spec,
            service,
            columns,
            own,
            day,
        })
    }

    /// The columns that are fields of the record.
    pub(crate) fn fields(&self) -> &[Column] {
        &self.columns[..self.own]
    }

    /// The columns of money, whose sums are compared with the topic's.
    pub(crate) fn sums(&self) -> impl Iterator<Item = &str> {
        let money = self.columns.iter().filter(|column| column.kind.is_money());
        money.map(|column| column.name.as_str())
    }

    /// Its schema in the language of Parquet's message types.
    pub(crate) fn schema(&self) -> String {
        let mut text = format!("message {} {{\n", self.name);
        for Column { name, kind } in &self.columns {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}", kind.field(name));
        }
        text.push('}');
        text
    }

    /// Puts the cells of a record, by its Avro body.
    ///
    /// # Errors
    /// The body is none of the table's schema, or has what no column takes.
    pub(crate) fn row(&self, body: &[u8], cells: &mut Cells) -> Result<Row, DecodeError> {
        let mut body = Cursor::new(body);
        let mut day = None;
        for (at, column) in self.fields().iter().enumerate() {
            if at == self.day {
                let mut ahead = body;
                day = Some(ahead.long("the time")?);
            }
            column.kind.copy(&mut body, cells)?;
        }
        body.end()?;
        Ok(day.map_or(Row::NO_DAY, Row::of_ms))
    }
}

/// The place of a field's column.
fn find(columns: &[Column], field: &str) -> Result<usize, String> {
    let name = snake_case(field);
    let found = columns.iter().position(|column| column.name == name);
    found.ok_or_else(|| format!("the schema has no {field}"))
}

/// What a record is in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A row of this day, whose cells were put.
    Of(Day),
    /// None: another service dead-letters such records.
    Skip {
        /// The bounded name of the reason.
        code: &'static str,
    },
}

impl Row {
    const NO_DAY: Self = Self::Skip {
        code: "time_out_of_range",
    };

    /// A row of the day of this time.
    pub(crate) fn of_ms(time_ms: i64) -> Self {
        Day::of_ms(time_ms).map_or(Self::NO_DAY, Self::Of)
    }
}

/// Reads the records of a table's topic.
pub(crate) trait Rows: Send + Sync {
    /// Puts a record's cells, in the order of the columns.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema.
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError>;
}
