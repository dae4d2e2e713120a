//! The clickstream, where it is enabled: views and visitors of each page and minute, in two stages;
//! sessions of users.

use millrace_clickstream::{Click, PageViews, PageViewsPartial, Session};
use millrace_contract::Contract as _;

use crate::{DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, RowsSpec, Service, StreamSpec};

/// The names of its topics, before any prefix.
pub mod topic {
    /// Page views, keyed by user.
    pub const CLICKS: &str = "clickstream";
    /// Final views and visitors, keyed by page.
    pub const PAGE_VIEWS: &str = "page_views";
    /// Internal: what one partition adds to a page's window, keyed by page, and its watermarks.
    pub const PARTIALS: &str = "page_views.partials";
    /// Final sessions, keyed by user.
    pub const SESSIONS: &str = "sessions";
    /// Page views that came after their window had closed.
    pub const LATE: &str = "clickstream.late";
}

/// The pipeline.
pub const PIPELINE: Pipeline = Pipeline {
    name: "clickstream",
    enabled_by: Some(Service::Clickstream),
    streams: &[
        StreamSpec::of_events(
            topic::CLICKS,
            Click::SCHEMA,
            &[DeadLetterOwner::always(PAGE_VIEWS_PARTIAL.name)],
        ),
        StreamSpec::indexed(topic::PAGE_VIEWS, PageViews::SCHEMA),
        StreamSpec::between_stages(
            topic::PARTIALS,
            PageViewsPartial::SCHEMA,
            &[DeadLetterOwner::always(PAGE_VIEWS_MERGE.name)],
        ),
        StreamSpec::indexed(topic::SESSIONS, Session::SCHEMA),
        StreamSpec::of_late(topic::LATE),
    ],
    jobs: &[PAGE_VIEWS_PARTIAL, PAGE_VIEWS_MERGE, SESSIONS],
    documents: &[PAGE_VIEW_DOCUMENTS, SESSION_DOCUMENTS],
    rows: &[
        RowsSpec::lake_events::<Click>(topic::CLICKS, "clickstream", "ts"),
        RowsSpec::lake_results::<PageViews>(topic::PAGE_VIEWS, "page_views", "windowStart"),
        RowsSpec::lake_results::<Session>(topic::SESSIONS, "sessions", "start"),
        RowsSpec::cassandra(topic::PAGE_VIEWS),
    ],
};

/// Views and visitors of pages.
pub const PAGE_VIEW_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::PAGE_VIEWS,
    "millrace-page-views",
    include_str!("../mappings/page-views.json"),
);

/// Sessions.
pub const SESSION_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::SESSIONS,
    "millrace-sessions",
    include_str!("../mappings/sessions.json"),
);

/// The first stage of page views.
pub const PAGE_VIEWS_PARTIAL: JobSpec = JobSpec {
    writes: &[topic::PARTIALS, topic::LATE],
    ..job("page-views-partial", topic::CLICKS, "page_views.control")
};

/// The second stage of page views.
pub const PAGE_VIEWS_MERGE: JobSpec = JobSpec {
    writes: &[topic::PAGE_VIEWS],
    ..job("page-views-merge", topic::PARTIALS, "page_views.partials.control")
};

/// Sessions.
pub const SESSIONS: JobSpec = JobSpec {
    writes: &[topic::SESSIONS],
    ..job("sessions", topic::CLICKS, "sessions.control")
};

const fn job(name: &'static str, input: &'static str, control: &'static str) -> JobSpec {
    JobSpec::of(Service::Clickstream, name, input, control)
}
