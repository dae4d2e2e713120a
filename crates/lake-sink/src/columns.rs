//! Rows turned into columns, and these into a row group.

use std::io::Write;

use bytes::Bytes;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type,
};
use parquet::file::writer::SerializedRowGroupWriter;

use crate::table::{CellReader, Kind, Table};

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
    /// Of lists alone.
    repetition: Option<Vec<i16>>,
}

/// Columns under construction.
pub(crate) struct Columns {
    kinds: Vec<Kind>,
    leaves: Vec<Leaf>,
}

impl Columns {
    /// Those of a table, without a row.
    pub(crate) fn new(table: &Table) -> Self {
        let kinds: Vec<Kind> = table.all_columns().map(|column| column.kind).collect();
        Self {
            leaves: kinds.iter().flat_map(|kind| leaves(*kind)).collect(),
            kinds,
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, cells: &mut CellReader<'_>) -> anyhow::Result<()> {
        let mut leaves = self.leaves.iter_mut();
        for kind in &self.kinds {
            let Some(leaf) = leaves.next() else {
                anyhow::bail!("a table has fewer leaves than columns");
            };
            match (kind, leaf.levels.as_mut()) {
                (Kind::MaybeText, Some(levels)) => {
                    let is_there = cells.flag()?;
                    levels.definition.push(i16::from(is_there));
                    if is_there {
                        leaf.values.push(*kind, cells)?;
                    }
                }
                (Kind::Texts, Some(levels)) => {
                    let length = cells.length()?;
                    levels.list(length);
                    for _ in 0..length {
                        leaf.values.push(*kind, cells)?;
                    }
                }
                (Kind::Figures, Some(levels)) => {
                    let length = cells.length()?;
                    levels.list(length);
                    let Some(Leaf {
                        values,
                        levels: Some(levels),
                    }) = leaves.next()
                    else {
                        anyhow::bail!("a map has one leaf");
                    };
                    levels.list(length);
                    for _ in 0..length {
                        leaf.values.push(Kind::Text, cells)?;
                        values.push(Kind::Double, cells)?;
                    }
                }
                _ => leaf.values.push(*kind, cells)?,
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

impl Levels {
    /// Notes a list of so many elements.
    fn list(&mut self, length: usize) {
        let repetition = self.repetition.get_or_insert_default();
        if length == 0 {
            self.definition.push(0);
            repetition.push(0);
        }
        for at in 0..length {
            self.definition.push(1);
            repetition.push(i16::from(at > 0));
        }
    }
}

impl Values {
    fn push(&mut self, kind: Kind, cells: &mut CellReader<'_>) -> anyhow::Result<()> {
        match self {
            Self::Texts(texts) => texts.push(cells.text()?),
            Self::Longs(values) => values.push(cells.long()?),
            Self::Numbers(values) => values.push(cells.number()?),
            Self::Doubles(values) => values.push(cells.double()?),
            Self::Flags(values) => values.push(cells.flag()?),
            Self::Sums(values) => {
                debug_assert_eq!(kind, Kind::Sum);
                values.push(cells.sum()?.to_be_bytes().to_vec().into());
            }
        }
        Ok(())
    }
}

fn leaves(kind: Kind) -> Vec<Leaf> {
    let plain = |values| Leaf { values, levels: None };
    let levelled = |values| Leaf {
        values,
        levels: Some(Levels::default()),
    };
    let texts = || Values::Texts(Texts::default());
    match kind {
        Kind::Id | Kind::Text => vec![plain(texts())],
        Kind::MaybeText | Kind::Texts => vec![levelled(texts())],
        Kind::Time | Kind::Money | Kind::Count | Kind::Rising => vec![plain(Values::Longs(Vec::new()))],
        Kind::Number => vec![plain(Values::Numbers(Vec::new()))],
        Kind::Double => vec![plain(Values::Doubles(Vec::new()))],
        Kind::Flag => vec![plain(Values::Flags(Vec::new()))],
        Kind::Sum => vec![plain(Values::Sums(Vec::new()))],
        Kind::Figures => vec![levelled(texts()), levelled(Values::Doubles(Vec::new()))],
    }
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
