//! What is written, a line for each topic: its name, its tables, and what makes rows of it.

use std::fmt;

use millrace_catalog::clickstream::topic::PAGE_VIEWS;
use millrace_catalog::payments::topic::{AGGREGATES, ANOMALIES};
use millrace_catalog::{Service, rows_of};
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use crate::rows::{Open, open};
use crate::table::Table;
use crate::tables::{aggregates, anomalies, page_views};

/// What is written of one topic.
pub(crate) struct Line {
    /// The topic, before any prefix.
    pub(crate) topic: &'static str,
    /// A name for metrics, and for people.
    pub(crate) label: &'static str,
    /// Its tables: each of its records has a row in each.
    pub(crate) tables: &'static [&'static Table],
    /// What makes these rows.
    pub(crate) rows: Open,
}

/// Every line; the topics are read in this order.
pub(crate) const LINES: &[Line] = &[
    Line {
        topic: AGGREGATES,
        label: "aggregates",
        tables: &[&aggregates::BY_MERCHANT],
        rows: |schemas| open(schemas, aggregates::rows),
    },
    Line {
        topic: ANOMALIES,
        label: "anomalies",
        tables: &[&anomalies::BY_ENTITY, &anomalies::BY_DAY],
        rows: |schemas| open(schemas, anomalies::rows),
    },
    Line {
        topic: PAGE_VIEWS,
        label: "page_views",
        tables: &[&page_views::BY_PAGE],
        rows: |schemas| open(schemas, page_views::rows),
    },
];

/// One of the topics: a line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(usize);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Stream {
    /// Their labels.
    pub(crate) const LABELS: [&str; LINES.len()] = {
        let mut labels = [""; LINES.len()];
        let mut at = 0;
        while at < labels.len() {
            labels[at] = LINES[at].label;
            at += 1;
        }
        labels
    };

    /// Every stream.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..LINES.len()).map(Self)
    }

    /// Those that there are by the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Vec<Self> {
        let topics: Vec<_> = rows_of(Service::CassandraSink, settings.installation()).collect();
        let is_there = |stream: &Self| topics.contains(&stream.line().topic);
        Self::all().filter(is_there).collect()
    }

    /// Its number among all.
    pub(crate) const fn at(self) -> usize {
        self.0
    }

    /// Its line.
    pub(crate) const fn line(self) -> &'static Line {
        &LINES[self.0]
    }

    /// The topic's full name.
    #[must_use]
    pub fn topic(self, settings: &Settings) -> String {
        topic_name(&settings.kafka, self.line().topic)
    }

    /// A name for metrics, and for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.line().label
    }
}

#[cfg(test)]
mod tests {
    use millrace_catalog::Installation;

    use super::*;
    use crate::tables;

    #[test]
    fn the_catalogs_rows_are_the_lines() {
        let topics = LINES.iter().map(|line| line.topic);
        assert!(topics.eq(rows_of(Service::CassandraSink, Installation::ALL)));
        assert!(LINES.iter().all(|line| !line.tables.is_empty()));
    }

    #[test]
    fn no_label_and_no_table_is_there_twice() {
        let mut names: Vec<_> = Stream::LABELS.into_iter().collect();
        names.extend(tables::all().map(|table| table.name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn what_is_not_enabled_is_not_read() {
        let labels = |settings: &Settings| -> Vec<&'static str> {
            let streams = Stream::of(settings).into_iter();
            streams.map(Stream::label).collect()
        };
        let mut settings = Settings::default();
        assert_eq!(labels(&settings), ["aggregates", "anomalies"]);
        settings.clickstream.enabled = true;
        assert_eq!(labels(&settings), ["aggregates", "anomalies", "page_views"]);
    }
}
