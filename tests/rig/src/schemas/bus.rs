//! `asyncapi.json`: what goes over the bus, and who says and takes it, from the
//! table of contracts.
//!
//! In: contracts, kinds, verbs, facts. Out: an AsyncAPI 3.0 document.

use ferry_events::artifact::Biz;
use ferry_events::command::{OnBase, Rollout};
use ferry_events::envelope::CONTENT_TYPE;
use ferry_events::fact::{ActivePlan, BaseRecord, Wanted};
use ferry_events::letter::Letter;
use ferry_events::line::Stretch;
use ferry_events::{Digest, Kind, LetterId, RunId, Service, Verb};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::event_file;

/// The format of the schemas that messages refer to.
const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-2020-12";

/// The whole document.
pub(super) fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    for kind in Kind::ALL {
        channels.insert(kind.short_name(), event_channel(*kind));
    }
    for verb in verbs() {
        let name = command_name(&verb);
        channels.insert(name.clone(), command_channel(&verb));
        operations.insert(
            format!("{}.takes.{name}", verb.service()),
            operation("receive", verb.service(), &name),
        );
    }
    channels.insert(
        "fact.plan".to_owned(),
        fact_channel::<ActivePlan>(
            "ferry.facts.scheduler.plan.{module}.{environment}",
            "The plan in force for a module in an environment.",
        ),
    );
    channels.insert(
        "fact.wanted".to_owned(),
        fact_channel::<Wanted>(
            "ferry.facts.scheduler.wanted.{module}.{environment}",
            "What bases should run of a module in an environment.",
        ),
    );
    channels.insert(
        "fact.base".to_owned(),
        fact_channel::<BaseRecord>(
            "ferry.facts.installer.base.{base}",
            "What the installer left on a base.",
        ),
    );
    for service in Service::ALL {
        let contract = service.contract();
        for kind in contract.says {
            let name = kind.short_name();
            operations.insert(
                format!("{service}.says.{name}"),
                operation("send", service, &name),
            );
        }
        for kind in contract.takes {
            let name = kind.short_name();
            operations.insert(
                format!("{service}.takes.{name}"),
                operation("receive", service, &name),
            );
        }
        for verb in verbs()
            .iter()
            .filter(|verb| contract.commands.contains(&verb.service()))
        {
            let name = command_name(verb);
            operations.insert(
                format!("{service}.says.{name}"),
                operation("send", service, &name),
            );
        }
    }
    for (name, says) in [
        ("fact.plan", Service::Scheduler),
        ("fact.base", Service::Installer),
    ] {
        operations.insert(format!("{says}.says.{name}"), operation("send", says, name));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ferry on the bus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events are CDEvents in structured CloudEvents on JetStream's stream FERRY. Names that are no tokens of a subject are encoded.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
    })
}

/// Replays and drops go to the service whose letter it is.
fn command_name(verb: &Verb) -> String {
    match verb {
        Verb::Replay(_) | Verb::Drop(_) => format!("command.{}.{}", verb.service(), verb.token()),
        _ => format!("command.{}", verb.token()),
    }
}

/// One of every verb. A new one does not compile until it is here too.
fn verbs() -> Vec<Verb> {
    let module = String::new();
    let biz = Biz {
        name: String::new(),
        version: String::new(),
        web_context_path: None,
    };
    let run = Verb::Run {
        module: module.clone(),
        commit: String::new(),
        branch: None,
        force: false,
    };
    match &run {
        Verb::Run { .. }
        | Verb::Deploy { .. }
        | Verb::Rollback { .. }
        | Verb::Approve(_)
        | Verb::Promote(_)
        | Verb::Pause(_)
        | Verb::Resume(_)
        | Verb::Abort(_)
        | Verb::Hold(_)
        | Verb::Release(_)
        | Verb::Restart(_)
        | Verb::Replay(_)
        | Verb::Drop(_) => {}
    }
    let rollout = Rollout {
        run: RunId::of("", "", 0, ""),
        module: module.clone(),
        environment: String::new(),
    };
    let base = OnBase {
        base: String::new(),
        environment: String::new(),
    };
    let letters = Service::ALL
        .into_iter()
        .filter(|service| service.contract().takes_commands)
        .flat_map(|service| {
            let letter = Letter {
                letter: LetterId::of(service.name(), "", 0),
                service,
                sequence: 0,
                module: None,
            };
            [Verb::Replay(letter.clone()), Verb::Drop(letter)]
        });
    [
        run,
        Verb::Deploy {
            module: module.clone(),
            digest: Digest::of(b""),
            size: 0,
            biz,
            commit: None,
            force: false,
        },
        Verb::Rollback {
            module: module.clone(),
            environment: String::new(),
            to: None,
        },
        Verb::Approve(rollout.clone()),
        Verb::Promote(rollout),
        Verb::Pause(Stretch::Everything),
        Verb::Resume(Stretch::Everything),
        Verb::Abort(Stretch::Everything),
        Verb::Hold(base.clone()),
        Verb::Release(base.clone()),
        Verb::Restart(base),
    ]
    .into_iter()
    .chain(letters)
    .collect()
}

fn event_channel(kind: Kind) -> Value {
    let (subject, predicate) = (kind.subject(), kind.predicate());
    json!({
        "address": format!("ferry.events.{{team}}.{{module}}.{{environment}}.{subject}.{predicate}"),
        "parameters": {
            "team": { "description": "The team that owns it; `_` where there is none." },
            "module": { "description": "The module; `_` where it is about none." },
            "environment": { "description": "The environment; `_` where it is about none." },
        },
        "messages": {
            "event": {
                "name": kind.type_name(),
                "contentType": CONTENT_TYPE,
                "payload": referred(&format!("./{}", event_file(kind))),
            },
        },
    })
}

fn command_channel(verb: &Verb) -> Value {
    json!({
        "address": format!("ferry.commands.{}.{}", verb.service(), verb.token()),
        "messages": {
            "command": {
                "name": verb.token(),
                "contentType": "application/json",
                "payload": referred("./commands.json"),
            },
        },
    })
}

fn fact_channel<T: JsonSchema>(address: &str, about: &str) -> Value {
    let schema = SchemaSettings::draft2020_12()
        // A reference would be looked up from the document's root.
        .with(|settings| settings.inline_subschemas = true)
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>();
    let names = address
        .split('.')
        .filter_map(|token| token.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Map<String, Value> = names
        .map(|name| {
            (
                name.to_owned(),
                json!({ "description": format!("The {name}.") }),
            )
        })
        .collect();
    json!({
        "address": address,
        "description": about,
        "parameters": parameters,
        "messages": {
            "fact": {
                "contentType": "application/json",
                "payload": { "schemaFormat": SCHEMA_FORMAT, "schema": schema },
            },
        },
    })
}

fn referred(file: &str) -> Value {
    json!({ "schemaFormat": SCHEMA_FORMAT, "schema": { "$ref": file } })
}

fn operation(action: &str, service: Service, channel: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "tags": [{ "name": service.name() }],
    })
}
