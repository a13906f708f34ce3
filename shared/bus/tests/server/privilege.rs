//! Least privilege, tried out: every user of the bus on every subject that there is.
//!
//! In: a real server with the permissions of production, the table of contracts. Out: what is not a
//! user's own is denied by the server's own word, not by silence; what it needs is not. What each may
//! is spelled here a second time, by hand, so that a permission too many is found.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context, Result};
use async_nats::{Client, ConnectOptions, Event};
use ferry_bus::{Bus, BusError, StreamLimits, User};
use ferry_events::{Contract, Kind, Service, subject};
use tokio::sync::mpsc;

use crate::real::{Nats, soon};

const STREAMS: [&str; 6] = [
    "FERRY",
    "FERRY_TIMERS",
    "FERRY_LOGS",
    "FERRY_DEAD",
    "FERRY_AUDIT",
    "OBJ_FERRY_ARTIFACTS",
];
/// Denials are told on a channel of the client that holds a hundred or so.
const AT_ONCE: usize = 32;

/// Every subject that is tried to be published on.
fn publishes() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut add = |subject: &str| {
        all.insert(subject.to_owned());
    };
    for kind in Kind::ALL {
        for scope in ["team.module._", "other.module.prod"] {
            add(&format!(
                "ferry.events.{scope}.{}.{}",
                kind.subject(),
                kind.predicate()
            ));
        }
    }
    for other in [
        "ferry.config.current",
        "ferry.config.restored",
        "ferry.config.other",
        "ferry.events.a.b.c.no.such",
        "ferry.logs.11111111-1111-5111-8111-111111111111",
        "ferry.other",
        "ferry",
        "other.subject",
        // A bucket of somebody else, and the system's own.
        "$KV.other.key",
        "$O.OTHER.C.x",
        "$SYS.REQ.SERVER.PING",
        "$SRV.PING",
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.CREATE.FERRY_OTHER",
        "$JS.API.STREAM.TEMPLATE.CREATE.x",
        "$JS.API.ACCOUNT.PURGE.x",
        "$JS.API.META.LEADER.STEPDOWN",
        "$JS.API.SERVER.REMOVE",
        "$O.FERRY_ARTIFACTS.C.x",
        "$O.FERRY_ARTIFACTS.M.x",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.FERRY.installer",
    ] {
        add(other);
    }
    for service in Service::ALL {
        for subject in [
            format!("ferry.commands.{service}.any"),
            format!("ferry.state.{service}.a"),
            format!("ferry.state.{service}.a.b"),
            format!("ferry.facts.{service}.a"),
            format!("ferry.timers.set.{service}.a"),
            format!("ferry.timers.due.{service}.a"),
            format!("ferry.dead.{service}.our-fault"),
            format!("ferry.parked.{service}"),
            format!("ferry.ask.{service}"),
        ] {
            add(&subject);
        }
    }
    for user in User::all() {
        // An answer forged to somebody else's question.
        add(&format!("_INBOX_{user}.x.y"));
    }
    for stream in STREAMS {
        for call in [
            "CREATE",
            "UPDATE",
            "DELETE",
            "PURGE",
            "INFO",
            "SNAPSHOT",
            "RESTORE",
            "MSG.GET",
            "MSG.DELETE",
            "LEADER.STEPDOWN",
            "PEER.REMOVE",
        ] {
            add(&format!("$JS.API.STREAM.{call}.{stream}"));
        }
        add(&format!("$JS.API.DIRECT.GET.{stream}"));
        add(&format!("$JS.API.DIRECT.GET.{stream}.ferry.config.current"));
        add(&format!("$JS.FC.{stream}.x.y"));
        for call in ["CREATE", "LIST", "NAMES"] {
            add(&format!("$JS.API.CONSUMER.{call}.{stream}"));
        }
        for service in Service::ALL {
            for call in [
                "CREATE",
                "DURABLE.CREATE",
                "DELETE",
                "INFO",
                "MSG.NEXT",
                "PAUSE",
                "RESET",
                "UNPIN",
                "LEADER.STEPDOWN",
            ] {
                add(&format!("$JS.API.CONSUMER.{call}.{stream}.{service}"));
            }
            add(&format!(
                "$JS.API.CONSUMER.CREATE.{stream}.{service}.ferry.events.>"
            ));
            add(&format!("$JS.ACK.{stream}.{service}.1.1.1.1.1"));
        }
    }
    all
}

