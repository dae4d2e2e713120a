//! Clicks, where the clickstream is enabled.

use millrace_catalog::clickstream::topic;
use millrace_clickstream::ledger::WindowLine;
use millrace_clickstream::{Click, World as Visitors};
use millrace_publisher::Names;

use crate::beside::{About, World};

impl World for Visitors {
    type Event = Click;
    type Kept = ();
    type Sums = u64;
    type Line = WindowLine;

    const ABOUT: About = About {
        topic: topic::CLICKS,
        item: "click",
        items: "clicks",
        names: Names {
            sent: "millrace_clicks_sent_total",
            bytes: "millrace_clicks_bytes_total",
            acknowledged: "millrace_clicks_acknowledged_total",
            failed: "millrace_clicks_failed_total",
            queue_full: "millrace_clicks_queue_full_total",
            queue: "millrace_clicks_queue_records",
            durations: "millrace_clicks_delivery_duration_seconds",
            asides: "asides",
        },
    };

    fn next(&mut self, time_ms: i64) -> Click {
        Self::next(self, time_ms)
    }

    fn random(&mut self) -> u64 {
        Self::random(self)
    }

    fn key(click: &Click) -> &[u8] {
        click.user_id.as_str().as_bytes()
    }

    fn kept(_click: &Click) {}

    fn add((): &(), views: &mut u64) {
        *views += 1;
    }

    fn merge(views: &mut u64, other: &u64) {
        *views += other;
    }

    fn line(window_start_ms: i64, views: &u64) -> WindowLine {
        WindowLine {
            window_start_ms,
            views: *views,
        }
    }
}
