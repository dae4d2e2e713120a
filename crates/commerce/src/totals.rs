//! What events of a shop add up to.

use millrace_domain::Amount;
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::Totals;

use crate::{EventType, MOST_QUANTITY, ShopEvent};

/// Events of a kind in a group, at most: none has so many in a day, and sums of as many fit.
const MOST_EVENTS: u64 = 1 << 48;

/// What events add up to: numbers of each kind, pieces, and money in integers of 1/10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SalesTotals {
    /// Searches.
    pub searches: u64,
    /// Products seen.
    pub views: u64,
    /// Products opened.
    pub clicks: u64,
    /// Purchases.
    pub purchases: u64,
    /// Pieces that were bought.
    pub units: u64,
    /// What they came to, in 1/10,000.
    pub revenue_units: i128,
}

impl SalesTotals {
    /// With one event more.
    pub fn add(&mut self, event: &ShopEvent) {
        match event.event_type {
            EventType::Search => self.searches += 1,
            EventType::View => self.views += 1,
            EventType::Click => self.clicks += 1,
            EventType::Purchase => {
                self.purchases += 1;
                self.units += event.units().map_or(0, |units| units.unsigned_abs().into());
                self.revenue_units += i128::from(event.paid_units());
            }
        }
    }

    /// Whether events can add up to this.
    pub(crate) fn is_possible(&self) -> bool {
        let purchases = i128::from(self.purchases);
        let most = |each: i64| purchases * i128::from(each);
        let counts = [self.searches, self.views, self.clicks, self.purchases];
        counts.iter().all(|count| *count <= MOST_EVENTS)
            && (purchases..=most(MOST_QUANTITY.into())).contains(&i128::from(self.units))
            && (purchases..=most(Amount::MAX.units())).contains(&self.revenue_units)
    }
}

impl Totals for SalesTotals {
    const LEN: usize = 5 * 8 + 16;
    const EMPTY: Self = Self {
        searches: 0,
        views: 0,
        clicks: 0,
        purchases: 0,
        units: 0,
        revenue_units: 0,
    };

    fn count(&self) -> u64 {
        self.searches + self.views + self.clicks + self.purchases
    }

    fn merge(&mut self, other: &Self) {
        self.searches += other.searches;
        self.views += other.views;
        self.clicks += other.clicks;
        self.purchases += other.purchases;
        self.units += other.units;
        self.revenue_units += other.revenue_units;
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        for number in [self.searches, self.views, self.clicks, self.purchases, self.units] {
            writer.u64(number);
        }
        writer.i128(self.revenue_units);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "sum of a shop's events");
        let totals = Self {
            searches: reader.u64()?,
            views: reader.u64()?,
            clicks: reader.u64()?,
            purchases: reader.u64()?,
            units: reader.u64()?,
            revenue_units: reader.i128()?,
        };
        match totals.is_possible() {
            true => Ok(totals),
            false => Err(RestoreError::Invalid { what, at }),
        }
    }
}
