//! What an accepted push becomes on the bus.
//!
//! In: a verified delivery's push. Out: [`Received`], the event and the batch
//! that makes both durable at once, created only if absent.

use std::time::Duration;

use ferry_bus::{Batch, Keep, Write};
use ferry_config::{Config, Forge};
use ferry_events::push::Received;
use ferry_events::{Body, Event, EventId, PushId, Scope, Service, Timestamp, Traceparent, subject};

use super::forge::{Author, Push};

/// How long a push's record is kept, so that a redelivery is known at once.
/// GitHub lets one redeliver for 3 days; ten times that. Later the builder says
/// that the head is there already.
const PUSH_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest line of a message or name that an event carries, in characters:
/// what a screen shows of it.
const LINE_MAX: usize = 200;

/// The record of an accepted push.
#[must_use]
pub fn received(
    forge: Forge,
    repository: &str,
    delivery_id: &str,
    push: &Push,
    now: Timestamp,
) -> Received {
    Received {
        push: PushId::of(forge.as_str(), repository, delivery_id, &push.reference()),
        forge: forge.as_str().to_owned(),
        repository: repository.to_owned(),
        branch: push.branch.clone(),
        before: push.before.clone(),
        after: push.after.clone(),
        forced: push.forced.unwrap_or(false),
        author: shown(&push.author),
        message: push.message.as_deref().and_then(line),
        received_at: now,
    }
}

/// Where a push's record stands on the bus.
#[must_use]
pub fn subject_of(push: PushId) -> String {
    subject::state(Service::Gateway, &key(push))
}

/// The batch: the record, only if there is none, and `push.received`.
#[must_use]
pub fn batch(config: &Config, received: &Received) -> Batch {
    let team = config
        .repositories
        .get(&received.repository)
        .and_then(|it| it.team.clone());
    let body: Body = received.clone().into();
    let kind = body.kind().short_name();
    let event = Event {
        id: EventId::of(Service::Gateway.name(), &key(received.push), 1, &kind, 0),
        source: Service::Gateway,
        time: received.received_at,
        scope: Scope {
            team,
            module: None,
            environment: None,
        },
        cause: None,
        trace: Some(Traceparent::root(received.push.0)),
        body,
    };
    let record = serde_json::to_vec(received).expect("a record is always JSON");
    vec![
        Write::state(subject_of(received.push), record, 0, Keep::For(PUSH_KEPT)),
        Write::event(&event),
    ]
    .into()
}

fn key(push: PushId) -> String {
    format!("push.{push}")
}

/// `Name <mail>`, or the one of them that is there.
fn shown(author: &Author) -> Option<String> {
    let (name, email) = (line(&author.name), line(&author.email));
    match (name, email) {
        (Some(name), Some(email)) => Some(format!("{name} <{email}>")),
        (one, other) => one.or(other),
    }
}

/// The first line that says something, cut to what a screen shows.
fn line(text: &str) -> Option<String> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(
        first
            .chars()
            .filter(|c| !c.is_control())
            .take(LINE_MAX)
            .collect(),
    )
}
