//! `FERRY_AUDIT`: filled by the server itself from `FERRY`, so that no service writes anything twice.
//!
//! In: the operator's connection. Out: the stream's configuration, whose one source goes on where the stream ends.
//!
//! nats-server knows a source by its name and filters, and goes on behind the last message that such a source
//! left. So with other filters it would begin anew and store everything twice; and where `FERRY` was put back to
//! an earlier moment it would wait for a sequence that is past, and leave out what comes until there. In both
//! cases the source gets another name, by one more filter that nothing is ever said on, and the sequence that it
//! begins with.

use async_nats::{
    header,
    jetstream::{
        Context, ErrorCode,
        context::GetStreamErrorKind,
        message::StreamMessage,
        stream::{
            Config, DiscardPolicy, LastRawMessageErrorKind, RawMessageErrorKind, RetentionPolicy,
            Source, StorageType, Stream, SubjectTransform,
        },
    },
};
use ferry_events::subject::{self, AUDIT, STREAM};

use crate::{BusError, JetStream, StreamLimits, UNLIMITED, provision::refused};

/// The stream, as it should be: as it stands where that is right already.
pub(crate) async fn config(admin: &JetStream, limits: &StreamLimits) -> Result<Config, BusError> {
    let (source, stands) = match find(admin.context(), AUDIT).await? {
        None => (source(1), None),
        Some(stream) => {
            let source = going_on(admin.context(), &stream).await?;
            (source, Some(stream.cached_info().config.clone()))
        }
    };
    Ok(Config {
        name: AUDIT.into(),
        description: Some("Ferry: acts, decisions and outcomes, kept".into()),
        sources: Some(vec![source]),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: limits.replicas,
        duplicate_window: limits.dedupe_window,
        max_consumers: -1,
        max_messages: UNLIMITED,
        max_messages_per_subject: UNLIMITED,
        // Kept for ever, unless the operator of the server set a limit.
        max_age: stands
            .as_ref()
            .map(|stands| stands.max_age)
            .unwrap_or_default(),
        max_bytes: stands.as_ref().map_or(UNLIMITED, |stands| stands.max_bytes),
        discard: DiscardPolicy::Old,
        // Nobody changes what was.
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        // nats-server 2.15.1 cannot read a compressed block again that it was killed in and wrote on after it
        // started ("s2: unsupported input").
        compression: None,
        ..Config::default()
    })
}

/// After `FERRY` was put back to another moment: `FERRY_AUDIT` keeps what it has, and goes on with what comes.
/// True: it had to be told. Without the stream there is nothing to do.
///
/// # Errors
/// [`BusError`]: the server refused or did not answer.
pub async fn goes_on(admin: &JetStream) -> Result<bool, BusError> {
    let context = admin.context();
    let Some(stream) = find(context, AUDIT).await? else {
        return Ok(false);
    };
    let stands = stream.cached_info().config.clone();
    let sources = Some(vec![going_on(context, &stream).await?]);
    if stands.sources == sources {
        return Ok(false);
    }
    let update = context.update_stream(Config { sources, ..stands });
    update.await.map_err(|error| refused(AUDIT, error))?;
    Ok(true)
}

/// A source that begins with this sequence.
fn source(from: u64) -> Source {
    let whole = |source: String| SubjectTransform {
        source,
        destination: String::new(),
    };
    let named = format!("ferry.events._._.from-{from}.audit.sourced");
    Source {
        name: STREAM.into(),
        start_sequence: Some(from),
        subject_transforms: subject::kept()
            .into_iter()
            .chain([named])
            .map(whole)
            .collect(),
        ..Source::default()
    }
}

/// The source that stands, or one that begins behind what both streams have in common.
async fn going_on(context: &Context, audit: &Stream) -> Result<Source, BusError> {
    let sources = audit.cached_info().config.sources.as_deref();
    let stands = sources.and_then(|sources| sources.first());
    let same = stands.filter(|stands| **stands == source(stands.start_sequence.unwrap_or(1)));
    let Some(last) = last(audit).await? else {
        return Ok(same.cloned().unwrap_or_else(|| source(1)));
    };
    let Some(ferry) = find(context, STREAM).await? else {
        return Ok(same.cloned().unwrap_or_else(|| source(1)));
    };
    let behind = |taken: Option<u64>| taken.map_or(1, |taken| taken + 1);
    if still_there(&ferry, &last).await? {
        let next = behind(taken_from(&last));
        return Ok(same.cloned().unwrap_or_else(|| source(next)));
    }
    // Up to a message both are one; behind it they differ.
    let (mut common, mut other) = (None, last.sequence);
    let mut first = audit.cached_info().state.first_sequence;
    while first < other {
        let middle = first + (other - first) / 2;
        let Some(message) = at(audit, middle).await? else {
            first = middle + 1;
            continue;
        };
        if still_there(&ferry, &message).await? {
            (common, first) = (taken_from(&message), middle + 1);
        } else {
            other = middle;
        }
    }
    Ok(source(behind(common)))
}

/// Whether `FERRY` holds what was taken from it, or has only forgotten it.
async fn still_there(ferry: &Stream, kept: &StreamMessage) -> Result<bool, BusError> {
    let state = &ferry.cached_info().state;
    let Some(taken) = taken_from(kept) else {
        return Ok(true);
    };
    if taken > state.last_sequence {
        return Ok(false);
    }
    let id = |message: &StreamMessage| message.headers.get(header::NATS_MESSAGE_ID).cloned();
    Ok(match at(ferry, taken).await? {
        Some(message) => message.subject == kept.subject && id(&message) == id(kept),
        None => true,
    })
}

/// The sequence in `FERRY` of a message that the server took from there: `Nats-Stream-Source` is the stream's name,
/// the sequence, and the filters.
fn taken_from(message: &StreamMessage) -> Option<u64> {
    let source = message.headers.get("Nats-Stream-Source")?;
    source.as_str().split(' ').nth(1)?.parse().ok()
}

async fn find(context: &Context, name: &str) -> Result<Option<Stream>, BusError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(error) => {
                Err(BusError::Refused(format!("stream {name}: {error}")))
            }
            _ => Err(BusError::Unavailable(format!("stream {name}: {error}"))),
        },
    }
}

async fn last(stream: &Stream) -> Result<Option<StreamMessage>, BusError> {
    match stream.get_last_raw_message_by_subject(">").await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(BusError::Unavailable(format!("stream {AUDIT}: {error}"))),
    }
}

async fn at(stream: &Stream, sequence: u64) -> Result<Option<StreamMessage>, BusError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(BusError::Unavailable(format!(
            "message {sequence} of a stream: {error}"
        ))),
    }
}
