//! A table: its columns, and the statements that these make.

use std::fmt::Write as _;

/// What a column is to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of the partition's key.
    Partition,
    /// Rows of a partition are in its order.
    Ascending,
    /// Rows of a partition are in its order, the greatest first.
    Descending,
    /// None of these.
    Value,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type in CQL, as the server's own tables spell it.
    pub kind: &'static str,
    /// What it is to its row.
    pub role: Role,
}

/// A table: columns of the partition's key first, those of the order next.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The question it answers.
    pub about: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
}

/// The longest that a table's expired rows may lie beside others: about so many files a table are
/// dropped whole.
const COMPACTION_WINDOWS: u32 = 30;

impl Table {
    /// Makes it, where it is not there. Rows are kept for `keep_days`, 0 is for ever: those that go
    /// at one time lie in one file, which is dropped whole.
    #[must_use]
    pub fn create(&self, keyspace: &str, keep_days: u32) -> String {
        let mut text = format!("CREATE TABLE IF NOT EXISTS {keyspace}.{} (", self.name);
        for column in self.columns {
            // Writing to a string cannot fail.
            let _ = write!(text, "{} {}, ", column.name, column.kind);
        }
        let names = |is: fn(Role) -> bool| {
            let of = self.columns.iter().filter(move |column| is(column.role));
            of.map(|column| column.name).collect::<Vec<_>>()
        };
        let partition = names(|role| role == Role::Partition).join(", ");
        let order = names(|role| matches!(role, Role::Ascending | Role::Descending)).join(", ");
        let _ = write!(
            text,
            "PRIMARY KEY (({partition}), {order})) WITH CLUSTERING ORDER BY ("
        );
        let directions: Vec<String> = self.columns.iter().filter_map(Column::direction).collect();
        let about = self.about.replace('\'', "''");
        let _ = write!(text, "{}) AND comment = '{about}'", directions.join(", "));
        if keep_days > 0 {
            let days = keep_days.div_ceil(COMPACTION_WINDOWS);
            let _ = write!(
                text,
                " AND compaction = {{'class': 'TimeWindowCompactionStrategy', \
                 'compaction_window_unit': 'DAYS', 'compaction_window_size': '{days}'}}"
            );
        }
        text
    }

    /// Writes a row: its columns in their order, then the timestamp and the seconds it is kept, 0
    /// for ever.
    #[must_use]
    pub fn insert(&self, keyspace: &str) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let marks = vec!["?"; names.len()].join(", ");
        format!(
            "INSERT INTO {keyspace}.{} ({}) VALUES ({marks}) USING TIMESTAMP ? AND TTL ?",
            self.name,
            names.join(", ")
        )
    }

    /// Reads rows of one partition, with more conditions where there are some.
    #[must_use]
    pub fn select(&self, keyspace: &str, conditions: &[&str]) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let of_partition = self
            .columns
            .iter()
            .filter(|column| column.role == Role::Partition);
        let mut wanted: Vec<String> = of_partition
            .map(|column| format!("{} = ?", column.name))
            .collect();
        wanted.extend(conditions.iter().map(|&condition| condition.to_owned()));
        format!(
            "SELECT {} FROM {keyspace}.{} WHERE {}",
            names.join(", "),
            self.name,
            wanted.join(" AND ")
        )
    }
}

impl Column {
    fn direction(&self) -> Option<String> {
        match self.role {
            Role::Ascending => Some(format!("{} ASC", self.name)),
            Role::Descending => Some(format!("{} DESC", self.name)),
            Role::Partition | Role::Value => None,
        }
    }
}

/// A column of the partition's key.
pub(crate) const fn partition(name: &'static str, kind: &'static str) -> Column {
    Column {
        name,
        kind,
        role: Role::Partition,
    }
}

/// A column by which a partition's rows are ordered.
pub(crate) const fn ascending(name: &'static str, kind: &'static str) -> Column {
    Column {
        name,
        kind,
        role: Role::Ascending,
    }
}

/// A column by which a partition's rows are ordered, the greatest first.
pub(crate) const fn descending(name: &'static str, kind: &'static str) -> Column {
    Column {
        name,
        kind,
        role: Role::Descending,
    }
}

/// A column that is no key.
pub(crate) const fn value(name: &'static str, kind: &'static str) -> Column {
    Column {
        name,
        kind,
        role: Role::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        name: "views",
        about: "A page's views",
        columns: &[
            partition("page", "text"),
            partition("day", "date"),
            ascending("region", "text"),
            descending("start", "timestamp"),
            value("views", "bigint"),
        ],
    };

    #[test]
    fn statements_follow_the_columns() {
        assert_eq!(
            TABLE.create("k", 0),
            "CREATE TABLE IF NOT EXISTS k.views (page text, day date, region text, start timestamp, \
             views bigint, PRIMARY KEY ((page, day), region, start)) \
             WITH CLUSTERING ORDER BY (region ASC, start DESC) AND comment = 'A page''s views'"
        );
        assert!(
            TABLE.create("k", 90).ends_with(
                " AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', \
                 'compaction_window_size': '3'}"
            ),
            "{}",
            TABLE.create("k", 90)
        );
        assert_eq!(
            TABLE.insert("k"),
            "INSERT INTO k.views (page, day, region, start, views) VALUES (?, ?, ?, ?, ?) \
             USING TIMESTAMP ? AND TTL ?"
        );
        assert_eq!(
            TABLE.select("k", &["region = ?"]),
            "SELECT page, day, region, start, views FROM k.views WHERE page = ? AND day = ? AND region = ?"
        );
    }
}
