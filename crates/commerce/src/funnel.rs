//! How far each session comes on the way from a search to a purchase.

use millrace_contract::{Decimal, Symbols as _, Time, contract, symbols};
use millrace_engine::RestoreError;
use millrace_engine::keyed::ordered::{Machine, Stored};
use millrace_engine::policy::{ConfigError, DAY_MS, within};
use millrace_engine::snapshot::{StateReader, StateWriter};
use serde::{Deserialize, Serialize};

use crate::{EventType, FunnelSaid, ShopEvent, User};

/// Without an event for so long a session is over, in milliseconds.
pub const GAP_MS: (i64, i64) = (1_000, DAY_MS);

symbols! {
    /// How far a session came: each step counts only after all those before it.
    pub enum Reached {
        /// No search.
        None = "none",
        /// A search.
        Search = "search",
        /// A search, and a product seen after it.
        View = "view",
        /// And that or another opened after that.
        Click = "click",
        /// And something bought after that.
        Purchase = "purchase",
    }
}

impl Reached {
    /// Where an event takes a session that has come so far.
    fn after(self, event: EventType) -> Self {
        match (self, event) {
            (Self::None, EventType::Search) => Self::Search,
            (Self::Search, EventType::View) => Self::View,
            (Self::View, EventType::Click) => Self::Click,
            (Self::Click, EventType::Purchase) => Self::Purchase,
            (reached, _) => reached,
        }
    }
}

contract! {
    schema "millrace.Funnel" = include_str!("../schemas/funnel.avsc");

    /// How far a session came, final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Funnel {
        /// Whose it was; the record's key.
        pub user_id: User = "userId",
        /// Time of the first event, in milliseconds since 1970.
        pub start_ms: i64 as Time = "start",
        /// Time of the last event.
        pub end_ms: i64 as Time = "end",
        /// How far it came.
        pub reached: Reached,
        /// Searches, each event once.
        pub searches: i64,
        /// Products seen.
        pub views: i64,
        /// Products opened.
        pub clicks: i64,
        /// Purchases.
        pub purchases: i64,
        /// What they came to, in 1/10,000.
        pub revenue_units: i128 as Decimal<4> = "revenue",
    }
}

impl Funnel {
    /// The record of a session that is over.
    #[must_use]
    pub fn of(said: &FunnelSaid) -> Self {
        let visited = &said.output;
        let [searches, views, clicks, purchases] = visited.counts.map(i64::from);
        Self {
            user_id: said.key,
            start_ms: visited.start_ms,
            end_ms: visited.end_ms,
            reached: visited.reached,
            searches,
            views,
            clicks,
            purchases,
            revenue_units: visited.revenue_units,
        }
    }

    /// The events in it.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.searches + self.views + self.clicks + self.purchases
    }
}

/// What can be set of funnels. Any value can be worked with; [`FunnelSettings::check`] says which
/// make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelSettings {
    /// Without an event for so long a session is over.
    pub session_gap_ms: i64,
}

impl FunnelSettings {
    /// Whether they make sense.
    ///
    /// # Errors
    /// A gap outside [`GAP_MS`].
    pub fn check(&self) -> Result<(), ConfigError> {
        within("session_gap_ms", self.session_gap_ms, GAP_MS).map(|_| ())
    }
}

/// Follows each user through sessions: events with less than the gap between one and the next. They
/// come in the order of their time, so that how far a session came does not depend on the order in
/// which they arrive.
#[derive(Debug, Clone, Copy)]
pub struct Funnels;

/// What is kept of an event until its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Did {
    event_type: EventType,
    paid_units: i64,
}

