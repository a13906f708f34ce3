//! Subjects and streams on the bus.
//!
//! In: names. Out: the subjects under which things stand; the one place that spells them.

use crate::{Command, Kind, RunId, Service, name::token};

/// The stream of events, commands, states, facts and the configuration.
pub const STREAM: &str = "FERRY";
/// The stream of deadlines.
pub const TIMERS: &str = "FERRY_TIMERS";
/// The stream of build logs.
pub const LOGS: &str = "FERRY_LOGS";
/// The stream of messages that could not be handled, and of JetStream's own advisories on them.
pub const DEAD: &str = "FERRY_DEAD";
/// The stream of acts, decisions and outcomes, kept when `FERRY` has forgotten them; the server fills it from there.
pub const AUDIT: &str = "FERRY_AUDIT";
/// The object store of jars.
pub const ARTIFACTS: &str = "FERRY_ARTIFACTS";

/// The configuration in force.
pub const CONFIG: &str = "ferry.config.current";

/// An operator's last word that the stream was restored from another moment.
pub const RESTORED: &str = "ferry.config.restored";

/// Every event of a kind, whoever's it is.
pub fn events_of(kind: Kind) -> String {
    format!("ferry.events.*.*.*.{}.{}", kind.subject(), kind.predicate())
}

/// What `FERRY_AUDIT` takes from `FERRY`: as few filters as there can be, since the server writes all of them beside
/// each message.
pub fn kept() -> Vec<String> {
    let mut filters = Vec::new();
    for kind in Kind::ALL.iter().filter(|kind| kind.is_kept()) {
        let subject = kind.subject();
        let mut alike = Kind::ALL.iter().filter(|one| one.subject() == subject);
        let filter = match alike.all(|one| one.is_kept()) {
            true => format!("ferry.events.*.*.*.{subject}.*"),
            false => events_of(*kind),
        };
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    filters
}

/// Every event.
pub const ALL_EVENTS: &str = "ferry.events.>";

/// Every command for a service.
pub fn commands_for(service: Service) -> String {
    format!("ferry.commands.{}.>", service.name())
}

/// The commands to handle a service's dead letters after all.
pub fn replays_of(service: Service) -> String {
    format!("ferry.commands.{}.replay", service.name())
}

/// Where a service is asked what it would do.
pub fn questions_for(service: Service) -> String {
    format!("ferry.ask.{}", service.name())
}

/// A command's subject.
pub fn command(command: &Command) -> String {
    format!(
        "ferry.commands.{}.{}",
        command.verb.service().name(),
        command.verb.token()
    )
}

/// An aggregate's state. `key` is dotted tokens.
pub fn state(service: Service, key: &str) -> String {
    format!("ferry.state.{}.{key}", service.name())
}

/// Every state of a service.
pub fn states_of(service: Service) -> String {
    format!("ferry.state.{}.>", service.name())
}

/// Every fact that a service keeps.
pub fn facts_of(service: Service) -> String {
    format!("ferry.facts.{}.>", service.name())
}

/// The fact that names the plan in force for a module in an environment.
pub fn plan_fact(module: &str, environment: &str) -> String {
    format!(
        "ferry.facts.scheduler.plan.{}.{}",
        token(module),
        token(environment)
    )
}

/// The fact that names what bases should run of a module in an environment.
pub fn wanted_fact(module: &str, environment: &str) -> String {
    format!("{WANTED_FACTS}.{}.{}", token(module), token(environment))
}

/// What the subjects of [`wanted_fact`] begin with.
pub const WANTED_FACTS: &str = "ferry.facts.scheduler.wanted";

/// The fact that names what the installer left on a base.
pub fn base_fact(base: &str) -> String {
    format!("ferry.facts.installer.base.{}", token(base))
}

/// Where a deadline of an aggregate is set: one schedule a subject, a second replaces the first.
pub fn timer(service: Service, key: &str) -> String {
    format!("ferry.timers.set.{}.{key}", service.name())
}

/// Where a deadline arrives when it is due.
pub fn timer_due(service: Service, key: &str) -> String {
    format!("ferry.timers.due.{}.{key}", service.name())
}

/// Every due deadline of a service.
pub fn timers_due(service: Service) -> String {
    format!("ferry.timers.due.{}.>", service.name())
}

/// A run's build log.
pub fn log(run: RunId) -> String {
    format!("ferry.logs.{run}")
}

/// Where a service puts a message that it cannot handle.
pub fn dead(service: Service, reason: crate::Reason) -> String {
    format!("ferry.dead.{}.{}", service.name(), reason.code())
}

/// Where a service parks an event of a newer version than it knows.
pub fn parked(service: Service) -> String {
    format!("ferry.parked.{}", service.name())
}
