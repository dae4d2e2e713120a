//! What has been read of the topics, record by record.

use std::collections::{BTreeMap, HashSet};

use millrace_clickstream::{Click, PageViews, Session};
use millrace_contract::{ReadError, Reader};
use millrace_domain::Currency;
use millrace_kafka::copies::header;
use millrace_registry::SchemaFetcher;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::compare::Figures;
use crate::once::{Entry, Known, Records};
use crate::places::Places;

/// ISO 4217's code where no currency is meant.
const NO_CURRENCY: &[u8; 3] = b"XXX";

pub(super) struct State {
    click_reader: Reader<Click>,
    page_views_reader: Reader<PageViews>,
    session_reader: Reader<Session>,
    clicks: Records,
    unreadable: Places,
    late: Places,
    dead: Places,
    /// Hash of the page and start of the window of each result.
    windows: HashSet<(u128, i64)>,
    /// Views of the results, by the start of their window.
    views: BTreeMap<i64, u64>,
    sessions: HashSet<(u128, i64)>,
    pages_of_sessions: u64,
    doubled: u64,
}

impl State {
    pub(super) fn new(fetcher: &SchemaFetcher) -> Self {
        Self {
            click_reader: Reader::new(fetcher.clone()),
            page_views_reader: Reader::new(fetcher.clone()),
            session_reader: Reader::new(fetcher.clone()),
            clicks: Records::default(),
            unreadable: Places::default(),
            late: Places::default(),
            dead: Places::default(),
            windows: HashSet::new(),
            views: BTreeMap::new(),
            sessions: HashSet::new(),
            pages_of_sessions: 0,
            doubled: 0,
        }
    }

    pub(super) fn click(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let (partition, offset) = (message.partition(), message.offset());
        match self.click_reader.read(message.payload().unwrap_or_default()) {
            Ok(click) => {
                let currency = Currency::parse(NO_CURRENCY)?;
                let id = click.event_id.into_bytes();
                let entry = Entry::of_event(id, click.time_ms, currency, partition, offset);
                self.clicks.add(&entry)
            }
            Err(ReadError::Registry(error)) => Err(error.into()),
            Err(ReadError::Invalid(_)) => {
                self.unreadable.insert(partition, offset);
                Ok(())
            }
        }
    }

    pub(super) fn page_views(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let result = self
            .page_views_reader
            .read(message.payload().unwrap_or_default())?;
        let key = (result.page.hash().as_u128(), result.window_start_ms);
        if !self.windows.insert(key) {
            self.doubled += 1;
            return Ok(());
        }
        *self.views.entry(result.window_start_ms).or_default() += result.views.max(0).cast_unsigned();
        Ok(())
    }

    pub(super) fn session(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let session = self.session_reader.read(message.payload().unwrap_or_default())?;
        if !self
            .sessions
            .insert((session.user_id.hash().as_u128(), session.start_ms))
        {
            self.doubled += 1;
            return Ok(());
        }
        self.pages_of_sessions += session.page_count.max(0).cast_unsigned();
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "as the others")]
    pub(super) fn late(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        if let Some((partition, offset)) = source(message) {
            self.late.insert(partition, offset);
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "as the others")]
    pub(super) fn dead_letter(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        if let Some((partition, offset)) = source(message) {
            self.dead.insert(partition, offset);
        }
        Ok(())
    }

    /// What it comes to, in windows of this size.
    ///
    /// # Errors
    /// What is in the temporary folder cannot be read again.
    pub(super) fn figures(&mut self, window_ms: i64) -> anyhow::Result<Figures> {
        let unsunk = Places::default();
        let counted = self.clicks.count(&Known {
            dead: &self.dead,
            late: &self.late,
            unsunk: &unsunk,
            window_ms,
            is_vouched: &|_| false,
        })?;
        let count = |windows: &crate::totals::Windows| windows.values().map(|it| it.purchase_count).sum();
        let mut in_time: BTreeMap<i64, u64> = BTreeMap::new();
        for ((start_ms, _), totals) in &counted.once {
            *in_time.entry(*start_ms).or_default() += totals.purchase_count;
        }
        for ((start_ms, _), totals) in &counted.late {
            if let Some(clicks) = in_time.get_mut(start_ms) {
                *clicks = clicks.saturating_sub(totals.purchase_count);
            }
        }
        in_time.retain(|_, clicks| *clicks > 0);
        Ok(Figures {
            once: count(&counted.once),
            copies: counted.copies,
            late: count(&counted.late),
            in_time,
            unreadable: self.unreadable.len(),
            dead_letters: self.dead.len(),
            wrongly_refused: counted.wrongly_refused,
            results: self.windows.len() as u64,
            views: self.views.clone(),
            sessions: self.sessions.len() as u64,
            pages_of_sessions: self.pages_of_sessions,
            doubled: self.doubled,
        })
    }
}

/// Where the record lay of which this is a copy.
fn source(message: &BorrowedMessage<'_>) -> Option<(i32, i64)> {
    let headers = message.headers()?;
    let number = |name: &str| -> Option<i64> {
        let value = headers.iter().find(|header| header.key == name)?.value?;
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    let partition = i32::try_from(number(header::SOURCE_PARTITION)?).ok()?;
    Some((partition, number(header::SOURCE_OFFSET)?))
}
