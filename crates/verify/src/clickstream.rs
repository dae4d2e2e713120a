//! The clickstream, where it is enabled: page views and sessions.

use millrace_catalog::clickstream::{
    PAGE_VIEW_DOCUMENTS, PAGE_VIEWS_MERGE, PAGE_VIEWS_PARTIAL, PIPELINE, SESSION_DOCUMENTS, SESSIONS, topic,
};
use millrace_clickstream::{Click, PageViews, Session};
use millrace_telemetry::Shutdown;

use crate::check::{Verification, wait_for};
use crate::repeat::job::{self, BY_TOPIC};
use crate::repeat::windowed;
use crate::stream::{Counting, Made, OfStream, Part, Stream, Tally};

pub(crate) const VERIFICATION: Verification = Verification {
    pipeline: &PIPELINE,
    open: |settings| {
        let stream = Stream {
            pipeline: &PIPELINE,
            reads: "the clickstream",
            events: "clicks",
            topic: topic::CLICKS,
            late: topic::LATE,
            ledgers: settings.producer.clicks_ledger_dir(),
            window_ms: settings.clickstream.window_ms,
            money: None,
            documents: None,
        };
        let clicks = OfStream::open::<Click>(settings, stream)?;
        let clicks = clicks.making(&OF_PAGE_VIEWS, |result: &PageViews| Part {
            of: result.page.hash().as_u128(),
            start_ms: result.window_start_ms,
            tally: Tally::of_events(result.views),
        })?;
        let clicks = clicks.making(&OF_SESSIONS, |session: &Session| Part {
            of: session.user_id.hash().as_u128(),
            start_ms: session.start_ms,
            tally: Tally::of_events(session.page_count),
        })?;
        Ok(Box::new(clicks))
    },
    repeat: |settings| {
        let prepared = wait_for(millrace_clickstream_jobs::prepare(settings, &Shutdown::new()));
        let (partial, merge, sessions) = prepared?;
        let mut differences = windowed::compare(
            settings,
            (&PAGE_VIEWS_PARTIAL, &partial, BY_TOPIC),
            (&PAGE_VIEWS_MERGE, &merge, BY_TOPIC),
            &job::whole,
        )?;
        differences.extend(job::while_still(settings, &sessions, || {
            job::compare(settings, &SESSIONS, &sessions, BY_TOPIC, &job::whole)
        })?);
        Ok(differences)
    },
};

static OF_PAGE_VIEWS: Made = Made {
    documents: &PAGE_VIEW_DOCUMENTS,
    name: "page views",
    unit: "views",
    field: "views",
    money_field: None,
    counting: Counting::InWindows,
};

static OF_SESSIONS: Made = Made {
    documents: &SESSION_DOCUMENTS,
    name: "sessions",
    unit: "pages",
    field: "pageCount",
    money_field: None,
    counting: Counting::InSessions,
};
