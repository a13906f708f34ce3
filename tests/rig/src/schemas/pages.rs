//! The pages of `docs/` that are generated: events and reasons.
//!
//! In: the kinds, contracts and reasons. Out: Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ferry_events::{Kind, Reason, Service, envelope::CDEVENTS_SPEC};

/// Every generated page by its path below `docs/`.
pub fn pages() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("events.md".to_owned(), events()),
        ("reasons.md".to_owned(), reasons()),
    ])
}

fn names(fits: impl Fn(Service) -> bool) -> String {
    let found: Vec<&str> = Service::ALL
        .into_iter()
        .filter(|service| fits(*service))
        .map(Service::name)
        .collect();
    if found.is_empty() {
        "—".to_owned()
    } else {
        found.join(", ")
    }
}

fn events() -> String {
    let mut page = format!(
        "# Events

<!-- Generated from the types: cargo xtask schemas -->

Every event is a [CDEvent](https://cdevents.dev) {CDEVENTS_SPEC} in a structured
[CloudEvent](https://cloudevents.io) 1.0, on

```
ferry.events.<team>.<module or _>.<environment or _>.<subject>.<predicate>
```

- `id` is derived (UUIDv5 of aggregate, sequence, type and index): a retry has the same one, so a consumer may
  drop what it has seen.
- `chainId` is the run: one push, one module. `links` of type `PATH` name the event that caused this one.
- The CloudEvents extensions `team`, `module` and `environment` repeat the subject's tokens, unencoded.
- The CloudEvents extension `traceparent` (Distributed Tracing) is the span that says it. A trace has the id of the push,
  command or run that it began with: whoever does more work for an event may make a span below it.
- Standard types carry Ferry's own payload in `customData`, Ferry's own types in `subject.content`.
- `service.deployed`, `.upgraded` and `.rolledback` are said once an environment; what happens on each
  base is `taskrun.finished` and `testsuiterun.finished`.
- An event of a newer version than a service knows is parked, not lost: consumers upgrade first.

Over HTTP: `GET /events?module=…&type=…` is the same as server-sent events, resumable by `Last-Event-ID`. On NATS:
a consumer of the stream `FERRY` with a filter such as `ferry.events.*.cart.>`. The JSON Schema of each type is in
`schemas/events/`, the whole bus in `schemas/asyncapi.json`.

What is *kept* stands in the stream `FERRY_AUDIT` too, on the same subjects and with the same ids, when `FERRY` has
forgotten it: `GET /audit?since=…&module=…`.

| type | says | takes | kept | what |
|---|---|---|---|---|
"
    );
    for kind in Kind::ALL {
        let (short, name) = (kind.short_name(), kind.type_name());
        let says = names(|service| service.contract().says.contains(kind));
        let takes = names(|service| service.contract().takes.contains(kind));
        let (what, kept) = (what(*kind), if kind.is_kept() { "yes" } else { "" });
        writeln!(
            page,
            "| [`{name}`](../schemas/events/{short}.json) | {says} | {takes} | {kept} | {what} |"
        )
        .expect("a text grows");
    }
    page
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::PushReceived => "a verified delivery moves a branch",
        Kind::PushResolved => "git was asked what a push moved",
        Kind::ChangeMerged => "a commit concerns a module; its run begins",
        Kind::BuildQueued => "a build waits for its turn",
        Kind::BuildStarted => "a build began",
        Kind::BuildFinished => "a build ended",
        Kind::ArtifactPackaged => "the jar as built is in the store",
        Kind::ArtifactPublished => "the release is ready to be rolled out",
        Kind::ArtifactRefused => "the jar cannot be installed as it is",
        Kind::ProfilePublished => {
            "what a build of a base provides is known, and slimmed against from now on"
        }
        Kind::RunQueued => "a run is known",
        Kind::RunStarted => "a run's first work began",
        Kind::RunFinished => "a run ended",
        Kind::RolloutRequested => "a run has come to an environment",
        Kind::RolloutPlanned => "a plan is in force",
        Kind::RolloutFinished => "a rollout ended",
        Kind::WaveStarted => "a wave began",
        Kind::WaveFinished => "a wave ended",
        Kind::GateRequested => "a rollout waits for something",
        Kind::GateJudged => "the verifier's verdict on what a rollout waits for",
        Kind::GateFinished => "a wait ended",
        Kind::LineChanged => "a person paused, resumed or aborted; held or released a base",
        Kind::LineAsked => {
            "a module came to an environment for the first time, and asks what is paused"
        }
        Kind::LineTold => "what is paused for it",
        Kind::JointReported => "a module of a release of several says how far it is",
        Kind::JointTold => "what a module of a release of several may do",
        Kind::TaskRequested => "a base shall be changed",
        Kind::TaskStarted => "a task is in hand",
        Kind::TaskFinished => "a task ended",
        Kind::ObservationRequested => "a module shall be looked at",
        Kind::ModuleAnswering => "a module answered well for the first time",
        Kind::ObservationFinished => "the verdict on a module on a base",
        Kind::ServiceDeployed => "live in an environment for the first time",
        Kind::ServiceUpgraded => "another version is live in an environment",
        Kind::ServiceRolledback => "the version before is live in an environment again",
        Kind::BaseJoined => "a base answers",
        Kind::BaseChanged => "a base carries other modules than before",
        Kind::BaseLost => "a base does not answer any more",
        Kind::ModuleDrifted => "a base runs something other than what was decided",
        Kind::BaseQuarantined => "a base could not be brought back, and gets no rollouts for now",
        Kind::BaseMended => "it is as it should be again",
        Kind::RestartListed => "a base is to be restarted when its turn comes",
        Kind::RestartAsked => "the modules of its pool are asked whether they can spare it",
        Kind::RestartGiven => "a module can spare it, or never will",
        Kind::RestartRequested => "a base shall be restarted",
        Kind::RestartFinished => "a base was restarted and answers, or was not",
        Kind::RestartOver => "a base is off the list of restarts",
        Kind::ModuleGivenUp => "a module was brought back on a base as often as it may be",
        Kind::CommandSettled => "a command was taken or refused",
        Kind::WorkRetried => {
            "an attempt failed for a cause that may pass; the next one has its time"
        }
        Kind::LetterReplayed => "a dead letter's message was handled after all",
        Kind::LetterDropped => "a dead letter's message will not be handled",
    }
}

fn reasons() -> String {
    let mut page = String::from(
        "# Reasons

<!-- Generated from the types: cargo xtask schemas -->

Each way in which a run, a task or a message can stop has a stable code. It stands in events, on the API and on the
screen, with the cause as it was seen.

| code | cause | what Ferry did | what you do |
|---|---|---|---|
",
    );
    for reason in Reason::ALL {
        let (code, what, did, next) = (
            reason.code(),
            reason.what(),
            reason.did(),
            reason.next_step(),
        );
        writeln!(page, "| `{code}` | {what} | {did} | {next} |").expect("a text grows");
    }
    page
}
