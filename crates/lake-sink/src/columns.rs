//! Rows turned into columns, and these into a row group.

use std::io::Write;

use bytes::Bytes;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type,
};
use parquet::file::writer::SerializedRowGroupWriter;

use crate::cells::CellReader;
use crate::kind::{Column, Kind};
use crate::table::Table;

/// Texts that are handed to Parquet at once, each of which is a pointer and a count then.
const TEXTS_AT_ONCE: usize = 4_096;

/// Texts one after the other.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }
}

/// The values of one leaf of the schema.
enum Values {
    Texts(Texts),
    Longs(Vec<i64>),
    Numbers(Vec<i32>),
    Doubles(Vec<f64>),
    Flags(Vec<bool>),
    Sums(Vec<FixedLenByteArray>),
}

/// A leaf, with its levels where a row may have none or many.
struct Leaf {
    values: Values,
    levels: Option<Levels>,
}

#[derive(Default)]
struct Levels {
    definition: Vec<i16>,
    /// Within lists alone.
    repetition: Option<Vec<i16>>,
}

/// Where in a row a value is, in the levels of Dremel (Melnik et al., 2010).
#[derive(Clone, Copy, Default)]
struct At {
    definition: i16,
    repetition: i16,
    /// Lists around it.
    lists: i16,
}

/// Columns under construction.
pub(crate) struct Columns<'t> {
    columns: Vec<Part<'t>>,
    leaves: Vec<Leaf>,
}

/// A column's leaves.
enum Part<'t> {
    /// One, of which each row has a value.
    Plain,
    /// Any number, each row with none or many values.
    Levelled(&'t Kind, usize),
}

impl<'t> Columns<'t> {
    /// Those of a table, without a row.
    pub(crate) fn new(table: &'t Table) -> Self {
        let (mut columns, mut leaves) = (Vec::new(), Vec::new());
        for Column { kind, .. } in &table.columns {
            let first = leaves.len();
            add_leaves(kind, None, &mut leaves);
            columns.push(match &leaves[first..] {
                [Leaf { levels: None, .. }] => Part::Plain,
                own => Part::Levelled(kind, own.len()),
            });
        }
        Self { columns, leaves }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, cells: &mut CellReader<'_>) -> anyhow::Result<()> {
        let mut leaves = self.leaves.iter_mut();
        for part in &self.columns {
            match part {
                Part::Plain => {
                    let Some(leaf) = leaves.next() else {
                        anyhow::bail!("a table has fewer leaves than columns");
                    };
                    leaf.values.push(cells)?;
                }
                Part::Levelled(kind, count) => {
                    let (own, others) = leaves.into_slice().split_at_mut(*count);
                    put(kind, own, cells, At::default())?;
                    leaves = others.iter_mut();
                }
            }
        }
        Ok(())
    }

    /// Writes them.
    pub(crate) fn write<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> anyhow::Result<()> {
        for Leaf { values, levels } in self.leaves {
            let Some(mut column) = group.next_column()? else {
                anyhow::bail!("a table has more leaves than its schema");
            };
            let levels = levels.as_ref();
            match values {
                Values::Texts(texts) => write_texts(column.typed(), texts, levels)?,
                Values::Longs(values) => write::<Int64Type>(column.typed(), &values, levels)?,
                Values::Numbers(values) => write::<Int32Type>(column.typed(), &values, levels)?,
                Values::Doubles(values) => write::<DoubleType>(column.typed(), &values, levels)?,
                Values::Flags(values) => write::<BoolType>(column.typed(), &values, levels)?,
                Values::Sums(values) => write::<FixedLenByteArrayType>(column.typed(), &values, levels)?,
            }
            column.close()?;
        }
        Ok(())
    }
}

/// Puts what the cells have of a kind into its leaves.
fn put(kind: &Kind, leaves: &mut [Leaf], cells: &mut CellReader<'_>, at: At) -> anyhow::Result<()> {
    match kind {
        Kind::Maybe(inner) => {
            if cells.flag()? {
                let definition = at.definition + 1;
                return put(inner, leaves, cells, At { definition, ..at });
            }
            nothing(leaves, at);
        }
        Kind::List(inner) => {
            return elements(leaves, cells, at, |leaves, cells, at| {
                put(inner, leaves, cells, at)
            });
        }
        Kind::Map(inner) => {
            return elements(leaves, cells, at, |leaves, cells, at| {
                let (key, values) = leaves.split_at_mut(1);
                put(&Kind::Text, key, cells, at)?;
                put(inner, values, cells, at)
            });
        }
        Kind::Record(columns) => {
            let mut rest = leaves;
            for Column { kind, .. } in columns {
                let (own, others) = rest.split_at_mut(kind.leaves());
                put(kind, own, cells, at)?;
                rest = others;
            }
        }
        _ => {
            for leaf in leaves {
                leaf.note(at);
                leaf.values.push(cells)?;
            }
        }
    }
    Ok(())
}

