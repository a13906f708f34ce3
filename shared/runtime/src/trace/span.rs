//! Spans in OpenTelemetry's form, with the names of its semantic conventions where they have one (messaging, CICD,
//! deployment, VCS, CloudEvents) and names that begin with `ferry.` for the rest.
//!
//! In: [`Draft`]s; what a gateway accepted. Out: spans, given to the [`Tracer`].

use std::{borrow::Cow, time::SystemTime};

use ferry_events::{
    Body, Command, Event, Kind, Scope, Stop, Timestamp, Traceparent, push::Received, run::Outcome,
};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{self, Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{Doing, Draft, Ended, Heard, Here, SaidOf, Tracer};

impl Tracer {
    /// Takes what an aggregate did in one commit, which ended at a time.
    pub(crate) fn record(&self, drafts: Vec<Draft>, ended: Timestamp) {
        if !self.is_on() {
            return;
        }
        for draft in drafts {
            self.take(match draft {
                Draft::Event {
                    here,
                    heard,
                    event,
                    said,
                } => of_event(here, &heard, &event, said, ended),
                Draft::Command {
                    here,
                    heard,
                    command,
                    said,
                } => of_command(here, &heard, &command, said, ended),
                Draft::Work {
                    doing,
                    at,
                    ended,
                    said,
                } => of_work(&doing, at, ended, said),
                Draft::Begun {
                    own,
                    link,
                    scope,
                    run,
                } => {
                    let mut span = span("begin run", own, None, SpanKind::Internal, ended, ended);
                    scoped(&mut span.attributes, &scope);
                    push(
                        &mut span.attributes,
                        "cicd.pipeline.run.id",
                        run.to_string(),
                    );
                    span.links = links(link);
                    span
                }
            });
        }
    }

    /// Takes the first span of a push: a webhook was accepted, from its arrival until the push was durable. Where the
    /// sender has a trace of its own, `from` is linked: it is not Ferry's to go on with, since anybody may send one.
    pub fn accepted(&self, received: &Received, from: Option<Traceparent>, durable: Timestamp) {
        if !self.is_on() {
            return;
        }
        let route = format!("/hooks/{}", received.forge);
        let own = Traceparent::root(received.push.0);
        let name = format!("POST {route}");
        let began = received.received_at;
        let mut span = span(name, own, None, SpanKind::Server, began, durable);
        let to = &mut span.attributes;
        push(to, "http.request.method", "POST");
        push(to, "http.route", route);
        push(to, "http.response.status_code", 202_i64);
        push(to, "ferry.push", received.push.to_string());
        push(to, "vcs.repository.name", received.repository.clone());
        push(to, "vcs.ref.head.name", received.branch.clone());
        push(to, "vcs.ref.head.revision", received.after.clone());
        span.links = links(from);
        self.take(span);
    }

    /// Takes the first span of a command: a person asked for it, and it was made durable.
    pub fn asked(&self, command: &Command, from: Option<Traceparent>, durable: Timestamp) {
        if !self.is_on() {
            return;
        }
        let own = Traceparent::root(command.id.0);
        let name = format!("ask {}", command.verb.token());
        let mut span = span(name, own, None, SpanKind::Server, command.at, durable);
        commanded(&mut span.attributes, command);
        span.links = links(from);
        self.take(span);
    }
}

fn of_event(here: Here, heard: &Heard, event: &Event, said: SaidOf, ended: Timestamp) -> SpanData {
    let kind = event.body.kind().short_name();
    let name = format!("process {kind}");
    let mut span = handled(name, here, heard, said, ended);
    let to = &mut span.attributes;
    push(to, "messaging.message.id", event.id.to_string());
    push(to, "cloudevents.event_id", event.id.to_string());
    push(to, "cloudevents.event_source", event.source.source());
    push(to, "cloudevents.event_type", event.body.kind().type_name());
    scoped(to, &event.scope);
    bodied(to, &event.body);
    span
}

fn of_command(
    here: Here,
    heard: &Heard,
    command: &Command,
    said: SaidOf,
    ended: Timestamp,
) -> SpanData {
    let name = format!("process {}", command.verb.token());
    let mut span = handled(name, here, heard, said, ended);
    let id = command.id.to_string();
    push(&mut span.attributes, "messaging.message.id", id);
    commanded(&mut span.attributes, command);
    span
}

/// A message that was handled: from its time on the bus until the commit of what follows from it.
fn handled(name: String, here: Here, heard: &Heard, said: SaidOf, ended: Timestamp) -> SpanData {
    let parent = Some(here.parent);
    let mut span = span(name, here.own, parent, SpanKind::Consumer, heard.at, ended);
    span.parent_span_is_remote = true;
    let taken = trace::Event::new("taken", moment(heard.taken), Vec::new(), 0);
    span.events.events.push(taken);
    let to = &mut span.attributes;
    push(to, "messaging.system", "nats");
    push(to, "messaging.operation.type", "process");
    push(to, "messaging.operation.name", "process");
    push(to, "messaging.destination.name", heard.subject.clone());
    push(to, "ferry.delivery", number(heard.delivered));
    if !said.kinds.is_empty() {
        push(to, "ferry.says", words(&said.kinds));
    }
    if let Some(stop) = &said.stop {
        stopped(&mut span, stop);
    }
    span
}

fn of_work(doing: &Doing, at: Timestamp, ended: Ended, said: SaidOf) -> SpanData {
    let Doing {
        own,
        parent,
        concern,
        ..
    } = doing;
    let mut span = span(
        concern.step.unwrap_or(concern.what),
        *own,
        Some(*parent),
        SpanKind::Internal,
        doing.began,
        at,
    );
    span.links = links(doing.links.iter().copied());
    let to = &mut span.attributes;
    scoped(to, &concern.scope);
    push(to, "ferry.work", doing.key.to_string());
    push(to, "ferry.attempt", i64::from(doing.attempt));
    push(to, "cicd.pipeline.task.name", concern.what);
    if let Some(run) = concern.run {
        push(to, "cicd.pipeline.run.id", run.to_string());
    }
    if let Some(id) = concern.task.or(said.task_run) {
        push(to, "cicd.pipeline.task.run.id", id.to_string());
    }
    if let Some(base) = concern.base.clone().or(said.base) {
        push(to, "ferry.base", base);
    }
    if let Some(version) = said.version {
        push(to, "ferry.version", version);
    }
    if !said.kinds.is_empty() {
        push(to, "ferry.says", words(&said.kinds));
    }
    let result = match (ended, &said.stop) {
        (Ended::Cancelled, _) => "cancellation",
        (Ended::Late, _) => "skip",
        (Ended::Panicked, _) => "error",
        (Ended::Retried, _) | (Ended::Done, Some(_)) => "failure",
        (Ended::Done, None) => "success",
    };
    push(to, "cicd.pipeline.task.run.result", result);
    match &said.stop {
        Some(stop) => stopped(&mut span, stop),
        None if ended == Ended::Panicked => {
            push(&mut span.attributes, "error.type", "panic");
            span.status = Status::error("the work ended in a panic");
        }
        None => {}
    }
    span
}

/// Kinds in one attribute.
fn words(kinds: &[Kind]) -> String {
    let words: Vec<String> = kinds.iter().map(|kind| kind.short_name()).collect();
    words.join(", ")
}

/// A reason is what went wrong, by its code.
fn stopped(span: &mut SpanData, stop: &Stop) {
    push(&mut span.attributes, "error.type", stop.reason.code());
    span.status = Status::error(stop.to_string());
}

fn bodied(to: &mut Vec<KeyValue>, body: &Body) {
    if let Some(run) = body.run() {
        push(to, "cicd.pipeline.run.id", run.to_string());
    }
    if let Some(task) = body.task_run() {
        push(to, "cicd.pipeline.task.run.id", task.to_string());
    }
    if let Some(id) = body.push() {
        push(to, "ferry.push", id.to_string());
    }
    if let Some(id) = body.command() {
        push(to, "ferry.command", id.to_string());
    }
    if let Some(base) = body.base() {
        push(to, "ferry.base", base.to_owned());
    }
    if let Some(pool) = body.pool() {
        push(to, "ferry.pool", pool.to_owned());
    }
    if let Some(version) = body.version() {
        push(to, "ferry.version", version.to_owned());
    }
    if let Some(commit) = body.commit() {
        push(to, "vcs.ref.head.revision", commit.to_owned());
    }
    if let Body::RunFinished(it) = body {
        let result = match it.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Cancel => "cancellation",
            Outcome::Error => "error",
        };
        push(to, "cicd.pipeline.result", result);
    }
}

