//! The schema of one kind of event as it is on the wire: a CDEvent 0.5.1 in a
//! structured CloudEvent 1.0.
//!
//! In: a kind. Out: a JSON schema (2020-12).

use ferry_events::envelope::CDEVENTS_SPEC;
use ferry_events::{Kind, Service};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::content;

/// The schema of the whole event.
pub(super) fn schema(kind: Kind) -> Value {
    // As Ferry writes it, not as it would read it.
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let payload = kind.payload_schema(&mut generator).to_value();
    let mut definitions = generator.take_definitions(true);
    let payload = in_place(payload, &mut definitions);
    let about = payload["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let data = cdevent(kind, payload);

    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.short_name(),
        "description": format!("{about} A CDEvent {CDEVENTS_SPEC} in a structured CloudEvent."),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": uuid("Derived from the aggregate that says it, so that a retry has the same one."),
            "source": source(kind),
            "type": { "const": kind.type_name() },
            "subject": { "type": "string", "minLength": 1 },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "team": { "type": "string", "description": "The team that owns the module or repository." },
            "module": { "type": "string", "description": "The module that it is about." },
            "environment": { "type": "string", "description": "The environment that it is about." },
            "traceparent": {
                "type": "string",
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "description": "The span that says it, and its trace (CloudEvents' extension Distributed Tracing).",
            },
            "data": data,
        },
    });
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    schema
}

/// A payload that several kinds share is only referred to: it belongs here.
fn in_place(payload: Value, definitions: &mut Map<String, Value>) -> Value {
    let shared = payload["$ref"]
        .as_str()
        .and_then(|place| place.strip_prefix("#/$defs/"));
    let Some(mut whole) = shared.and_then(|name| definitions.remove(name)) else {
        return payload;
    };
    whole["description"] = payload["description"].clone();
    whole
}

/// The CDEvent: `data` of the CloudEvent.
fn cdevent(kind: Kind, payload: Value) -> Value {
    let standard = content::of(kind);
    let is_standard = standard.is_some();
    let (content, custom) = match standard {
        Some(content) => (content, Some(payload)),
        None => (payload, None),
    };
    let mut event = json!({
        "type": "object",
        "required": ["context", "subject"],
        "additionalProperties": false,
        "properties": {
            "context": context(kind),
            "subject": {
                "type": "object",
                "required": ["id", "content"],
                "additionalProperties": false,
                "properties": {
                    "id": { "type": "string", "minLength": 1 },
                    "content": content,
                },
            },
        },
    });
    if let Some(custom) = custom {
        event["properties"]["customData"] = custom;
        event["properties"]["customDataContentType"] = json!({ "const": "application/json" });
    }
    if is_standard {
        event["required"] = json!(["context", "subject", "customData", "customDataContentType"]);
    }
    event
}

fn context(kind: Kind) -> Value {
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type", "timestamp"],
        "additionalProperties": false,
        "properties": {
            "specversion": { "const": CDEVENTS_SPEC },
            "id": uuid("The CloudEvent's id."),
            "source": source(kind),
            "type": { "const": kind.type_name() },
            "timestamp": { "type": "string", "format": "date-time" },
            "chainId": uuid("The run that it belongs to."),
            "links": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["linkType", "from"],
                    "additionalProperties": false,
                    "properties": {
                        "linkType": { "const": "PATH" },
                        "from": {
                            "type": "object",
                            "required": ["contextId"],
                            "additionalProperties": false,
                            "properties": { "contextId": uuid("The event that caused it.") },
                        },
                    },
                },
            },
        },
    })
}

/// Only who may say it, by the table of contracts.
fn source(kind: Kind) -> Value {
    let sources: Vec<String> = Service::ALL
        .iter()
        .filter(|service| service.contract().says.contains(&kind))
        .map(|service| service.source())
        .collect();
    // A kind that no service says yet could come from any.
    if sources.is_empty() {
        return json!({ "type": "string", "pattern": "^/ferry/" });
    }
    json!({ "enum": sources })
}

fn uuid(about: &str) -> Value {
    json!({ "type": "string", "format": "uuid", "description": about })
}
