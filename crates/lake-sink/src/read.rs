//! Reading files: single columns, and whole ones into one file.

use bytes::Bytes;
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::file::{ROW_GROUP_ROWS, properties, schema};
use crate::table::Table;

/// Records that are read at once.
const AT_ONCE: usize = 8_192;

/// The values of a column of integers or of money, of all row groups; 0 where a row has none.
///
/// # Errors
/// It is no such file, or has no such column.
pub(crate) fn integers(table: &Table, bytes: &Bytes, column: &str) -> anyhow::Result<Vec<i128>> {
    let file = SerializedFileReader::new(bytes.clone())?;
    let leaves = file.metadata().file_metadata().schema_descr().columns();
    let leaf = leaves.iter().position(|leaf| leaf.path().string() == column);
    let Some(leaf) = leaf else {
        anyhow::bail!("{} has no column {column}", table.name);
    };
    let most = leaves[leaf].max_def_level();
    let mut found = Vec::new();
    for group in 0..file.num_row_groups() {
        match file.get_row_group(group)?.get_column_reader(leaf)? {
            ColumnReader::Int64ColumnReader(reader) => {
                found.extend(all(reader, most)?.into_iter().map(|it| it.map_or(0, i128::from)));
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                for value in all(reader, most)? {
                    found.push(match value {
                        Some(value) => i128::from_be_bytes(value.data().try_into()?),
                        None => 0,
                    });
                }
            }
            _ => anyhow::bail!("{column} of {} is no integer", table.name),
        }
    }
    Ok(found)
}

/// The values of a column of rows that have one each, or none where its highest level is not 0.
fn all<T: DataType>(mut reader: ColumnReaderImpl<T>, most: i16) -> anyhow::Result<Vec<Option<T::T>>> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    loop {
        let of_values = (most > 0).then_some(&mut levels);
        if reader.read_records(AT_ONCE, of_values, None, &mut values)?.0 == 0 {
            break;
        }
    }
    let mut values = values.into_iter();
    Ok(match most {
        0 => values.map(Some).collect(),
        _ => levels
            .into_iter()
            .map(|level| if level == most { values.next() } else { None })
            .collect(),
    })
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
    let columns = leaves(writer.schema_descr());
    for file in &files {
        if leaves(file.metadata().file_metadata().schema_descr()) != columns {
            anyhow::bail!(
                "a file of {} has other columns than this release writes",
                table.name
            );
        }
    }
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

fn leaves(schema: &SchemaDescriptor) -> Vec<(String, Type)> {
    let leaf = |leaf: &ColumnDescPtr| (leaf.path().string(), leaf.physical_type());
    schema.columns().iter().map(leaf).collect()
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
