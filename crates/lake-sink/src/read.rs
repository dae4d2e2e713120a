//! Reading files: single columns, and whole ones into one file.

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{DataType, FixedLenByteArrayType, Int64Type};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

use crate::file::{ROW_GROUP_ROWS, properties, schema};
use crate::table::{Kind, Table};

/// Records that are read at once.
const AT_ONCE: usize = 8_192;

/// The values of a column of integers or of money, of all row groups.
///
/// # Errors
/// It is no such file, or has no such column.
pub(crate) fn integers(table: &Table, bytes: &Bytes, column: &str) -> anyhow::Result<Vec<i128>> {
    let file = SerializedFileReader::new(bytes.clone())?;
    let leaves = file.metadata().file_metadata().schema_descr().columns();
    let leaf = leaves.iter().position(|leaf| leaf.path().string() == column);
    let kind = table.all_columns().find(|it| it.name == column).map(|it| it.kind);
    let (Some(leaf), Some(kind)) = (leaf, kind) else {
        anyhow::bail!("{} has no column {column}", table.name);
    };
    let mut found = Vec::new();
    for group in 0..file.num_row_groups() {
        let reader = file.get_row_group(group)?.get_column_reader(leaf)?;
        if kind == Kind::Sum {
            let values = all(get_typed_column_reader::<FixedLenByteArrayType>(reader))?;
            for value in values {
                let units: [u8; 16] = value.data().try_into()?;
                found.push(i128::from_be_bytes(units));
            }
        } else {
            let values = all(get_typed_column_reader::<Int64Type>(reader))?;
            found.extend(values.into_iter().map(i128::from));
        }
    }
    Ok(found)
}

fn all<T: DataType>(mut reader: ColumnReaderImpl<T>) -> anyhow::Result<Vec<T::T>> {
    let mut values = Vec::new();
    while reader.read_records(AT_ONCE, None, None, &mut values)?.0 > 0 {}
    Ok(values)
}

/// One file of the rows of several, in their order, with row groups as large as may be.
///
/// # Errors
/// One of them is none of the table's files.
pub(crate) fn merge(table: &Table, inputs: &[Bytes]) -> anyhow::Result<Vec<u8>> {
    let mut files = Vec::new();
    for bytes in inputs {
        files.push(SerializedFileReader::new(bytes.clone())?);
    }
    let schema = schema(table)?;
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties(table)?)?;
    let levels: Vec<(bool, bool)> = writer
        .schema_descr()
        .columns()
        .iter()
        .map(|leaf| (leaf.max_def_level() > 0, leaf.max_rep_level() > 0))
        .collect();
    for groups in packed(&files) {
        let mut output = writer.next_row_group()?;
        for (leaf, &levels) in levels.iter().enumerate() {
            let Some(mut column) = output.next_column()? else {
                anyhow::bail!("{} has fewer leaves than its schema", table.name);
            };
            for &(file, group) in &groups {
                let input = files[file].get_row_group(group)?.get_column_reader(leaf)?;
                copy_column(input, column.untyped(), levels)?;
            }
            column.close()?;
        }
        output.close()?;
    }
    Ok(writer.into_inner()?)
}

/// The row groups of files, by file and group, put together up to [`ROW_GROUP_ROWS`].
fn packed(files: &[SerializedFileReader<Bytes>]) -> Vec<Vec<(usize, usize)>> {
    let mut packs: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut room = 0;
    for (at, file) in files.iter().enumerate() {
        for (group, metadata) in file.metadata().row_groups().iter().enumerate() {
            let rows = usize::try_from(metadata.num_rows()).unwrap_or(usize::MAX);
            if rows > room || packs.is_empty() {
                packs.push(Vec::new());
                room = ROW_GROUP_ROWS;
            }
            room = room.saturating_sub(rows);
            if let Some(pack) = packs.last_mut() {
                pack.push((at, group));
            }
        }
    }
    packs
}

fn copy_column(
    input: ColumnReader,
    output: &mut ColumnWriter<'_>,
    levels: (bool, bool),
) -> anyhow::Result<()> {
    match (input, output) {
        (ColumnReader::BoolColumnReader(it), ColumnWriter::BoolColumnWriter(to)) => copy(it, to, levels),
        (ColumnReader::Int32ColumnReader(it), ColumnWriter::Int32ColumnWriter(to)) => copy(it, to, levels),
        (ColumnReader::Int64ColumnReader(it), ColumnWriter::Int64ColumnWriter(to)) => copy(it, to, levels),
        (ColumnReader::DoubleColumnReader(it), ColumnWriter::DoubleColumnWriter(to)) => copy(it, to, levels),
        (ColumnReader::ByteArrayColumnReader(it), ColumnWriter::ByteArrayColumnWriter(to)) => {
            copy(it, to, levels)
        }
        (
            ColumnReader::FixedLenByteArrayColumnReader(it),
            ColumnWriter::FixedLenByteArrayColumnWriter(to),
        ) => copy(it, to, levels),
        _ => anyhow::bail!("a column is of another type than the table's"),
    }
}

fn copy<T: DataType>(
    mut input: ColumnReaderImpl<T>,
    output: &mut ColumnWriterImpl<'_, T>,
    (has_definition, has_repetition): (bool, bool),
) -> anyhow::Result<()> {
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        definition.clear();
        repetition.clear();
        values.clear();
        let (records, ..) = input.read_records(
            AT_ONCE,
            has_definition.then_some(&mut definition),
            has_repetition.then_some(&mut repetition),
            &mut values,
        )?;
        if records == 0 {
            return Ok(());
        }
        output.write_batch(
            &values,
            has_definition.then_some(definition.as_slice()),
            has_repetition.then_some(repetition.as_slice()),
        )?;
    }
}
