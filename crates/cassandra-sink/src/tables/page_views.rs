//! Page views by page and day.

use millrace_clickstream::PageViews;

use super::{NoRow, check_time};
use crate::row::{Row, day, long, text, time};
use crate::table::{Table, descending, partition, value};
use crate::version::first_stays;

/// A day of a page, the newest window first.
pub const BY_PAGE: Table = Table {
    name: "page_views_by_page",
    about: "Views and visitors of a page in each window of a day",
    columns: &[
        partition("page", "text"),
        partition("day", "date"),
        descending("window_start", "timestamp"),
        value("window_end", "timestamp"),
        value("views", "bigint"),
        value("visitors", "bigint"),
    ],
};

/// The row of a page's views that were read at `offset`.
pub(crate) fn rows(views: &PageViews, offset: i64) -> Result<Vec<Row>, NoRow> {
    let start_ms = check_time(views.window_start_ms)?;
    Ok(vec![Row {
        table: &BY_PAGE,
        time_ms: start_ms,
        version: first_stays(start_ms, offset),
        cells: vec![
            text(views.page.as_str()),
            day(start_ms),
            time(start_ms),
            time(views.window_end_ms),
            long(views.views),
            long(views.visitors),
        ],
    }])
}
