//! A stream of page views, which the engine's own tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

use millrace_contract::{Event, Text, Time, contract};
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Key, Totals};
use millrace_engine::{Operator, RestoreError};
use proptest::prelude::*;
use uuid::Uuid;

contract! {
    schema "shop.View" = r#"{"type": "record", "name": "View", "namespace": "shop", "fields": [
        {"name": "view_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "page", "type": "string"},
        {"name": "visitor", "type": "long"},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    ]}"#;

    /// Somebody views a page.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct View {
        /// Unique for ever.
        pub view_id: Uuid,
        /// The page's path.
        pub page: Text<16>,
        /// Who views it.
        pub visitor: i64,
        /// When, in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
    }
}

impl Event for View {
    fn id(&self) -> [u8; 16] {
        *self.view_id.as_bytes()
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }

    fn key(&self) -> impl AsRef<[u8]> {
        self.page.as_bytes()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Page(pub(crate) [u8; 16]);

impl Page {
    pub(crate) fn of(path: &str) -> Self {
        let mut bytes = [0; 16];
        bytes[..path.len()].copy_from_slice(path.as_bytes());
        Self(bytes)
    }
}

impl Key for Page {
    const LEAST_LEN: usize = 16;
    type Held = ();

    fn words(&self) -> (u64, u64) {
        let number = u128::from_le_bytes(self.0);
        (number as u64, (number >> 64) as u64)
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.raw(&self.0);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self(reader.array()?))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Views {
    pub(crate) views: u64,
    pub(crate) night_views: u64,
    pub(crate) visitors: u64,
}

impl Totals for Views {
    const LEN: usize = 24;
    const EMPTY: Self = Self {
        views: 0,
        night_views: 0,
        visitors: 0,
    };

    fn count(&self) -> u64 {
        self.views
    }

    fn merge(&mut self, other: &Self) {
        self.views += other.views;
        self.night_views += other.night_views;
        self.visitors += other.visitors;
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        [self.views, self.night_views, self.visitors]
            .into_iter()
            .for_each(|count| writer.u64(count));
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            views: reader.u64()?,
            night_views: reader.u64()?,
            visitors: reader.u64()?,
        })
    }
}

pub(crate) fn is_at_night(view: &View) -> bool {
    view.time_ms.rem_euclid(1_000) < 100
}

pub(crate) fn view(number: usize, (page, visitor, time_ms): (usize, i64, i64)) -> View {
    View {
        view_id: Uuid::from_u128(number as u128 + 1),
        page: Text::new(["/", "/cart", "/a", "/b", "/0123456789abcde"][page]).unwrap(),
        visitor,
        time_ms,
    }
}

pub(crate) fn views(most: usize, before_ms: i64) -> impl Strategy<Value = Vec<View>> {
    let view_of = (0_usize..5, 0_i64..7, 0..before_ms);
    prop::collection::vec(view_of, 0..most).prop_map(|views| {
        views
            .into_iter()
            .enumerate()
            .map(|(at, of)| view(at, of))
            .collect()
    })
}

pub(crate) fn restored<O: Operator>(mut from: O, mut to: O) -> O {
    let (mut state, mut again) = (Vec::new(), Vec::new());
    from.snapshot(&mut state);
    to.restore(&state).unwrap();
    to.snapshot(&mut again);
    assert_eq!(state, again);
    to
}
