//! `openapi.json`: the HTTP API, from its table of routes and its types.
//!
//! In: [`ROUTES`]. Out: an OpenAPI 3.1 document.

use ferry_api::Problem;
use ferry_api::problem;
use ferry_api::route::{Access, Gives, ROUTES, Reply, Route, Shape, Takes};
use ferry_config::Forge;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Where OpenAPI keeps what schemas refer to.
const DEFINITIONS: &str = "/components/schemas";

/// The whole document.
pub(super) fn openapi() -> Value {
    let mut generators = Generators::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = generators.operation(route);
    }
    let refusal = generators.gives.subschema_for::<Problem>();
    let schemas = generators.definitions();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ferry's HTTP API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "refusal": {
                    "description": "Why it was refused, and what to do next (RFC 9457).",
                    "content": { problem::CONTENT_TYPE: { "schema": refusal } },
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token whose hash stands in [tokens] of ferry.toml.",
                },
            },
        },
    })
}

/// What is read and what is written may differ: a default need not be sent.
struct Generators {
    takes: SchemaGenerator,
    gives: SchemaGenerator,
}

impl Generators {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = DEFINITIONS.into();
            settings.meta_schema = None;
        });
        Self {
            takes: settings.clone().for_deserialize().into_generator(),
            gives: settings.for_serialize().into_generator(),
        }
    }

    fn operation(&mut self, route: &Route) -> Value {
        let mut parameters: Vec<Value> = path_parameters(route.path).collect();
        if let Some(query) = route.query {
            parameters.extend(self.query_parameters(query));
        }
        let mut replies = Map::new();
        for reply in route.replies {
            self.reply(&mut replies, reply);
        }
        replies.insert(
            "default".to_owned(),
            json!({ "$ref": "#/components/responses/refusal" }),
        );
        let mut operation = json!({
            "operationId": route.name,
            "summary": route.summary,
            "parameters": parameters,
            "responses": replies,
        });
        match route.access {
            Access::Open => {}
            Access::Signature => {
                operation["description"] =
                    json!("The forge's signature header is checked over the raw body.");
            }
            Access::Token(role) => {
                operation["description"] = json!(format!("Needs a token with role `{role}`."));
                operation["security"] = json!([{ "token": [] }]);
            }
        }
        let content = match route.takes {
            Takes::Nothing => return operation,
            Takes::Json(shape) => {
                json!({ "application/json": { "schema": shape(&mut self.takes) } })
            }
            Takes::Delivery => json!({ "application/json": { "schema": { "type": "object" } } }),
            Takes::Jar => json!({ "application/java-archive": {} }),
        };
        operation["requestBody"] = json!({ "required": true, "content": content });
        operation
    }

    /// Two replies with one status are two contents of one response.
    fn reply(&mut self, replies: &mut Map<String, Value>, reply: &Reply) {
        let (content_type, schema) = match reply.gives {
            Gives::Json(shape) => ("application/json", json!(shape(&mut self.gives))),
            Gives::Stream(shape) => ("text/event-stream", json!(shape(&mut self.gives))),
            Gives::Metrics => ("text/plain", json!({ "type": "string" })),
        };
        let response = replies
            .entry(reply.status.to_string())
            .or_insert_with(|| json!({ "description": "", "content": {} }));
        let said = response["description"].as_str().unwrap_or_default();
        response["description"] = json!(format!("{said} {}", reply.when).trim_start());
        response["content"][content_type] = json!({ "schema": schema });
    }

    /// Each field of a query's type is a parameter of its own.
    fn query_parameters(&mut self, query: Shape) -> Vec<Value> {
        let name = query(&mut self.takes)
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.rsplit('/').next())
            .expect("a query is a struct")
            .to_owned();
        // It is spread over parameters, and nothing else refers to it.
        let fields = self
            .takes
            .definitions_mut()
            .remove(&name)
            .expect("it was just made");
        let fields = fields["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        fields
            .into_iter()
            .map(|(name, mut schema)| {
                let about = schema
                    .as_object_mut()
                    .and_then(|schema| schema.remove("description"));
                json!({ "in": "query", "name": name, "description": about, "schema": schema })
            })
            .collect()
    }

    /// What was referred to, from both sides.
    fn definitions(&mut self) -> Map<String, Value> {
        let mut definitions = self.gives.take_definitions(true);
        for (name, schema) in self.takes.take_definitions(true) {
            let written = definitions.insert(name.clone(), schema.clone());
            assert!(
                written.is_none_or(|written| written == schema),
                "{name} is read otherwise than it is written: give the request a type of its own"
            );
        }
        definitions
    }
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let mut schema = json!({ "type": "string" });
        if name == "forge" {
            schema["enum"] = Forge::ALL.iter().map(|forge| forge.as_str()).collect();
        }
        Some(json!({ "in": "path", "name": name, "required": true, "schema": schema }))
    })
}
