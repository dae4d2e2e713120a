//! A shop, where it is enabled: events, revenue, sales of products; funnels by the events in them,
//! and how far each session came in `repeat`.

use millrace_catalog::commerce::{
    EVENT_DOCUMENTS, FUNNEL, FUNNEL_DOCUMENTS, PIPELINE, PRODUCT_SALES_DOCUMENTS, PRODUCT_SALES_MERGE,
    PRODUCT_SALES_PARTIAL, REVENUE_DOCUMENTS, REVENUE_MERGE, REVENUE_PARTIAL, topic,
};
use millrace_commerce::{Funnel, ProductSales, Revenue, ShopEvent};
use millrace_telemetry::Shutdown;

use crate::check::{Verification, wait_for};
use crate::repeat::job::{self, BY_TOPIC};
use crate::repeat::windowed;
use crate::stream::{Counting, Made, Money, OfStream, Part, Stream, Tally};

pub(crate) const VERIFICATION: Verification = Verification {
    pipeline: &PIPELINE,
    open: |settings| {
        let stream = Stream {
            pipeline: &PIPELINE,
            reads: "the shop",
            events: "shop events",
            topic: topic::EVENTS,
            late: topic::LATE,
            ledgers: settings.producer.commerce_ledger_dir(),
            window_ms: settings.commerce.window_ms,
            money: Some(Money {
                name: "revenue",
                field: "paidUnits",
            }),
            documents: Some(&EVENT_DOCUMENTS),
        };
        let events = OfStream::paying::<ShopEvent>(settings, stream, ShopEvent::paid_units)?;
        let events = events.making(&OF_REVENUE, |result: &Revenue| Part {
            of: result.segment().hash().as_u128(),
            start_ms: result.window_start_ms,
            tally: Tally {
                units: result.revenue_units,
                ..Tally::of_events(result.events())
            },
        })?;
        let events = events.making(&OF_PRODUCT_SALES, |result: &ProductSales| Part {
            of: result.product().hash().as_u128(),
            start_ms: result.window_start_ms,
            tally: Tally {
                units: result.revenue_units,
                ..Tally::of_events(result.events())
            },
        })?;
        let events = events.making(&OF_FUNNELS, |session: &Funnel| Part {
            of: session.user_id.hash().as_u128(),
            start_ms: session.start_ms,
            tally: Tally {
                units: session.revenue_units,
                ..Tally::of_events(session.events())
            },
        })?;
        Ok(Box::new(events))
    },
    repeat: |settings| {
        let jobs = wait_for(millrace_commerce_jobs::prepare(settings, &Shutdown::new()))?;
        let mut differences = windowed::compare(
            settings,
            (&REVENUE_PARTIAL, &jobs.revenue.0, BY_TOPIC),
            (&REVENUE_MERGE, &jobs.revenue.1, BY_TOPIC),
            &job::whole,
        )?;
        differences.extend(windowed::compare(
            settings,
            (&PRODUCT_SALES_PARTIAL, &jobs.product_sales.0, BY_TOPIC),
            (&PRODUCT_SALES_MERGE, &jobs.product_sales.1, BY_TOPIC),
            &job::whole,
        )?);
        differences.extend(job::while_still(settings, &jobs.funnel, || {
            job::compare(settings, &FUNNEL, &jobs.funnel, BY_TOPIC, &job::whole)
        })?);
        Ok(differences)
    },
};

static OF_REVENUE: Made = Made {
    documents: &REVENUE_DOCUMENTS,
    name: "sales by region",
    unit: "shop events",
    field: "events",
    money_field: Some("revenueUnits"),
    counting: Counting::InWindows,
};

static OF_PRODUCT_SALES: Made = Made {
    documents: &PRODUCT_SALES_DOCUMENTS,
    name: "sales by product",
    unit: "shop events",
    field: "events",
    money_field: Some("revenueUnits"),
    counting: Counting::InWindows,
};

static OF_FUNNELS: Made = Made {
    documents: &FUNNEL_DOCUMENTS,
    name: "funnels",
    unit: "shop events",
    field: "events",
    money_field: Some("revenueUnits"),
    counting: Counting::InSessions,
};
