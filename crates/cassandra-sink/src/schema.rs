//! Makes the keyspace and the tables that are missing, and refuses those that are other than
//! expected: what is there is never altered.

use anyhow::Context as _;
use millrace_settings::CassandraSink;
use scylla::client::session::Session;
use thiserror::Error;

use crate::table::{Column, Role, Table};
use crate::tables;

/// Why the tables cannot be written to.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// One is there, and is another than expected.
    #[error(
        "{keyspace}.{table} is another table than is expected: {differences}. Nothing was changed. Set \
         cassandra_sink.keyspace to another name; or, if nobody needs it, DROP TABLE {keyspace}.{table}: the sink makes it \
         anew at its next start"
    )]
    Differs {
        /// The keyspace.
        keyspace: String,
        /// The table.
        table: &'static str,
        /// What is other than it should be.
        differences: String,
    },
    /// The cluster does not answer, or does not allow it.
    #[error(transparent)]
    Cluster(#[from] anyhow::Error),
}

/// Makes what is missing, and looks at what is there.
///
/// # Errors
/// See [`SchemaError`].
pub async fn set_up(session: &Session, settings: &CassandraSink) -> Result<(), SchemaError> {
    let keyspace = &settings.keyspace;
    if !has_keyspace(session, keyspace).await? {
        let made = session.query_unpaged(create_keyspace(settings), ()).await;
        made.with_context(|| format!("making the keyspace {keyspace}"))?;
        tracing::info!(keyspace, "the keyspace is made");
    }
    for table in tables::all() {
        let mut found = columns(session, keyspace, table).await?;
        if found.is_empty() {
            let made = session
                .query_unpaged(table.create(keyspace, settings.keep_days), ())
                .await;
            made.with_context(|| format!("making the table {keyspace}.{}", table.name))?;
            tracing::info!(keyspace, table = table.name, "the table is made");
            // Another process may have made it just before.
            found = columns(session, keyspace, table).await?;
        }
        let differences = differences(table, &found);
        if !differences.is_empty() {
            return Err(SchemaError::Differs {
                keyspace: keyspace.clone(),
                table: table.name,
                differences: differences.join("; "),
            });
        }
    }
    Ok(())
}

fn create_keyspace(settings: &CassandraSink) -> String {
    let (keyspace, factor) = (&settings.keyspace, settings.replication_factor);
    let replication = match &settings.local_datacenter {
        Some(datacenter) => {
            let datacenter = datacenter.replace('\'', "''");
            format!("'class': 'NetworkTopologyStrategy', '{datacenter}': {factor}")
        }
        None => format!("'class': 'SimpleStrategy', 'replication_factor': {factor}"),
    };
    format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{{replication}}}")
}

/// A column as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    name: String,
    kind: String,
    role: String,
    position: i32,
    order: String,
}

async fn has_keyspace(session: &Session, keyspace: &str) -> anyhow::Result<bool> {
    const QUERY: &str = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let answer = session.query_unpaged(QUERY, (keyspace,)).await;
    let rows = answer.context("looking for the keyspace")?.into_rows_result()?;
    Ok(rows.rows_num() > 0)
}

/// The columns of a table; none where it is not there.
async fn columns(session: &Session, keyspace: &str, table: &Table) -> anyhow::Result<Vec<Found>> {
    const QUERY: &str = "SELECT column_name, type, kind, position, clustering_order \
                         FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
    let answer = session.query_unpaged(QUERY, (keyspace, table.name)).await;
    let rows = answer.context("looking at the tables")?.into_rows_result()?;
    let columns = rows.rows::<(String, String, String, i32, String)>()?;
    columns
        .map(|column| {
            let (name, kind, role, position, order) = column?;
            Ok(Found {
                name,
                kind,
                role,
                position,
                order,
            })
        })
        .collect()
}