fn elements<'c>(
    leaves: &mut [Leaf],
    cells: &mut CellReader<'c>,
    at: At,
    put: impl Fn(&mut [Leaf], &mut CellReader<'c>, At) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let length = cells.length()?;
    if length == 0 {
        nothing(leaves, at);
    }
    let lists = at.lists + 1;
    for element in 0..length {
        let inner = At {
            definition: at.definition + 1,
            repetition: if element == 0 { at.repetition } else { lists },
            lists,
        };
        put(leaves, cells, inner)?;
    }
    Ok(())
}

/// Notes that there is no value.
fn nothing(leaves: &mut [Leaf], at: At) {
    for leaf in leaves {
        leaf.note(at);
    }
}

impl Leaf {
    fn note(&mut self, at: At) {
        if let Some(levels) = &mut self.levels {
            levels.definition.push(at.definition);
            if let Some(repetition) = &mut levels.repetition {
                repetition.push(at.repetition);
            }
        }
    }
}

impl Values {
    fn push(&mut self, cells: &mut CellReader<'_>) -> anyhow::Result<()> {
        match self {
            Self::Texts(texts) => texts.push(cells.text()?),
            Self::Longs(values) => values.push(cells.long()?),
            Self::Numbers(values) => values.push(cells.number()?),
            Self::Doubles(values) => values.push(cells.double()?),
            Self::Flags(values) => values.push(cells.flag()?),
            Self::Sums(values) => values.push(cells.sum()?.to_be_bytes().to_vec().into()),
        }
        Ok(())
    }
}

/// Adds the leaves of a kind; `is_repeated` is whether they are within a list, of what is within
/// something that has levels.
fn add_leaves(kind: &Kind, is_repeated: Option<bool>, leaves: &mut Vec<Leaf>) {
    let values = match kind {
        Kind::Id | Kind::Text | Kind::Symbol(_) => Values::Texts(Texts::default()),
        Kind::Time | Kind::Money(_) | Kind::Count | Kind::Rising => Values::Longs(Vec::new()),
        Kind::Number => Values::Numbers(Vec::new()),
        Kind::Double => Values::Doubles(Vec::new()),
        Kind::Flag => Values::Flags(Vec::new()),
        Kind::Sum => Values::Sums(Vec::new()),
        Kind::Maybe(inner) => return add_leaves(inner, is_repeated.or(Some(false)), leaves),
        Kind::List(inner) => return add_leaves(inner, Some(true), leaves),
        Kind::Map(inner) => {
            add_leaves(&Kind::Text, Some(true), leaves);
            return add_leaves(inner, Some(true), leaves);
        }
        Kind::Record(columns) => {
            for column in columns {
                add_leaves(&column.kind, is_repeated, leaves);
            }
            return;
        }
    };
    leaves.push(Leaf {
        values,
        levels: is_repeated.map(|is_repeated| Levels {
            definition: Vec::new(),
            repetition: is_repeated.then(Vec::new),
        }),
    });
}

fn write<T: DataType>(
    column: &mut ColumnWriterImpl<'_, T>,
    values: &[T::T],
    levels: Option<&Levels>,
) -> anyhow::Result<()> {
    let definition = levels.map(|levels| levels.definition.as_slice());
    let repetition = levels.and_then(|levels| levels.repetition.as_deref());
    column.write_batch(values, definition, repetition)?;
    Ok(())
}

fn write_texts(
    column: &mut ColumnWriterImpl<'_, ByteArrayType>,
    texts: Texts,
    levels: Option<&Levels>,
) -> anyhow::Result<()> {
    let (bytes, mut start) = (Bytes::from(texts.bytes), 0);
    let mut array = |end: &usize| {
        let text = bytes.slice(start..*end);
        start = *end;
        ByteArray::from(text)
    };
    if levels.is_some() {
        let values: Vec<ByteArray> = texts.ends.iter().map(array).collect();
        return write::<ByteArrayType>(column, &values, levels);
    }
    let mut values = Vec::with_capacity(TEXTS_AT_ONCE);
    for ends in texts.ends.chunks(TEXTS_AT_ONCE) {
        values.clear();
        values.extend(ends.iter().map(&mut array));
        write::<ByteArrayType>(column, &values, None)?;
    }
    Ok(())
}
