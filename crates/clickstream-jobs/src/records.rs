//! How the records of the jobs are read and written.

use millrace_clickstream::{
    Page, PageViews, PageViewsPartial, PartialRecord, Session, User, UserSessions, ViewsPerPage, ViewsResult,
    VisitTotals, Visits,
};
use millrace_contract::Encode as _;
use millrace_engine::HashSeed;
use millrace_engine::keyed::SessionPolicy;
use millrace_engine::keyed::sessions::Closed;
use millrace_runtime::keyed::Keyed;
use millrace_runtime::windowed::TwoStage;

/// Page views in two stages.
#[derive(Debug, Clone, Copy)]
pub struct Pages;

impl TwoStage for Pages {
    type Aggregation = ViewsPerPage;
    type Partial = PageViewsPartial;

    const EVENTS: &'static str = "clickstream";

    fn aggregation() -> ViewsPerPage {
        ViewsPerPage
    }

    fn key(page: &Page) -> impl AsRef<[u8]> {
        page.as_str()
    }

    fn encode_partial(schema_id: u32, record: PartialRecord, value: &mut Vec<u8>) {
        PageViewsPartial::of(&record).encode_framed(schema_id, value);
    }

    fn record_of(partial: PageViewsPartial) -> PartialRecord {
        partial.record()
    }

    fn encode_result(schema_id: u32, result: &ViewsResult, value: &mut Vec<u8>) {
        PageViews::of(result).encode_framed(schema_id, value);
    }
}

/// Sessions of users.
#[derive(Debug, Clone, Copy)]
pub struct UserVisits;

impl Keyed for UserVisits {
    type Operator = UserSessions;

    fn operator(policy: SessionPolicy, seed: HashSeed) -> UserSessions {
        UserSessions::new(Visits, policy, seed)
    }

    fn encode<'a>(schema_id: u32, closed: &'a Closed<User, VisitTotals>, value: &mut Vec<u8>) -> &'a [u8] {
        if let Some(session) = Session::of(closed) {
            session.encode_framed(schema_id, value);
        }
        closed.key.as_str().as_bytes()
    }
}