/// What one may publish, from its contract: written down apart from the permissions themselves.
fn may_publish(service: Service, contract: &Contract, subject: &str) -> bool {
    let own = |prefix: &str| {
        subject
            .strip_prefix(prefix)
            .and_then(|rest| rest.split('.').next())
            == Some(service.name())
    };
    let tokens: Vec<&str> = subject.split('.').collect();
    let jars = contract.reads_jars || contract.stores_jars;
    match tokens.as_slice() {
        ["ferry", "events", _, _, _, what, done] => contract
            .says
            .iter()
            .any(|kind| (kind.subject(), kind.predicate()) == (*what, *done)),
        ["ferry", "commands", taker, _] => contract.commands.iter().any(|one| one.name() == *taker),
        ["ferry", "ask", asked] => {
            service == Service::Gateway && ["slimmer", "scheduler"].contains(asked)
        }
        ["ferry", "state", ..] => own("ferry.state."),
        ["ferry", "facts", ..] => contract.keeps_facts && own("ferry.facts."),
        ["ferry", "timers", "set", ..] => own("ferry.timers.set."),
        ["ferry", "dead", ..] => own("ferry.dead."),
        ["ferry", "parked", _] => own("ferry.parked."),
        ["ferry", "logs", _] => contract.writes_logs,
        // Reading changes nothing; by subject the bus cannot divide it.
        ["$JS", "API", "STREAM", "MSG", "GET", "FERRY"]
        | ["$JS", "API", "STREAM", "INFO", "FERRY"]
        | ["$JS", "API", "DIRECT", "GET", "FERRY"] => true,
        // Who buried a letter replays it; the gateway shows all.
        ["$JS", "API", "STREAM", "MSG", "GET", "FERRY_DEAD"] => true,
        ["$JS", "API", "CONSUMER", "INFO", stream, name]
        | ["$JS", "API", "CONSUMER", "MSG", "NEXT", stream, name]
        | ["$JS", "ACK", stream, name, ..] => {
            let takes = !contract.takes.is_empty() || contract.takes_commands;
            *name == service.name() && (*stream == "FERRY_TIMERS" || (takes && *stream == "FERRY"))
        }
        // A watch of its own, without a name that could be somebody's.
        [
            "$JS",
            "API",
            "CONSUMER",
            "CREATE",
            "FERRY" | "FERRY_LOGS" | "FERRY_DEAD" | "FERRY_AUDIT",
        ]
        | [
            "$JS",
            "FC",
            "FERRY" | "FERRY_LOGS" | "FERRY_DEAD" | "FERRY_AUDIT",
            ..,
        ] => contract.watches,
        ["$O", "FERRY_ARTIFACTS", ..] => contract.stores_jars,
        ["$JS", "API", "STREAM", "MSG", "GET", "OBJ_FERRY_ARTIFACTS"] => jars,
        ["$JS", "API", "STREAM", "INFO", "OBJ_FERRY_ARTIFACTS"]
        | ["$JS", "API", "DIRECT", "GET", "OBJ_FERRY_ARTIFACTS"] => {
            // The builder only for bases that snippets are compiled against.
            [Service::Builder, Service::Slimmer, Service::Installer].contains(&service)
        }
        _ => false,
    }
}

fn operator_may_publish(subject: &str) -> bool {
    subject.starts_with("$JS.API.")
        || ["ferry.config.current", "ferry.config.restored"].contains(&subject)
}

/// Every subject that is tried to be listened to.
fn subscribes() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = [
        ">",
        "*",
        "*.>",
        "ferry.>",
        "ferry.events.>",
        "ferry.commands.>",
        "ferry.state.>",
        "ferry.config.current",
        "ferry.ask.>",
        "ferry.ask.scheduler",
        "ferry.ask.slimmer",
        "ferry.ask.installer",
        "ferry.logs.>",
        "ferry.dead.>",
        "$JS.>",
        "$JS.API.>",
        "$JS.ACK.>",
        "$JS.EVENT.>",
        "$O.>",
        "$KV.>",
        "$SYS.>",
        "$SRV.>",
        "_INBOX.>",
        "_INBOX_*.>",
        "other.subject",
    ]
    .map(str::to_owned)
    .into();
    for user in User::all() {
        all.insert(format!("_INBOX_{user}.>"));
        all.insert(format!("_INBOX_{user}.a.*"));
        // Another user whose name begins alike.
        all.insert(format!("_INBOX_{user}x.>"));
    }
    all
}

/// A connection that hears every refusal in full.
struct Trying {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
    count: u64,
}

