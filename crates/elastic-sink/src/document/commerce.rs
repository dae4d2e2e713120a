//! Documents of a shop. Each result is final, so that all have one version; of events with the same
//! id the first in the log stays.

use millrace_catalog::commerce::{
    EVENT_DOCUMENTS, FUNNEL_DOCUMENTS, PRODUCT_SALES_DOCUMENTS, REVENUE_DOCUMENTS,
};
use millrace_commerce::{Funnel, Product, ProductSales, Revenue, ShopEvent};
use millrace_contract::{Symbols as _, Text};
use millrace_domain::Sum;

use super::{Document, Fields, NoDocument, first_stays, month};
use crate::stream::Stream;

const SHOP_EVENTS: Stream = Stream::of_documents(&EVENT_DOCUMENTS);
const REVENUE: Stream = Stream::of_documents(&REVENUE_DOCUMENTS);
const PRODUCT_SALES: Stream = Stream::of_documents(&PRODUCT_SALES_DOCUMENTS);
const FUNNELS: Stream = Stream::of_documents(&FUNNEL_DOCUMENTS);

const VERSION: i64 = 1;

/// The document of an event that was read at `offset`.
///
/// # Errors
/// Its time lies outside the years 1970 to 9999.
pub fn shop_event(event: &ShopEvent, offset: i64) -> Result<Document, NoDocument> {
    let id = event.event_id.to_string();
    let mut fields = Fields::at(event.time_ms);
    fields.text("eventId", &id);
    fields.text("eventType", event.event_type.as_str());
    fields.text("userId", event.user_id.as_str());
    fields.text("region", event.region.as_str());
    fields.text("device", event.device.as_str());
    for (name, text) in [
        ("productId", event.product_id.as_ref().map(Product::as_str)),
        ("productName", event.product_name.as_ref().map(Text::as_str)),
        ("category", event.category.as_ref().map(Text::as_str)),
        ("query", event.query.as_ref().map(Text::as_str)),
    ] {
        if let Some(text) = text {
            fields.text(name, text);
        }
    }
    if let Some(price) = event.price {
        fields.money("price", price.into())?;
    }
    if let Some(quantity) = event.quantity {
        fields.plain("quantity", quantity);
    }
    if let Some(paid) = event.paid() {
        fields.money("paid", paid.into())?;
    }
    Ok(Document {
        stream: SHOP_EVENTS,
        month: month("ts", event.time_ms)?,
        id,
        version: first_stays(offset),
        source: fields.end(),
    })
}

/// What results have in common.
struct Sold {
    window_end_ms: i64,
    /// Searches, products seen, products opened, purchases.
    counts: [i64; 4],
    units: i64,
    revenue_units: i128,
}

impl Sold {
    fn put(&self, fields: &mut Fields) -> Result<(), NoDocument> {
        fields.plain("windowEnd", self.window_end_ms);
        put_counts(fields, self.counts);
        fields.plain("units", self.units);
        fields.money("revenue", Sum::from_units(self.revenue_units))?;
        let [_, views, _, purchases] = self.counts;
        if views > 0 {
            // A quotient of exact numbers, of which nobody makes sums.
            fields.plain("conversion", purchases as f64 / views as f64);
        }
        Ok(())
    }
}

fn put_counts(fields: &mut Fields, counts: [i64; 4]) {
    fields.plain("events", counts.iter().sum::<i64>());
    for (name, count) in ["searches", "views", "clicks", "purchases"]
        .into_iter()
        .zip(counts)
    {
        fields.plain(name, count);
    }
}

/// The document of the revenue of a region and device in a window.
///
/// # Errors
/// The window lies outside the years 1970 to 9999, or the sum does not fit a `long`.
pub fn revenue(result: &Revenue) -> Result<Document, NoDocument> {
    let month = month("windowStart", result.window_start_ms)?;
    let mut fields = Fields::at(result.window_start_ms);
    fields.text("region", result.region.as_str());
    fields.text("device", result.device.as_str());
    let sold = Sold {
        window_end_ms: result.window_end_ms,
        counts: [result.searches, result.views, result.clicks, result.purchases],
        units: result.units,
        revenue_units: result.revenue_units,
    };
    sold.put(&mut fields)?;
    Ok(Document {
        stream: REVENUE,
        month,
        id: format!("{}_{}", result.segment().hash(), result.window_start_ms),
        version: VERSION,
        source: fields.end(),
    })
}

/// The document of the sales of a product in a window.
///
/// # Errors
/// As [`revenue`].
pub fn product_sales(result: &ProductSales) -> Result<Document, NoDocument> {
    let month = month("windowStart", result.window_start_ms)?;
    let mut fields = Fields::at(result.window_start_ms);
    if let Some(product) = &result.product_id {
        fields.text("productId", product.as_str());
    }
    let sold = Sold {
        window_end_ms: result.window_end_ms,
        counts: [result.searches, result.views, result.clicks, result.purchases],
        units: result.units,
        revenue_units: result.revenue_units,
    };
    sold.put(&mut fields)?;
    Ok(Document {
        stream: PRODUCT_SALES,
        month,
        id: format!("{}_{}", result.product().hash(), result.window_start_ms),
        version: VERSION,
        source: fields.end(),
    })
}

/// The document of a session with how far it came.
///
/// # Errors
/// It begins outside the years 1970 to 9999, or the sum does not fit a `long`.
pub fn funnel(session: &Funnel) -> Result<Document, NoDocument> {
    let month = month("start", session.start_ms)?;
    let mut fields = Fields::at(session.start_ms);
    fields.plain("end", session.end_ms);
    fields.plain("durationMs", session.end_ms.saturating_sub(session.start_ms));
    fields.text("userId", session.user_id.as_str());
    fields.text("reached", session.reached.as_str());
    let counts = [session.searches, session.views, session.clicks, session.purchases];
    put_counts(&mut fields, counts);
    fields.money("revenue", Sum::from_units(session.revenue_units))?;
    Ok(Document {
        stream: FUNNELS,
        month,
        id: format!("{}_{}", session.user_id.hash(), session.start_ms),
        version: VERSION,
        source: fields.end(),
    })
}

#[cfg(test)]
mod tests;
