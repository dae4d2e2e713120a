//! The description of the API, made of the handlers and of the streams' schemas.

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::ingest::Gateway;
use crate::intake::Stream;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Millrace gateway",
        description = "Ingestion over HTTP: answered once the brokers have acknowledged. See docs/gateway.md.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(crate::api::ingest, crate::api::streams)
)]
struct Description;

/// The OpenAPI document of a gateway.
pub(crate) fn document(gateway: &Gateway) -> Value {
    let described = serde_json::to_value(Description::openapi());
    // It is of plain texts and maps.
    let mut document = described.unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let names: Vec<_> = gateway.streams.iter().map(|stream| stream.name).collect();
    let post = &mut document["paths"]["/v1/{stream}"]["post"];
    for parameter in post["parameters"].as_array_mut().into_iter().flatten() {
        if parameter["name"] == "stream" {
            parameter["schema"]["enum"] = json!(names);
        }
    }
    let items: Vec<_> = names
        .iter()
        .map(|name| json!({"$ref": format!("#/components/schemas/{name}")}))
        .collect();
    let array = json!({
        "type": "array", "minItems": 1, "maxItems": gateway.settings.max_items, "items": {"oneOf": items},
    });
    let any: Vec<_> = items.iter().cloned().chain([array]).collect();
    post["requestBody"]["content"]["application/json"]["schema"] = json!({"oneOf": any});
    for stream in &gateway.streams {
        document["components"]["schemas"][stream.name] = item_schema(stream);
    }
    if gateway.access.is_required() {
        document["components"]["securitySchemes"] = json!({"key": {"type": "http", "scheme": "bearer"}});
    } else {
        for method in document["paths"]
            .as_object_mut()
            .into_iter()
            .flat_map(serde_json::Map::values_mut)
            .filter_map(Value::as_object_mut)
            .flat_map(serde_json::Map::values_mut)
        {
            if let Some(method) = method.as_object_mut() {
                method.remove("security");
            }
        }
    }
    document
}

/// The JSON schema of a stream's items, by its Avro schema: what JSON Schema can say of it.
fn item_schema(stream: &Stream) -> Value {
    let avro: Value = serde_json::from_str(stream.schema()).unwrap_or_default();
    let fields = avro["fields"].as_array().cloned().unwrap_or_default();
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .filter_map(|field| {
            let name = field["name"].as_str()?;
            let mut schema = field_schema(name, &field["type"]);
            if let (Some(expected), Some(schema)) = (Stream::expected(name), schema.as_object_mut()) {
                schema.insert("description".to_owned(), expected.into());
            }
            Some((name.to_owned(), schema))
        })
        .collect();
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({
        "type": "object",
        "description": avro["doc"],
        "properties": properties,
        "required": required,
    })
}

fn field_schema(name: &str, avro: &Value) -> Value {
    let kind = avro["type"].as_str().or(avro.as_str()).unwrap_or_default();
    match (kind, avro["logicalType"].as_str()) {
        ("string", Some("uuid")) => json!({"type": "string", "format": "uuid"}),
        ("long", _) => json!({"type": "integer", "format": "int64", "minimum": 0}),
        ("double", _) => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 200_000_000_000_i64}),
        ("boolean", _) => json!({"type": "boolean"}),
        ("enum", _) => json!({"type": "string", "enum": avro["symbols"]}),
        _ if name == "currency" => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 64}),
    }
}
