//! An event as a whole, and its form on the wire: a CDEvent in a structured CloudEvent.
//!
//! In: a body with its id, source, time and scope. Out: JSON of CloudEvents 1.0 (structured mode)
//! whose `data` is the whole CDEvent 0.5.1; and back, with a typed error for what cannot be read.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use cloudevents::{AttributesReader, Data, EventBuilder, EventBuilderV10};
use serde_json::{Value, json};

use crate::{Body, EventId, Kind, RunId, Service, Timestamp, Traceparent, name::token};

/// The CDEvents specification that Ferry speaks.
pub const CDEVENTS_SPEC: &str = "0.5.1";

/// The content type of a structured CloudEvent.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The attribute of the CloudEvents extension Distributed Tracing, version 1.0.
const TRACEPARENT: &str = "traceparent";

/// Whose event it is: three tokens of its subject on the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The team that owns the module or repository.
    pub team: Option<String>,
    /// The module.
    pub module: Option<String>,
    /// The environment.
    pub environment: Option<String>,
}

impl Scope {
    /// The scope of a module in no environment yet.
    pub fn module(team: Option<&str>, module: &str) -> Self {
        Self {
            team: team.map(Into::into),
            module: Some(module.into()),
            environment: None,
        }
    }

    /// The same scope, in an environment.
    pub fn within(mut self, environment: &str) -> Self {
        self.environment = Some(environment.into());
        self
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Derived from the aggregate, its sequence, the type and the index.
    pub id: EventId,
    /// Who says it.
    pub source: Service,
    /// When it was decided.
    pub time: Timestamp,
    /// Whose it is.
    pub scope: Scope,
    /// The event that caused it, as a CDEvents link of type `PATH`.
    pub cause: Option<EventId>,
    /// Where it was said in its trace: `traceparent` of the CloudEvents extension Distributed Tracing.
    pub trace: Option<Traceparent>,
    /// What it says.
    pub body: Body,
}

/// Why bytes are no event that this version reads.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A type, or a version of a type, that a newer Ferry says: park it, do not dead-letter it.
    #[error("type {0:?} is not known to this version of Ferry")]
    Unknown(String),
    /// It is damaged, or not ours.
    #[error("not a readable event: {0}")]
    Malformed(String),
}

fn malformed(error: impl std::fmt::Display) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

impl Event {
    /// The subject that it is published on:
    /// `ferry.events.<team>.<module or _>.<environment or _>.<subject>.<predicate>`.
    pub fn bus_subject(&self) -> String {
        let part = |name: &Option<String>| name.as_deref().map_or_else(|| "_".into(), token);
        let kind = self.body.kind();
        format!(
            "ferry.events.{}.{}.{}.{}.{}",
            part(&self.scope.team),
            part(&self.scope.module),
            part(&self.scope.environment),
            kind.subject(),
            kind.predicate()
        )
    }

    /// The run that it belongs to, where it belongs to one. It is the event's `chainId`.
    pub fn run(&self) -> Option<RunId> {
        self.body.run()
    }

    /// The CDEvent.
    fn cdevent(&self) -> Value {
        let kind = self.body.kind();
        let mut context = json!({
            "specversion": CDEVENTS_SPEC,
            "id": self.id.to_string(),
            "source": self.source.source(),
            "type": kind.type_name(),
            "timestamp": self.time.to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        if let Some(run) = self.run() {
            context["chainId"] = json!(run.to_string());
        }
        if let Some(cause) = self.cause {
            context["links"] =
                json!([{"linkType": "PATH", "from": {"contextId": cause.to_string()}}]);
        }
        let mut event = json!({
            "context": context,
            "subject": {"id": self.body.subject_id(), "content": self.body.content()},
        });
        if kind.is_standard() {
            event["customData"] = self.body.payload();
            event["customDataContentType"] = json!("application/json");
        }
        event
    }

    /// The JSON of the structured CloudEvent: of an event the same bytes each time.
    pub fn encode(&self) -> Vec<u8> {
        let mut builder = EventBuilderV10::new()
            .id(self.id.to_string())
            .ty(self.body.kind().type_name())
            .source(self.source.source())
            .subject(self.body.subject_id())
            .time(self.time)
            .data("application/json", self.cdevent());
        let extensions = [
            ("team", &self.scope.team),
            ("module", &self.scope.module),
            ("environment", &self.scope.environment),
        ];
        for (name, value) in extensions {
            if let Some(value) = value {
                builder = builder.extension(name, value.as_str());
            }
        }
        if let Some(trace) = self.trace {
            builder = builder.extension(TRACEPARENT, trace.to_string());
        }
        let event = builder.build().expect("id, type and source are set");
        let event = serde_json::to_value(&event).expect("a CloudEvent is always JSON");
        // The library keeps extensions in an order of chance: a repeat would have other bytes.
        let sorted: BTreeMap<_, _> = event.as_object().into_iter().flatten().collect();
        serde_json::to_vec(&sorted).expect("a map of JSON is always JSON")
    }

    /// Reads the JSON of a structured CloudEvent.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`] for another type or version, else [`DecodeError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut event: cloudevents::Event = serde_json::from_slice(bytes).map_err(malformed)?;
        let type_name = event.ty().to_owned();
        let (kind, version) =
            Kind::of_type(&type_name).ok_or_else(|| DecodeError::Unknown(type_name.clone()))?;
        if version != kind.version() {
            return Err(DecodeError::Unknown(type_name));
        }
        let id = event.id().parse().map_err(malformed)?;
        let source = Service::of_source(event.source()).ok_or_else(|| {
            DecodeError::Malformed(format!("unknown source {:?}", event.source().to_string()))
        })?;
        let time = *event
            .time()
            .ok_or_else(|| DecodeError::Malformed("no time".into()))?;
        let extension = |name: &str| event.extension(name).map(ToString::to_string);
        let scope = Scope {
            team: extension("team"),
            module: extension("module"),
            environment: extension("environment"),
        };
        // It only helps to find one's way: an event with a broken one is an event.
        let trace = extension(TRACEPARENT).and_then(|text| text.parse().ok());
        let (_, _, data) = event.take_data();
        let mut cdevent = match data {
            Some(Data::Json(value)) => value,
            Some(Data::String(text)) => serde_json::from_str(&text).map_err(malformed)?,
            Some(Data::Binary(bytes)) => serde_json::from_slice(&bytes).map_err(malformed)?,
            None => return Err(DecodeError::Malformed("no data".into())),
        };
        if cdevent["context"]["id"].as_str() != Some(event.id())
            || cdevent["context"]["type"] != json!(type_name)
        {
            return Err(DecodeError::Malformed(
                "the CDEvent's context differs from the CloudEvent's".into(),
            ));
        }
        let cause = match cdevent["context"]["links"][0]["from"]["contextId"].as_str() {
            Some(text) => Some(text.parse().map_err(malformed)?),
            None => None,
        };
        let payload = if kind.is_standard() {
            &mut cdevent["customData"]
        } else {
            &mut cdevent["subject"]["content"]
        };
        let body = Body::read(kind, payload.take()).map_err(malformed)?;
        Ok(Self {
            id,
            source,
            time,
            scope,
            cause,
            trace,
            body,
        })
    }
}
