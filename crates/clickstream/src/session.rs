//! Sessions of each user: page views with less than the gap between one and the next.

use millrace_contract::{Time, contract};
use millrace_engine::RestoreError;
use millrace_engine::keyed::Fold;
use millrace_engine::keyed::sessions::Closed;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Key as _, Totals};
use uuid::Uuid;

use crate::{Click, Page, User};

contract! {
    schema "millrace.Session" = include_str!("../schemas/session.avsc");

    /// A session, final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Session {
        /// Whose it was; the record's key.
        pub user_id: User = "userId",
        /// Time of the first page view, in milliseconds since 1970.
        pub start_ms: i64 as Time = "start",
        /// Time of the last page view.
        pub end_ms: i64 as Time = "end",
        /// Page views, not distinct pages.
        pub page_count: i64 = "pageCount",
        /// The first page.
        pub entry_page: Page = "entryPage",
        /// The last page.
        pub exit_page: Page = "exitPage",
    }
}

impl Session {
    /// The record of a session that is over; `None` of one without a page view, which there is not.
    #[must_use]
    pub fn of(closed: &Closed<User, VisitTotals>) -> Option<Self> {
        let (entry, exit) = closed.totals.ends?;
        Some(Self {
            user_id: closed.key,
            start_ms: closed.first_ms,
            end_ms: closed.last_ms,
            page_count: closed.totals.count.cast_signed(),
            entry_page: entry.page,
            exit_page: exit.page,
        })
    }
}

/// Makes sessions of users.
#[derive(Debug, Clone, Copy)]
pub struct Visits;

/// A page view at an end of a session. Of two at one time, the lower event id counts as the
/// earlier one, so that the order in which they come makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    time_ms: i64,
    event_id: Uuid,
    /// The page.
    pub page: Page,
}

impl Visit {
    fn order(&self) -> (i64, Uuid) {
        (self.time_ms, self.event_id)
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            time_ms: reader.i64()?,
            event_id: Uuid::from_bytes(reader.array()?),
            page: Page::read(reader)?,
        })
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.time_ms);
        writer.raw(self.event_id.as_bytes());
        self.page.write(writer);
    }
}

/// What a session adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitTotals {
    /// Page views.
    pub count: u64,
    /// The first and the last one; `None` of no page views.
    pub ends: Option<(Visit, Visit)>,
}

impl Totals for VisitTotals {
    /// The fewest: texts have a length.
    const LEN: usize = 8 + 1;
    const EMPTY: Self = Self { count: 0, ends: None };

    fn count(&self) -> u64 {
        self.count
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.ends = match (self.ends, other.ends) {
            (Some((first, last)), Some((other_first, other_last))) => Some((
                std::cmp::min_by_key(first, other_first, Visit::order),
                std::cmp::max_by_key(last, other_last, Visit::order),
            )),
            (ends, other_ends) => ends.or(other_ends),
        };
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u64(self.count);
        writer.bool(self.ends.is_some());
        if let Some((first, last)) = &self.ends {
            first.write(writer);
            last.write(writer);
        }
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let count = reader.u64()?;
        let has_ends = reader.bool("ends of a session")?;
        let mut ends = || Ok((Visit::read(reader)?, Visit::read(reader)?));
        Ok(Self {
            count,
            ends: has_ends.then(&mut ends).transpose()?,
        })
    }
}

impl Fold for Visits {
    const NAME: &'static str = "sessions";

    type Event = Click;
    type Key = User;
    type Totals = VisitTotals;

    fn key(&self, click: &Click) -> User {
        click.user_id
    }

    fn totals(&self, click: &Click) -> VisitTotals {
        let visit = Visit {
            time_ms: click.time_ms,
            event_id: click.event_id,
            page: click.page,
        };
        VisitTotals {
            count: 1,
            ends: Some((visit, visit)),
        }
    }
}