impl Stored for Did {
    const LEAST_LEN: usize = 1 + 8;
    const EMPTY: Self = Self {
        event_type: EventType::Click,
        paid_units: 0,
    };

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u8(self.event_type.index() as u8);
        writer.i64(self.paid_units);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let event_type = symbol(reader, "event of a shop")?;
        let paid_units = reader.i64()?;
        Ok(Self {
            event_type,
            paid_units,
        })
    }
}

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visited {
    /// Time of the first event.
    pub start_ms: i64,
    /// Time of the last one.
    pub end_ms: i64,
    /// How far it came.
    pub reached: Reached,
    /// Searches, products seen, products opened, purchases.
    pub counts: [u32; 4],
    /// What the purchases came to, in 1/10,000.
    pub revenue_units: i128,
}

impl Visited {
    fn is_open(&self) -> bool {
        self.counts.iter().any(|count| *count > 0)
    }

    fn add(&mut self, at_ms: i64, did: &Did) {
        let at = match did.event_type {
            EventType::Search => 0,
            EventType::View => 1,
            EventType::Click => 2,
            EventType::Purchase => 3,
        };
        self.counts[at] = self.counts[at].saturating_add(1);
        self.start_ms = self.start_ms.min(at_ms);
        self.end_ms = self.end_ms.max(at_ms);
        self.reached = self.reached.after(did.event_type);
        self.revenue_units += i128::from(did.paid_units);
    }
}

impl Stored for Visited {
    const LEAST_LEN: usize = 8 + 8 + 1 + 4 * 4 + 16;
    const EMPTY: Self = Self {
        start_ms: i64::MAX,
        end_ms: i64::MIN,
        reached: Reached::None,
        counts: [0; 4],
        revenue_units: 0,
    };

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.start_ms);
        writer.i64(self.end_ms);
        writer.u8(self.reached.index() as u8);
        for count in self.counts {
            writer.u32(count);
        }
        writer.i128(self.revenue_units);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "session of a shop");
        let (start_ms, end_ms) = (reader.i64()?, reader.i64()?);
        let reached = symbol(reader, what)?;
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = reader.u32()?;
        }
        let visited = Self {
            start_ms,
            end_ms,
            reached,
            counts,
            revenue_units: reader.i128()?,
        };
        match visited.is_open() && start_ms <= end_ms {
            true => Ok(visited),
            false => Err(RestoreError::Invalid { what, at }),
        }
    }
}

/// A symbol by its place.
fn symbol<S: millrace_contract::Symbols>(
    reader: &mut StateReader<'_>,
    what: &'static str,
) -> Result<S, RestoreError> {
    let at = reader.position();
    let found = S::ALL.get(usize::from(reader.u8()?));
    found.copied().ok_or(RestoreError::Invalid { what, at })
}

impl Machine for Funnels {
    const NAME: &'static str = "funnel";

    type Event = ShopEvent;
    type Key = User;
    type Input = Did;
    type State = Visited;
    type Settings = FunnelSettings;
    type Output = Visited;

    fn key(&self, event: &ShopEvent) -> User {
        event.user_id
    }

    fn input(&self, event: &ShopEvent) -> Did {
        Did {
            event_type: event.event_type,
            paid_units: event.paid_units(),
        }
    }

    fn step(
        &self,
        settings: &FunnelSettings,
        open: &mut Visited,
        at_ms: i64,
        did: &Did,
        said: &mut Vec<Visited>,
    ) {
        // Where the gap was another one when the waking was planned.
        if open.is_open() && at_ms.saturating_sub(open.end_ms) >= settings.session_gap_ms {
            said.push(std::mem::replace(open, Visited::EMPTY));
        }
        open.add(at_ms, did);
    }

    fn wakes_at_ms(&self, settings: &FunnelSettings, open: &Visited) -> Option<i64> {
        let over_ms = open.end_ms.saturating_add(settings.session_gap_ms.max(1));
        open.is_open().then_some(over_ms)
    }

    /// The session is over, and nothing is kept of the user.
    fn wake(&self, _: &FunnelSettings, open: &mut Visited, _: i64, said: &mut Vec<Visited>) -> bool {
        said.push(*open);
        false
    }

    fn settles_after_ms(&self, settings: &FunnelSettings) -> i64 {
        settings.session_gap_ms
    }
}