/// What keeps rows from being written as expected. Columns of others, that are no keys, do not.
fn differences(table: &Table, found: &[Found]) -> Vec<String> {
    let mut differences = Vec::new();
    for (column, wanted) in expected(table) {
        let Some(found) = found.iter().find(|found| found.name == column.name) else {
            differences.push(format!("it has no column {}", column.name));
            continue;
        };
        if *found != wanted {
            differences.push(format!(
                "{} is {}, where {} is expected",
                column.name,
                described(found),
                described(&wanted)
            ));
        }
    }
    let others = found.iter().filter(|found| {
        let is_ours = table.columns.iter().any(|column| column.name == found.name);
        !is_ours && found.role != "regular"
    });
    differences.extend(others.map(|found| format!("it has {}, {}", found.name, described(found))));
    differences
}

/// The columns as the server should have them.
fn expected(table: &Table) -> impl Iterator<Item = (&Column, Found)> {
    let (mut partition, mut clustering) = (0.., 0..);
    table.columns.iter().map(move |column| {
        let (role, position, order) = match column.role {
            Role::Partition => ("partition_key", partition.next().unwrap_or_default(), "none"),
            Role::Ascending => ("clustering", clustering.next().unwrap_or_default(), "asc"),
            Role::Descending => ("clustering", clustering.next().unwrap_or_default(), "desc"),
            Role::Value => ("regular", -1, "none"),
        };
        let found = Found {
            name: column.name.to_owned(),
            kind: column.kind.to_owned(),
            role: role.to_owned(),
            position,
            order: order.to_owned(),
        };
        (column, found)
    })
}

fn described(found: &Found) -> String {
    let Found {
        kind,
        role,
        position,
        order,
        ..
    } = found;
    let role = role.replace('_', " ");
    match order.as_str() {
        "none" if *position < 0 => format!("{role} {kind}"),
        "none" => format!("{role} {} {kind}", position + 1),
        order => format!("{role} {} {kind} {order}", position + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::aggregates::BY_MERCHANT;

    fn as_expected() -> Vec<Found> {
        expected(&BY_MERCHANT).map(|(_, found)| found).collect()
    }

    #[test]
    fn the_table_as_it_is_made_and_with_columns_of_others_is_taken() {
        let mut found = as_expected();
        assert_eq!(differences(&BY_MERCHANT, &found), Vec::<String>::new());
        found.push(Found {
            name: "note".to_owned(),
            kind: "text".to_owned(),
            role: "regular".to_owned(),
            position: -1,
            order: "none".to_owned(),
        });
        assert_eq!(differences(&BY_MERCHANT, &found), Vec::<String>::new());
    }

    #[test]
    fn another_table_is_told_column_by_column() {
        let mut found = as_expected();
        found.retain(|column| column.name != "revision");
        found[3].order = "asc".to_owned();
        found[5].kind = "int".to_owned();
        found.push(Found {
            name: "region".to_owned(),
            kind: "text".to_owned(),
            role: "clustering".to_owned(),
            position: 2,
            order: "asc".to_owned(),
        });
        assert_eq!(
            differences(&BY_MERCHANT, &found),
            [
                "window_start is clustering 2 timestamp asc, where clustering 2 timestamp desc is expected",
                "purchase_count is regular int, where regular bigint is expected",
                "it has no column revision",
                "it has region, clustering 3 text asc",
            ]
        );
    }

    #[test]
    fn replicas_are_of_the_data_centre_that_is_named() {
        let mut settings = CassandraSink {
            replication_factor: 3,
            ..CassandraSink::default()
        };
        assert_eq!(
            create_keyspace(&settings),
            "CREATE KEYSPACE IF NOT EXISTS millrace WITH replication = \
             {'class': 'SimpleStrategy', 'replication_factor': 3}"
        );
        settings.local_datacenter = Some("dc1".to_owned());
        assert!(create_keyspace(&settings).ends_with("{'class': 'NetworkTopologyStrategy', 'dc1': 3}"));
    }
}
