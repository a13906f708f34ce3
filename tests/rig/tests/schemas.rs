//! Schemas: every kind of event keeps its own, and damage breaks it.

#[path = "../../../shared/events/tests/samples/mod.rs"]
mod samples;

use std::collections::BTreeSet;
use std::fs;

use ferry_events::{Command, CommandId, Event, EventId, Kind, Scope, Service, Traceparent};
use ferry_rig::schemas::{self, EventSchemas};
use serde_json::{Value, json};
use uuid::Uuid;

/// One event of every kind, said by a service that may say it.
fn events() -> Vec<Value> {
    let bodies = samples::bodies();
    bodies
        .into_iter()
        .map(|body| {
            let kind = body.kind();
            let says = |service: &Service| service.contract().says.contains(&kind);
            let event = Event {
                id: EventId(Uuid::from_u128(7)),
                source: Service::ALL
                    .into_iter()
                    .find(says)
                    .unwrap_or(Service::Scheduler),
                time: samples::at(),
                scope: Scope::module(Some("core"), "cart").within("prod"),
                cause: Some(EventId(Uuid::from_u128(9))),
                trace: Some(Traceparent::root(Uuid::from_u128(10))),
                body,
            };
            serde_json::from_slice(&event.encode()).expect("an event is JSON")
        })
        .collect()
}

#[test]
fn every_kind_keeps_its_schema() {
    let schemas = EventSchemas::of_types().unwrap();
    let events = events();
    let kinds: BTreeSet<String> = events
        .iter()
        .map(|event| event["type"].to_string())
        .collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "an event of every kind");
    for event in events {
        schemas.check(&event).unwrap();
    }
}

#[test]
fn what_is_missing_foreign_or_of_another_type_breaks_it() {
    let schemas = EventSchemas::of_types().unwrap();
    let files = schemas::files();
    for event in events() {
        let broken = |change: &dyn Fn(&mut Value)| {
            let mut broken = event.clone();
            change(&mut broken);
            assert!(schemas.check(&broken).is_err(), "{broken}");
        };
        broken(&|event| event["id"] = json!("7"));
        broken(&|event| event["source"] = json!("/elsewhere"));
        broken(&|event| event["time"] = json!("yesterday"));
        broken(&|event| event["data"]["context"]["specversion"] = json!("0.4.1"));
        broken(&|event| event["data"]["more"] = json!(1));
        broken(&|event| event["data"]["subject"]["content"] = json!([]));
        broken(&|event| event["type"] = json!("dev.cdevents.build.queued.0.4.0"));
        // Every field that the payload must have.
        let (payload, place) = if event["data"]["customData"].is_object() {
            (
                "/data/customData",
                "/properties/data/properties/customData/required",
            )
        } else {
            (
                "/data/subject/content",
                "/properties/data/properties/subject/properties/content/required",
            )
        };
        let schema = &files[&file_of(&event)];
        let schema: Value = serde_json::from_str(schema).unwrap();
        let required = schema.pointer(place).and_then(Value::as_array).unwrap();
        assert!(!required.is_empty(), "{}", event["type"]);
        for field in required.iter().filter_map(Value::as_str) {
            broken(&|event| {
                event
                    .pointer_mut(payload)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(field);
            });
            broken(&|event| event.pointer_mut(payload).unwrap()[field] = json!(-1.5));
        }
    }
}

fn file_of(event: &Value) -> String {
    let (kind, _) = Kind::of_type(event["type"].as_str().unwrap()).unwrap();
    format!("events/{}.json", kind.short_name())
}

#[test]
fn the_schema_of_commands_takes_every_verb_and_no_other() {
    let text = &schemas::files()["commands.json"];
    let schema: Value = serde_json::from_str(text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let base = json!({"id": Uuid::from_u128(1), "at": samples::at(), "actor": "ops"});
    for verb in [
        json!({"run": {"module": "cart", "commit": "main"}}),
        json!({"rollback": {"module": "cart", "environment": "prod", "to": null}}),
    ] {
        let mut command = base.clone();
        command["verb"] = verb;
        let read: Command = serde_json::from_value(command.clone()).unwrap();
        assert_eq!(read.id, CommandId(Uuid::from_u128(1)));
        assert!(validator.is_valid(&command), "{command}");
        command["verb"] = json!({"explode": {"module": "cart"}});
        assert!(!validator.is_valid(&command));
    }
}

#[test]
fn the_bus_document_names_every_kind_verb_and_service() {
    let files = schemas::files();
    let document: Value = serde_json::from_str(&files["asyncapi.json"]).unwrap();
    let channels = document["channels"].as_object().unwrap();
    for kind in Kind::ALL {
        let channel = &channels[&kind.short_name()];
        let file = channel["messages"]["event"]["payload"]["schema"]["$ref"]
            .as_str()
            .unwrap();
        assert!(files.contains_key(file.trim_start_matches("./")), "{file}");
    }
    let operations = document["operations"].as_object().unwrap();
    for (name, operation) in operations {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        let channel = channel.trim_start_matches("#/channels/");
        assert!(channels.contains_key(channel), "{name}: {channel}");
    }
    let takers: BTreeSet<&str> = operations
        .keys()
        .filter_map(|name| name.split_once(".takes."))
        .map(|(who, _)| who)
        .collect();
    assert!(
        takers.contains("scheduler") && takers.contains("builder"),
        "{takers:?}"
    );
}

#[test]
fn a_folder_that_differs_is_named_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let all = schemas::write(dir.path()).unwrap();
    let pages = ["docs/events.md", "docs/reasons.md"];
    // Commands, ferry.toml, a module's own file, and the two descriptions.
    assert_eq!(all.len(), Kind::ALL.len() + 5 + pages.len());
    assert!(schemas::differing(dir.path()).unwrap().is_empty());

    fs::write(dir.path().join("schemas/openapi.json"), "{}").unwrap();
    fs::write(dir.path().join("schemas/events/gone.json"), "{}").unwrap();
    fs::remove_file(dir.path().join("schemas/commands.json")).unwrap();
    let wrong = [
        "schemas/commands.json",
        "schemas/events/gone.json",
        "schemas/openapi.json",
    ];
    assert_eq!(schemas::differing(dir.path()).unwrap(), wrong);
    assert_eq!(schemas::write(dir.path()).unwrap(), wrong);
    assert!(!dir.path().join("schemas/events/gone.json").exists());
    assert!(schemas::differing(dir.path()).unwrap().is_empty());
}

#[test]
fn openapi_refers_only_to_what_it_has() {
    let document: Value = serde_json::from_str(&schemas::files()["openapi.json"]).unwrap();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let place = reference.trim_start_matches('#');
                    assert!(document.pointer(place).is_some(), "{reference}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}
