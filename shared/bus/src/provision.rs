//! Makes streams, durable consumers and the object store, or brings them up to date.
//!
//! In: the operator's connection and the limits. Out: what stands on the bus afterwards; running it
//! twice changes nothing.

use std::time::Duration;

use async_nats::jetstream::{
    Context, ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use ferry_events::{
    Service,
    subject::{self, ARTIFACTS, DEAD, LOGS, STREAM, TIMERS},
};

use crate::{BusError, JetStream, audit, jetstream::objects, permissions};

/// Events and commands are kept for a month: what happened can be asked for, and a service that was
/// down for weeks still finds its work. States, facts and the configuration are kept for ever.
pub const KEEP_EVENTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Build logs are read while a run is of interest: a week.
pub const KEEP_LOGS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Dead letters wait for a person as long as the events they stand for.
pub const KEEP_DEAD: Duration = KEEP_EVENTS;
/// JetStream's default. Dedupe only saves work, so nothing is won by remembering more.
pub const DEDUPE_WINDOW: Duration = Duration::from_secs(2 * 60);
/// A delivery that is neither settled nor reported as in hand is delivered again after this long:
/// handlers take milliseconds, and work that takes longer says so.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// Deliveries of one consumer in hand at a time: ten replicas with a full batch each.
pub const MAX_ACK_PENDING: i64 = 5_000;
/// No limit of deliveries: with one, a crash loop of one message takes those beside it along.
pub const MAX_DELIVER: i64 = -1;
/// Build logs take at most this many bytes; the oldest lines go first.
pub const LOG_BYTES: i64 = 1 << 30;
/// Dead letters take at most this many bytes; the oldest go first.
pub const DEAD_BYTES: i64 = 256 << 20;
/// No limit but the server's own.
pub const UNLIMITED: i64 = -1;

/// What an installation may set.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Copies of each stream; 1, or 3 in a cluster.
    pub replicas: usize,
    /// How long events and commands are kept.
    pub keep_events: Duration,
    /// How long build logs are kept.
    pub keep_logs: Duration,
    /// How long an id is remembered; at most `keep_events` and `keep_logs`.
    pub dedupe_window: Duration,
    /// Bytes of events, commands, states and facts, or -1; when full, nothing more is taken.
    pub event_bytes: i64,
    /// Bytes of jars, or -1; when full, nothing more is taken.
    pub jar_bytes: i64,
    /// Bytes of build logs, or -1; when full, the oldest go.
    pub log_bytes: i64,
    /// How long a delivery may be in hand in silence.
    pub ack_wait: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            replicas: 1,
            keep_events: KEEP_EVENTS,
            keep_logs: KEEP_LOGS,
            dedupe_window: DEDUPE_WINDOW,
            event_bytes: UNLIMITED,
            jar_bytes: UNLIMITED,
            log_bytes: LOG_BYTES,
            ack_wait: ACK_WAIT,
        }
    }
}

/// Something that stands on the bus now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// A stream, or `stream/consumer`.
    pub name: String,
    /// It was not there before.
    pub created: bool,
}

/// Makes what is missing and brings the rest up to date. `admin` is connected as the operator.
///
/// # Errors
/// [`BusError`]: the server refused or did not answer; what was made before that stays, and running
/// it again goes on.
pub async fn provision(
    admin: &JetStream,
    limits: &StreamLimits,
) -> Result<Vec<Provisioned>, BusError> {
    let context = admin.context();
    let mut made = Vec::new();
    for config in streams(limits) {
        made.push(stream(context, config).await?);
    }
    let kept = audit::config(admin, limits).await?;
    made.push(stream(context, kept).await?);
    for service in Service::ALL {
        let work = permissions::work_filters(service);
        if !work.is_empty() {
            made.push(consumer(context, limits, STREAM, service, work).await?);
        }
        let due = vec![subject::timers_due(service)];
        made.push(consumer(context, limits, TIMERS, service, due).await?);
    }
    Ok(made)
}

