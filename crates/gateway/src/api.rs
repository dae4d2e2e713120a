//! The routes.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ingest::{Answer, Gateway};
use crate::intake::Stream;
use crate::openapi;
use crate::problem::Problem;

/// The stream in metrics of requests to none that there is.
const UNKNOWN: &str = "unknown";
/// Of an answer that was given before.
const REPLAYED: &str = "idempotent-replayed";

/// All routes.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/streams", get(streams))
        .route("/v1/{stream}", post(ingest))
        .route("/openapi.json", get(document))
        .fallback(nothing)
        .with_state(gateway)
}

#[utoipa::path(
    post,
    path = "/v1/{stream}",
    operation_id = "ingest",
    summary = "Send records",
    description = "Takes one JSON object, an array of them, or NDJSON, plain or as gzip, checks each against the stream's \
                   contract, and answers once the brokers have acknowledged those that are right.",
    params(
        ("stream" = String, Path, description = "Name of the stream, as GET /v1/streams gives it"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[A-Za-z0-9_.:-]+$",
         description = "The same for every repeat of this request: it is then done once"),
    ),
    request_body(content(
        (serde_json::Value = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "All items were acknowledged", body = crate::report::Report),
        (status = 207, description = "Some were acknowledged, and others not: see errors", body = crate::report::Report),
        (status = 400, description = "The body is no JSON, or has no item", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such stream", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not come in time", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this Idempotency-Key is under way", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large, or has too many items", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The media type or encoding is another", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No item is right (application/json), or the Idempotency-Key was another body's \
                                      (application/problem+json)", content(
            (crate::report::Report = "application/json"),
            (Problem = "application/problem+json"),
        )),
        (status = 429, description = "The key's rate limit is used up", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No item was acknowledged (application/json), or there is too much under way \
                                      (application/problem+json): try again after Retry-After", content(
            (crate::report::Report = "application/json"),
            (Problem = "application/problem+json"),
        )),
    ),
    security(("key" = [])),
)]
pub(crate) async fn ingest(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let name = path.map_or_else(|_| String::new(), |Path(name)| name);
    let label = gateway.stream(&name).map_or(UNKNOWN, |stream| stream.name);
    let response = match Gateway::ingest(&gateway, &name, request).await {
        Ok(answer) => answer.into_response(),
        Err(problem) => {
            gateway.metrics.problem(&problem.code);
            problem.into_response()
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    gateway
        .metrics
        .request(label, response.status().as_u16(), seconds);
    response
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (&*self.report).into_response();
        if self.is_replayed {
            let headers = response.headers_mut();
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A stream that takes items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamInfo {
    /// Its name.
    name: &'static str,
    /// The topic that its records go to, by the key `userId`.
    topic: String,
    /// The registry's id of the schema that values are written with.
    schema_id: u32,
    /// That schema, in Avro's own JSON.
    schema: serde_json::Value,
}

/// The streams, and what a request may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Streams {
    /// The streams.
    streams: Vec<StreamInfo>,
    /// Bytes of a body, decompressed.
    max_body_bytes: usize,
    /// Items of a request.
    max_items: usize,
    /// Bytes of an item.
    max_item_bytes: usize,
}

#[utoipa::path(
    get,
    path = "/v1/streams",
    operation_id = "streams",
    summary = "The streams that take records",
    responses(
        (status = 200, description = "The streams, and what a request may have", body = Streams),
        (status = 401, description = "A key is needed", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = [])),
)]
pub(crate) async fn streams(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if let Err(problem) = gateway.access.client(request.headers()) {
        gateway.metrics.problem(&problem.code);
        return problem.into_response();
    }
    let info = |stream: &Arc<Stream>| StreamInfo {
        name: stream.name,
        topic: stream.topic_name.clone(),
        schema_id: stream.schema_id,
        schema: serde_json::from_str(stream.schema()).unwrap_or_default(),
    };
    Json(Streams {
        streams: gateway.streams.iter().map(info).collect(),
        max_body_bytes: gateway.settings.max_body_bytes,
        max_items: gateway.settings.max_items,
        max_item_bytes: gateway.settings.max_item_bytes,
    })
    .into_response()
}

async fn document(State(gateway): State<Arc<Gateway>>) -> Response {
    Json(openapi::document(&gateway)).into_response()
}

async fn nothing(request: Request) -> Response {
    let detail = format!(
        "there is no {}: POST /v1/STREAM, GET /v1/streams, GET /openapi.json",
        request.uri().path()
    );
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail).into_response()
}
