//! A table's rows as a Parquet file.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::cells::CellReader;
use crate::columns::Columns;
use crate::kind::Kind;
use crate::table::Table;

/// Rows of a row group, at most: a scan reads groups side by side, and leaves out those whose
/// statistics say so.
pub(crate) const ROW_GROUP_ROWS: usize = 250_000;

/// The fastest of zstd; what the next ones would save has not been measured.
const ZSTD_LEVEL: i32 = 1;

/// Parquet's schema of a table.
///
/// # Errors
/// The table's columns make none.
pub(crate) fn schema(table: &Table) -> anyhow::Result<TypePtr> {
    Ok(Arc::new(parse_message_type(&table.schema())?))
}

/// How a table's files are written.
///
/// # Errors
/// zstd has no such level.
pub(crate) fn properties(table: &Table) -> anyhow::Result<WriterPropertiesPtr> {
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("millrace {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    for column in &table.columns {
        let path = ColumnPath::from(column.name.as_str());
        properties = match column.kind {
            Kind::Id => properties.set_column_dictionary_enabled(path, false),
            Kind::Rising | Kind::Time => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            _ => properties,
        };
    }
    Ok(Arc::new(properties.build()))
}

/// The bytes of a file of rows, each with its offset and its cells.
///
/// # Errors
/// A row has not the table's cells.
pub(crate) fn encode(table: &Table, partition: i32, rows: &[(i64, &[u8])]) -> anyhow::Result<Vec<u8>> {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema(table)?, properties(table)?)?;
    let mut place = Vec::with_capacity(12);
    for rows in rows.chunks(ROW_GROUP_ROWS) {
        let mut columns = Columns::new(table);
        for &(offset, cells) in rows {
            place.clear();
            place.extend_from_slice(&partition.to_le_bytes());
            place.extend_from_slice(&offset.to_le_bytes());
            columns.push(&mut CellReader::new(cells, &place))?;
        }
        let mut group = writer.next_row_group()?;
        columns.write(&mut group)?;
        group.close()?;
    }
    Ok(writer.into_inner()?)
}
