//! Documents of the clickstream. Each record is final, so that all have one version.

use millrace_catalog::clickstream::{PAGE_VIEW_DOCUMENTS, SESSION_DOCUMENTS};
use millrace_clickstream::{PageViews, Session};

use super::{Document, Fields, NoDocument, month};
use crate::stream::Stream;

const PAGE_VIEWS: Stream = Stream::of_documents(&PAGE_VIEW_DOCUMENTS);
const SESSIONS: Stream = Stream::of_documents(&SESSION_DOCUMENTS);

const VERSION: i64 = 1;

/// The document of a page's views in a window.
///
/// # Errors
/// The window lies outside the years 1970 to 9999.
pub fn page_views(result: &PageViews) -> Result<Document, NoDocument> {
    let month = month("windowStart", result.window_start_ms)?;
    let mut fields = Fields::at(result.window_start_ms);
    fields.plain("windowEnd", result.window_end_ms);
    fields.text("page", result.page.as_str());
    fields.plain("views", result.views);
    fields.plain("visitors", result.visitors);
    Ok(Document {
        stream: PAGE_VIEWS,
        month,
        // A page may be longer than an `_id`.
        id: format!("{}_{}", result.page.hash(), result.window_start_ms),
        version: VERSION,
        source: fields.end(),
    })
}

/// The document of a session.
///
/// # Errors
/// It begins outside the years 1970 to 9999.
pub fn session(session: &Session) -> Result<Document, NoDocument> {
    let month = month("start", session.start_ms)?;
    let mut fields = Fields::at(session.start_ms);
    fields.plain("end", session.end_ms);
    fields.text("userId", session.user_id.as_str());
    fields.plain("pageCount", session.page_count);
    fields.plain("durationMs", session.end_ms.saturating_sub(session.start_ms));
    fields.text("entryPage", session.entry_page.as_str());
    fields.text("exitPage", session.exit_page.as_str());
    Ok(Document {
        stream: SESSIONS,
        month,
        id: format!("{}_{}", session.user_id.hash(), session.start_ms),
        version: VERSION,
        source: fields.end(),
    })
}
