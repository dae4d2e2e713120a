//! A shop, where it is enabled: revenue of each region, device and minute and sales of each product
//! and minute, in two stages each; how far each session came on the way to a purchase.

use millrace_commerce::{Funnel, ProductSales, Revenue, SalesPartial, ShopEvent};
use millrace_contract::Contract as _;

use crate::{DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, RowsSpec, Service, StreamSpec};

/// The names of its topics, before any prefix.
pub mod topic {
    /// What users do in a shop, keyed by user.
    pub const EVENTS: &str = "data-stream";
    /// Final revenue, keyed by region and device.
    pub const REVENUE: &str = "revenue";
    /// Internal: what one partition adds to a region and device's window, and its watermarks.
    pub const REVENUE_PARTIALS: &str = "revenue.partials";
    /// Final sales, keyed by product.
    pub const PRODUCT_SALES: &str = "product_sales";
    /// Internal: what one partition adds to a product's window, and its watermarks.
    pub const PRODUCT_SALES_PARTIALS: &str = "product_sales.partials";
    /// Sessions with how far they came, keyed by user.
    pub const FUNNEL: &str = "funnel";
    /// Events that came after their window had closed.
    pub const LATE: &str = "data-stream.late";
}

/// The pipeline.
pub const PIPELINE: Pipeline = Pipeline {
    name: "commerce",
    enabled_by: Some(Service::Commerce),
    streams: &[
        StreamSpec::of_events(
            topic::EVENTS,
            ShopEvent::SCHEMA,
            &[DeadLetterOwner::always(REVENUE_PARTIAL.name)],
        ),
        StreamSpec::indexed(topic::REVENUE, Revenue::SCHEMA),
        StreamSpec::between_stages(
            topic::REVENUE_PARTIALS,
            SalesPartial::SCHEMA,
            &[DeadLetterOwner::always(REVENUE_MERGE.name)],
        ),
        StreamSpec::indexed(topic::PRODUCT_SALES, ProductSales::SCHEMA),
        StreamSpec::between_stages(
            topic::PRODUCT_SALES_PARTIALS,
            SalesPartial::SCHEMA,
            &[DeadLetterOwner::always(PRODUCT_SALES_MERGE.name)],
        ),
        StreamSpec::indexed(topic::FUNNEL, Funnel::SCHEMA),
        StreamSpec::of_late(topic::LATE),
    ],
    jobs: &[
        REVENUE_PARTIAL,
        REVENUE_MERGE,
        PRODUCT_SALES_PARTIAL,
        PRODUCT_SALES_MERGE,
        FUNNEL,
    ],
    documents: &[
        EVENT_DOCUMENTS,
        REVENUE_DOCUMENTS,
        PRODUCT_SALES_DOCUMENTS,
        FUNNEL_DOCUMENTS,
    ],
    rows: &[
        RowsSpec::lake_events::<ShopEvent>(topic::EVENTS, "commerce_events", "ts"),
        RowsSpec::lake_results::<Revenue>(topic::REVENUE, "revenue", "windowStart"),
        RowsSpec::lake_results::<ProductSales>(topic::PRODUCT_SALES, "product_sales", "windowStart"),
        RowsSpec::lake_results::<Funnel>(topic::FUNNEL, "funnels", "start"),
    ],
};

/// The events themselves, with full text over queries and products.
pub const EVENT_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::EVENTS,
    "millrace-events-raw",
    include_str!("../mappings/events-raw.json"),
);

/// Revenue.
pub const REVENUE_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::REVENUE,
    "millrace-events-aggregated",
    include_str!("../mappings/events-aggregated.json"),
);

/// Sales of products.
pub const PRODUCT_SALES_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::PRODUCT_SALES,
    "millrace-product-sales",
    include_str!("../mappings/product-sales.json"),
);

/// Sessions with how far they came.
pub const FUNNEL_DOCUMENTS: DocumentSpec = DocumentSpec::of(
    topic::FUNNEL,
    "millrace-funnels",
    include_str!("../mappings/funnels.json"),
);

/// The first stage of revenue.
pub const REVENUE_PARTIAL: JobSpec = JobSpec {
    writes: &[topic::REVENUE_PARTIALS, topic::LATE],
    ..job("revenue-partial", topic::EVENTS, "revenue.control")
};

/// The second stage of revenue.
pub const REVENUE_MERGE: JobSpec = JobSpec {
    writes: &[topic::REVENUE],
    ..job(
        "revenue-merge",
        topic::REVENUE_PARTIALS,
        "revenue.partials.control",
    )
};

/// The first stage of sales of products.
pub const PRODUCT_SALES_PARTIAL: JobSpec = JobSpec {
    writes: &[topic::PRODUCT_SALES_PARTIALS],
    ..job("product-sales-partial", topic::EVENTS, "product_sales.control")
};

/// The second stage of sales of products.
pub const PRODUCT_SALES_MERGE: JobSpec = JobSpec {
    writes: &[topic::PRODUCT_SALES],
    ..job(
        "product-sales-merge",
        topic::PRODUCT_SALES_PARTIALS,
        "product_sales.partials.control",
    )
};

/// Sessions with how far they came.
pub const FUNNEL: JobSpec = JobSpec {
    writes: &[topic::FUNNEL],
    ..job("funnel", topic::EVENTS, "funnel.control")
};

const fn job(name: &'static str, input: &'static str, control: &'static str) -> JobSpec {
    JobSpec::of(Service::Commerce, name, input, control)
}