impl Trying {
    async fn connect(nats: &Nats, user: User) -> Result<Self> {
        let (told, refusals) = mpsc::unbounded_channel();
        let told = Arc::new(told);
        let options = ConnectOptions::with_nkey(nats.users.seed(user).to_owned())
            .custom_inbox_prefix(user.inbox_prefix())
            .event_callback(move |event| {
                let told = Arc::clone(&told);
                async move {
                    if let Event::ServerError(error) = event {
                        told.send(error.to_string()).ok();
                    }
                }
            });
        Ok(Self {
            client: options.connect(nats.server.url()).await?,
            refusals,
            count: 0,
        })
    }

    /// What the server said of what was sent before: all of it, because it answers in order and a
    /// last publish is always refused.
    async fn heard(&mut self) -> Result<Vec<String>> {
        self.count += 1;
        let last = format!("never.allowed.{}", self.count);
        self.client.publish(last.clone(), "".into()).await?;
        self.client.flush().await?;
        let mut heard = Vec::new();
        loop {
            let text = soon("a refusal", self.refusals.recv())
                .await?
                .context("the client goes on")?;
            if text.contains(&format!("\"{last}\"")) {
                return Ok(heard);
            }
            heard.push(text);
        }
    }
}

fn refused(heard: &[String], act: &str, subject: &str) -> bool {
    // "Permissions Violation for Publish to "a.b"", "… for Subscription to "a.b"".
    heard.iter().any(|text| {
        let text = text.to_lowercase();
        text.contains("permissions violation")
            && text.contains(act)
            && text.contains(&format!("\"{}\"", subject.to_lowercase()))
    })
}

#[tokio::test]
async fn every_user_is_denied_what_is_not_its_own() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let (publishes, subscribes) = (publishes(), subscribes());
    let (mut denied, mut allowed) = (0, 0);
    // The operator comes last: what it may includes deleting streams.
    for user in User::all() {
        let mut trying = Trying::connect(&nats, user).await?;
        let mut wrong = Vec::new();
        let subjects: Vec<&String> = publishes.iter().collect();
        for some in subjects.chunks(AT_ONCE) {
            for subject in some {
                trying
                    .client
                    .publish(subject.as_str().to_owned(), "".into())
                    .await?;
            }
            let heard = trying.heard().await?;
            for subject in some {
                let may = match user {
                    User::Service(service) => may_publish(service, service.contract(), subject),
                    User::Operator => operator_may_publish(subject),
                };
                let refused = refused(&heard, "publish", subject);
                if may == refused {
                    wrong.push(format!("publish {subject}: allowed {}", !refused));
                }
                if refused { denied += 1 } else { allowed += 1 }
            }
        }
        let subjects: Vec<&String> = subscribes.iter().collect();
        for some in subjects.chunks(AT_ONCE) {
            let mut open = Vec::new();
            for subject in some {
                open.push(trying.client.subscribe(subject.as_str().to_owned()).await?);
            }
            let heard = trying.heard().await?;
            for subject in some {
                let asked = match subject.as_str() {
                    "ferry.ask.scheduler" => user == User::Service(Service::Scheduler),
                    "ferry.ask.slimmer" => user == User::Service(Service::Slimmer),
                    _ => false,
                };
                let may = subject.starts_with(&format!("_INBOX_{user}.")) || asked;
                let refused = refused(&heard, "subscription", subject);
                if may == refused {
                    wrong.push(format!("subscribe {subject}: allowed {}", !refused));
                }
                if refused { denied += 1 } else { allowed += 1 }
            }
        }
        assert_eq!(wrong, Vec::<String>::new(), "{user}");
    }
    assert!(
        denied > 1500 && allowed > 150,
        "{denied} denied, {allowed} allowed"
    );
    println!("{denied} acts were denied, {allowed} allowed");
    Ok(())
}

/// The bus tells its caller so at once, in words, instead of waiting for an answer.
#[tokio::test]
async fn what_is_denied_is_refused_by_name() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    for service in Service::ALL {
        let bus = nats.connect(User::Service(service)).await?;
        for other in Service::ALL.into_iter().filter(|other| *other != service) {
            for source in [ferry_bus::Source::Work, ferry_bus::Source::Timers] {
                let error = bus.consume(other, source).await.err();
                assert!(
                    matches!(&error, Some(BusError::Refused(text)) if text.contains("CONSUMER.INFO")),
                    "{service} opened the consumer of {other}: {error:?}"
                );
            }
            let error = bus
                .set_timer(other, "a", crate::real::now())
                .await
                .expect_err("another's deadline");
            assert!(
                matches!(&error, BusError::Refused(text) if text.contains(&subject::timer(other, "a"))),
                "{error:?}"
            );
        }
    }
    Ok(())
}