fn streams(limits: &StreamLimits) -> [Config; 5] {
    let common = Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: limits.replicas,
        duplicate_window: limits.dedupe_window,
        max_consumers: -1,
        max_messages: UNLIMITED,
        max_messages_per_subject: UNLIMITED,
        allow_direct: true,
        ..Config::default()
    };
    let ferry = Config {
        name: STREAM.into(),
        description: Some("Ferry: events, commands, states, facts and the configuration".into()),
        subjects: ["events", "commands", "state", "facts", "config"]
            .map(|what| format!("ferry.{what}.>"))
            .into(),
        max_age: limits.keep_events,
        max_bytes: limits.event_bytes,
        // A full stream refuses; dropping the oldest would drop states.
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_message_ttl: true,
        allow_atomic_publish: true,
        ..common.clone()
    };
    let timers = Config {
        name: TIMERS.into(),
        description: Some("Ferry: deadlines, set and due".into()),
        subjects: vec!["ferry.timers.>".into()],
        max_age: limits.keep_events,
        max_bytes: UNLIMITED,
        // The server takes schedules with no other policy; without a limit it discards nothing.
        discard: DiscardPolicy::Old,
        allow_rollup: true,
        allow_message_ttl: true,
        allow_message_schedules: true,
        ..common.clone()
    };
    let logs = Config {
        name: LOGS.into(),
        description: Some("Ferry: build logs".into()),
        subjects: vec!["ferry.logs.>".into()],
        max_age: limits.keep_logs,
        max_bytes: limits.log_bytes,
        discard: DiscardPolicy::Old,
        ..common.clone()
    };
    let dead = Config {
        name: DEAD.into(),
        description: Some("Ferry: what could not be handled".into()),
        subjects: vec![
            "ferry.dead.>".into(),
            "ferry.parked.>".into(),
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".into(),
            // The server also says so of a message that is deleted in somebody's hands. A deadline is,
            // whenever a later one of its aggregate takes its place: only the other stream's count.
            format!("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{STREAM}.>"),
        ],
        max_age: KEEP_DEAD,
        max_bytes: DEAD_BYTES,
        discard: DiscardPolicy::Old,
        ..common.clone()
    };
    // The layout of an object store (ADR-20), so that every NATS tool reads it.
    let jars = Config {
        name: objects(),
        description: Some("Ferry: jars by digest".into()),
        subjects: vec![format!("$O.{ARTIFACTS}.C.>"), format!("$O.{ARTIFACTS}.M.>")],
        max_bytes: limits.jar_bytes,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        ..common
    };
    [ferry, timers, logs, dead, jars]
}

async fn stream(context: &Context, config: Config) -> Result<Provisioned, BusError> {
    let name = config.name.clone();
    let created = match context.get_stream(&name).await {
        Ok(_) => {
            context
                .update_stream(&config)
                .await
                .map_err(|error| refused(&name, error))?;
            false
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                context
                    .create_stream(config)
                    .await
                    .map_err(|error| refused(&name, error))?;
                true
            }
            GetStreamErrorKind::JetStream(error) => {
                return Err(BusError::Refused(format!("stream {name}: {error}")));
            }
            _ => return Err(BusError::Unavailable(format!("stream {name}: {error}"))),
        },
    };
    Ok(Provisioned { name, created })
}

pub(crate) fn refused(name: &str, error: CreateStreamError) -> BusError {
    let text = format!("stream {name}: {error}");
    match error.kind() {
        CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => {
            BusError::Unavailable(text)
        }
        _ => BusError::Refused(text),
    }
}

async fn consumer(
    context: &Context,
    limits: &StreamLimits,
    stream: &str,
    service: Service,
    filters: Vec<String>,
) -> Result<Provisioned, BusError> {
    let name = permissions::consumer_name(service);
    let full = format!("{stream}/{name}");
    let failed =
        |error: &dyn std::fmt::Display| BusError::Refused(format!("consumer {full}: {error}"));
    let stands = context
        .get_stream(stream)
        .await
        .map_err(|error| failed(&error))?
        .consumer_info(&name)
        .await
        .is_ok();
    let config = pull::Config {
        durable_name: Some(name.clone()),
        description: Some(format!("Ferry: what the {service} takes")),
        filter_subjects: filters,
        ack_policy: AckPolicy::Explicit,
        ack_wait: limits.ack_wait,
        max_deliver: MAX_DELIVER,
        max_ack_pending: MAX_ACK_PENDING,
        // Nothing that was said before a service first came is lost on it.
        deliver_policy: DeliverPolicy::All,
        ..pull::Config::default()
    };
    context
        .create_consumer_on_stream(config, stream)
        .await
        .map_err(|error| failed(&error))?;
    Ok(Provisioned {
        name: full,
        created: !stands,
    })
}
