//! What is indexed: a few topics, each into monthly indices of its own.

use std::fmt;

use millrace_catalog::{DocumentSpec, PIPELINES, payments, stream};
use millrace_domain::Transaction;
use millrace_kafka::topic_name;
use millrace_settings::Settings;

use crate::table::{Line, TABLE};

/// One of the topics, with its place in Elasticsearch: a line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(usize);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.index())
    }
}

impl Stream {
    /// `financial_transactions`.
    pub const TRANSACTIONS: Self = Self::of_documents(&payments::TRANSACTION_DOCUMENTS);
    /// `transaction_aggregates`.
    pub const AGGREGATES: Self = Self::of_documents(&payments::AGGREGATE_DOCUMENTS);
    /// `transaction_anomalies`.
    pub const ANOMALIES: Self = Self::of_documents(&payments::ANOMALY_DOCUMENTS);

    /// Every stream.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self(0); TABLE.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self(at);
            at += 1;
        }
        all
    };

    /// The stream of these documents. It is for constants: of documents that no line of the table
    /// has, none can be built.
    pub(crate) const fn of_documents(documents: &DocumentSpec) -> Self {
        let mut at = 0;
        while !is_same(TABLE[at].documents.index, documents.index) {
            at += 1;
        }
        Self(at)
    }

    /// Those of the pipelines that there are by the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Vec<Self> {
        let pipelines = PIPELINES.iter().filter(|it| settings.installation().has(it));
        let topics: Vec<_> = pipelines
            .flat_map(|pipeline| pipeline.documents)
            .map(|document| document.stream)
            .collect();
        let is_there = |stream: &Self| topics.contains(&stream.topic());
        Self::ALL.into_iter().filter(is_there).collect()
    }

    /// Its number among all.
    pub(crate) const fn at(self) -> usize {
        self.0
    }

    /// Its line.
    pub(crate) const fn line(self) -> &'static Line {
        &TABLE[self.0]
    }

    /// The documents, as the catalog has them.
    #[must_use]
    pub const fn spec(self) -> &'static DocumentSpec {
        self.line().documents
    }

    /// The topic, before any prefix.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        self.spec().stream
    }

    /// The full name of the topic that is read: rekeyed transactions where there are such.
    #[must_use]
    pub fn read_topic(self, settings: &Settings) -> String {
        topic_name(&settings.kafka, stream(self.topic(), settings.rekeys()))
    }

    /// The name of the index template and of the indices, before the prefix and the month.
    #[must_use]
    pub const fn index(self) -> &'static str {
        self.spec().index
    }
}

/// Whether two names are one, where a comparison of strings cannot be asked.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// A month of the proleptic Gregorian calendar, in UTC; shown as `2026.01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month of a time in milliseconds since 1970; `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn of(time_ms: i64) -> Option<Self> {
        Transaction::check_time(time_ms).ok()?;
        // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days; no day is
        // before 1970 here.
        let days = time_ms / 86_400_000 + 719_468;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Counted from March, so that a leap day is the last of its year.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + days / 146_097 * 400 + i64::from(month <= 2);
        Some(Self {
            year: u16::try_from(year).ok()?,
            month: u8::try_from(month).ok()?,
        })
    }

    /// Whether this is how a month is shown.
    #[must_use]
    pub(crate) fn is_name(text: &str) -> bool {
        let digits = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        text.split_once('.')
            .is_some_and(|(year, month)| digits(year, 4) && digits(month, 2))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}.{:02}", self.year, self.month)
    }
}

/// The index of one stream and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey {
    /// Whose documents it holds.
    pub stream: Stream,
    /// Of which month.
    pub month: Month,
}

impl IndexKey {
    /// Its name, with `prefix` before it.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}{}-{}", self.stream.index(), self.month)
    }
}

#[cfg(test)]
mod tests {
    use millrace_catalog::Service;

    use super::*;

    fn is_leap(year: i64) -> bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    #[test]
    fn every_month_begins_and_ends_where_a_calendar_says() {
        let mut day = 0;
        for year in 1970..=9999 {
            let february = if is_leap(year) { 29 } else { 28 };
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (at, length) in lengths.into_iter().enumerate() {
                let expected = format!("{year:04}.{:02}", at + 1);
                let (start_ms, end_ms) = (day * 86_400_000, (day + length) * 86_400_000);
                assert_eq!(Month::of(start_ms).unwrap().to_string(), expected);
                assert_eq!(Month::of(end_ms - 1).unwrap().to_string(), expected);
                day += length;
            }
        }
    }

    #[test]
    fn every_document_of_the_catalog_has_a_line() {
        let documents = PIPELINES.iter().flat_map(|pipeline| pipeline.documents);
        let sunk = documents.filter(|it| it.service == Service::ElasticSink);
        let catalog: Vec<_> = sunk.map(|it| it.index).collect();
        assert_eq!(Stream::ALL.map(Stream::index).to_vec(), catalog);
        assert_eq!(Stream::TRANSACTIONS.topic(), payments::topic::TRANSACTIONS);
        assert_eq!(Stream::ANOMALIES.topic(), payments::topic::ANOMALIES);
    }

    #[test]
    fn what_is_not_enabled_is_not_indexed() {
        let mut settings = Settings::default();
        assert_eq!(Stream::of(&settings), Stream::ALL[..3]);
        settings.clickstream.enabled = true;
        assert_eq!(Stream::of(&settings), Stream::ALL[..5]);
        settings.iot.enabled = true;
        assert_eq!(Stream::of(&settings), Stream::ALL[..8]);
        settings.commerce.enabled = true;
        settings.incidents.enabled = true;
        assert_eq!(Stream::of(&settings), Stream::ALL);
    }

    #[test]
    fn a_month_is_known_by_its_name() {
        assert!(Month::is_name(&Month::of(0).unwrap().to_string()));
        for name in [
            "archive",
            "2026",
            "2026.1",
            "2026.011",
            "2026.01-000001",
            "x026.01",
        ] {
            assert!(!Month::is_name(name), "{name}");
        }
    }

    #[test]
    fn times_outside_the_contract_have_no_month() {
        assert_eq!(Month::of(-1), None);
        assert_eq!(Month::of(Transaction::MAX_TIME_MS + 1), None);
        assert_eq!(Month::of(i64::MIN), None);
        assert_eq!(Month::of(i64::MAX), None);
    }
}
