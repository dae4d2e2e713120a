//! A shop's events, where it is enabled.

mod goods;
mod shoppers;

use millrace_catalog::commerce::topic;
use millrace_commerce::ledger::WindowLine;
use millrace_commerce::{EventType, ShopEvent};
use millrace_publisher::Names;

use crate::beside::{About, World};
pub(crate) use shoppers::Shoppers;

/// What the ledger adds up of a window: events, purchases, and what they came to in 1/10,000.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    events: u64,
    purchases: u64,
    revenue_units: i64,
}

impl World for Shoppers {
    type Event = ShopEvent;
    /// Of a purchase, what it came to in 1/10,000.
    type Kept = Option<i64>;
    type Sums = Sums;
    type Line = WindowLine;

    const ABOUT: About = About {
        topic: topic::EVENTS,
        item: "shop event",
        items: "shop events",
        names: Names {
            sent: "millrace_shop_events_sent_total",
            bytes: "millrace_shop_events_bytes_total",
            acknowledged: "millrace_shop_events_acknowledged_total",
            failed: "millrace_shop_events_failed_total",
            queue_full: "millrace_shop_events_queue_full_total",
            queue: "millrace_shop_events_queue_records",
            durations: "millrace_shop_events_delivery_duration_seconds",
            asides: "asides",
        },
    };

    fn next(&mut self, time_ms: i64) -> ShopEvent {
        Self::next(self, time_ms)
    }

    fn random(&mut self) -> u64 {
        self.draws.random()
    }

    fn key(event: &ShopEvent) -> &[u8] {
        event.user_id.as_str().as_bytes()
    }

    fn kept(event: &ShopEvent) -> Option<i64> {
        (event.event_type == EventType::Purchase).then(|| event.paid_units())
    }

    fn add(paid: &Option<i64>, sums: &mut Sums) {
        sums.events += 1;
        sums.purchases += u64::from(paid.is_some());
        sums.revenue_units += paid.unwrap_or(0);
    }

    fn merge(sums: &mut Sums, other: &Sums) {
        sums.events += other.events;
        sums.purchases += other.purchases;
        sums.revenue_units += other.revenue_units;
    }

    fn line(window_start_ms: i64, sums: &Sums) -> WindowLine {
        WindowLine {
            window_start_ms,
            events: sums.events,
            purchases: sums.purchases,
            revenue_units: sums.revenue_units,
        }
    }
}