fn commanded(to: &mut Vec<KeyValue>, command: &Command) {
    push(to, "ferry.command", command.id.to_string());
    push(to, "ferry.verb", command.verb.token());
    let module = command.verb.module();
    let scope = Scope {
        team: None,
        module: (!module.is_empty()).then(|| module.to_owned()),
        environment: command.verb.environment().map(str::to_owned),
    };
    scoped(to, &scope);
}

fn scoped(to: &mut Vec<KeyValue>, scope: &Scope) {
    if let Some(team) = &scope.team {
        push(to, "ferry.team", team.clone());
    }
    if let Some(module) = &scope.module {
        push(to, "ferry.module", module.clone());
        push(to, "cicd.pipeline.name", module.clone());
    }
    if let Some(environment) = &scope.environment {
        push(to, "deployment.environment.name", environment.clone());
    }
}

fn push(to: &mut Vec<KeyValue>, key: &'static str, value: impl Into<Value>) {
    to.push(KeyValue::new(key, value));
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn moment(at: Timestamp) -> SystemTime {
    at.into()
}

fn context(of: Traceparent) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(*of.trace().as_bytes()),
        SpanId::from_bytes(of.span().to_be_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

fn links(to: impl IntoIterator<Item = Traceparent>) -> SpanLinks {
    let mut links = SpanLinks::default();
    let linked = to
        .into_iter()
        .map(|to| Link::new(context(to), Vec::new(), 0));
    links.links.extend(linked);
    links
}

fn span(
    name: impl Into<Cow<'static, str>>,
    own: Traceparent,
    parent: Option<Traceparent>,
    kind: SpanKind,
    began: Timestamp,
    ended: Timestamp,
) -> SpanData {
    SpanData {
        span_context: context(own),
        parent_span_id: parent.map_or(SpanId::INVALID, |it| {
            SpanId::from_bytes(it.span().to_be_bytes())
        }),
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: moment(began),
        // Clocks of several machines differ; a span never ends before it begins.
        end_time: moment(ended.max(began)),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("ferry")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}
