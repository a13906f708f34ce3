//! What each user may do on the bus, from the table of contracts alone.
//!
//! In: a user. Out: the subjects that it may publish and subscribe to. What is not there the server
//! refuses. Reading a stream is not divided by subject: JetStream names the subject in a request's
//! body, where no permission reaches it.

use ferry_events::{
    Service,
    subject::{self, ARTIFACTS, AUDIT, CONFIG, DEAD, LOGS, RESTORED, STREAM, TIMERS},
};

use crate::User;

/// The name of a service's durable consumers, in `FERRY` and in `FERRY_TIMERS`.
pub fn consumer_name(service: Service) -> String {
    service.name().to_owned()
}

/// The subjects that a service's `Work` consumer takes.
pub fn work_filters(service: Service) -> Vec<String> {
    let contract = service.contract();
    let mut filters: Vec<String> = contract
        .takes
        .iter()
        .map(|kind| subject::events_of(*kind))
        .collect();
    if contract.takes_commands {
        filters.push(subject::commands_for(service));
    }
    filters
}

/// What a user may publish and subscribe to; all else is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects, sorted.
    pub publish: Vec<String>,
    /// Subjects, sorted.
    pub subscribe: Vec<String>,
    /// Whether it may answer, once, who asked it.
    pub responds: bool,
}

/// A user's permissions.
pub fn permissions(user: User) -> Permissions {
    let mut publish = match user {
        User::Service(service) => service_publishes(service),
        User::Operator => vec!["$JS.API.>".into(), CONFIG.into(), RESTORED.into()],
    };
    publish.sort();
    publish.dedup();
    let mut subscribe = vec![format!("{}.>", user.inbox_prefix())];
    let mut responds = false;
    if let User::Service(service) = user
        && service.contract().answers
    {
        subscribe.push(subject::questions_for(service));
        responds = true;
    }
    subscribe.sort();
    Permissions {
        publish,
        subscribe,
        responds,
    }
}

fn service_publishes(service: Service) -> Vec<String> {
    let (contract, name) = (service.contract(), service.name());
    let objects = crate::jetstream::objects();
    let mut publish: Vec<String> = contract
        .says
        .iter()
        .map(|kind| subject::events_of(*kind))
        .collect();
    publish.extend(
        contract
            .commands
            .iter()
            .map(|taker| subject::commands_for(*taker)),
    );
    publish.extend(
        contract
            .asks
            .iter()
            .map(|asked| subject::questions_for(*asked)),
    );
    publish.push(subject::states_of(service));
    if contract.keeps_facts {
        publish.push(subject::facts_of(service));
    }
    // Its deadlines. A schedule's target can be any subject of the stream, so these are a hint, no proof.
    publish.push(subject::timer(service, ">"));
    publish.extend([format!("ferry.dead.{name}.>"), subject::parked(service)]);

    // Reads, none of which changes anything: from the leader, and in batches.
    publish.extend([
        format!("$JS.API.STREAM.MSG.GET.{STREAM}"),
        format!("$JS.API.DIRECT.GET.{STREAM}"),
        format!("$JS.API.STREAM.INFO.{STREAM}"),
        // Its dead letters, to replay them.
        format!("$JS.API.STREAM.MSG.GET.{DEAD}"),
    ]);

    // Its own durable consumers.
    let mut streams = vec![TIMERS];
    if !work_filters(service).is_empty() {
        streams.push(STREAM);
    }
    for stream in streams {
        let consumer = consumer_name(service);
        publish.extend([
            format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            format!("$JS.ACK.{stream}.{consumer}.>"),
        ]);
    }
    if contract.reads_jars || contract.stores_jars {
        publish.push(format!("$JS.API.STREAM.MSG.GET.{objects}"));
    }
    if contract.reads_jars {
        publish.extend([
            format!("$JS.API.DIRECT.GET.{objects}"),
            format!("$JS.API.STREAM.INFO.{objects}"),
        ]);
    }
    if contract.stores_jars {
        publish.push(format!("$O.{ARTIFACTS}.>"));
    }
    if contract.writes_logs {
        publish.push("ferry.logs.>".into());
    }
    if contract.watches {
        for stream in [STREAM, LOGS, DEAD, AUDIT] {
            // Without a name in the subject only a new consumer of its own can be made.
            publish.extend([
                format!("$JS.API.CONSUMER.CREATE.{stream}"),
                format!("$JS.FC.{stream}.>"),
            ]);
        }
    }
    publish
}
