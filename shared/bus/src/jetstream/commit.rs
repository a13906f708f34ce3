//! Commits: a batch is stored whole or not at all (ADR-50, atomic batch publish).
//!
//! In: a [`Batch`]. Out: its sequences, or why not.

use std::time::Duration;

use async_nats::{HeaderMap, Message, header};
use tokio::time::timeout;

use super::{
    link::{Link, REQUEST_TIMEOUT, refusal_of},
    wire::{
        self, BATCH_DUPLICATE, BATCH_INCOMPLETE, PubAck, WRONG_LAST_SEQUENCE,
        WRONG_LAST_SEQUENCE_CONSTANT,
    },
};
use crate::{Batch, BusError, CommitError, Committed, Keep, Write};

/// The content type of an event: a structured CloudEvent.
const EVENTS: &str = "ferry.events.";

/// What a batch may take on top of [`REQUEST_TIMEOUT`], for each megabyte of it: 500 large messages
/// are more bytes than a slow disk syncs in two seconds.
const PER_MEGABYTE: Duration = Duration::from_millis(250);

/// A part that was refused leaves the batch incomplete. The refusal was sent before that answer, and only
/// takes another way through the client.
const REFUSAL_WAIT: Duration = Duration::from_millis(100);

/// Stores a batch.
pub(super) async fn commit(link: &Link, batch: Batch) -> Result<Committed, CommitError> {
    batch.check()?;
    let epoch = link.ready(REQUEST_TIMEOUT).await?;
    let (refusals, mut told) = (link.refusals(), link.refusals());
    let subjects: Vec<&str> = batch
        .writes
        .iter()
        .map(|write| write.subject.as_str())
        .collect();
    let bytes: usize = batch.writes.iter().map(|write| write.payload.len()).sum();
    let limit = REQUEST_TIMEOUT + PER_MEGABYTE * u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    let answer = link
        .guard(epoch, &subjects, refusals, limit, send(link, &batch))
        .await?;
    let ack: PubAck = wire::parse("commit", &answer)?;
    if ack
        .error
        .as_ref()
        .is_some_and(|error| error.err_code == BATCH_INCOMPLETE)
        && let Ok(text) = timeout(REFUSAL_WAIT, refusal_of(&subjects, &mut told)).await
    {
        return Err(BusError::Refused(text).into());
    }
    read(ack, batch.writes.len())
}

/// All but the last go without an answer; the last one commits. When a part is lost or refused the
/// server answers the last with an error and stores nothing.
async fn send(link: &Link, batch: &Batch) -> Result<Message, BusError> {
    let (last, parts) = batch.writes.split_last().expect("checked: not empty");
    if parts.is_empty() {
        return link
            .ask(&last.subject, Some(headers(last)), last.payload.clone())
            .await;
    }
    let id = link.unique();
    for (index, write) in parts.iter().enumerate() {
        let headers = in_batch(headers(write), &id, index + 1);
        link.client
            .publish_with_headers(write.subject.clone(), headers, write.payload.clone())
            .await
            .map_err(|error| not_sent(&write.subject, &error))?;
    }
    let mut headers = in_batch(headers(last), &id, batch.writes.len());
    headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
    link.ask(&last.subject, Some(headers), last.payload.clone())
        .await
}

/// The client takes a message into its buffer or says that it never will.
pub(super) fn not_sent(subject: &str, error: &async_nats::PublishError) -> BusError {
    use async_nats::client::PublishErrorKind;
    match error.kind() {
        PublishErrorKind::Send => BusError::Unavailable(error.to_string()),
        _ => BusError::Refused(format!("{subject}: {error}")),
    }
}

fn in_batch(mut headers: HeaderMap, id: &str, sequence: usize) -> HeaderMap {
    headers.insert(header::NATS_BATCH_ID, id);
    headers.insert(header::NATS_BATCH_SEQUENCE, sequence.to_string().as_str());
    headers
}

pub(super) fn headers(write: &Write) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(sequence) = write.expected {
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            sequence.to_string().as_str(),
        );
    }
    if write.replaces {
        headers.insert(header::NATS_ROLLUP, "sub");
    }
    match write.keep {
        Keep::Forever => headers.insert(header::NATS_MESSAGE_TTL, "never"),
        Keep::Stream => {}
        Keep::For(time) => {
            headers.insert(
                header::NATS_MESSAGE_TTL,
                format!("{}s", time.as_secs().max(1)).as_str(),
            );
        }
    }
    if let Some(id) = &write.id {
        headers.insert(header::NATS_MESSAGE_ID, id.as_str());
    }
    if write.subject.starts_with(EVENTS) {
        headers.insert("Content-Type", ferry_events::envelope::CONTENT_TYPE);
    }
    headers
}

fn read(ack: PubAck, messages: usize) -> Result<Committed, CommitError> {
    if let Some(error) = ack.error {
        return Err(match error.err_code {
            WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT => CommitError::Conflict,
            BATCH_DUPLICATE => CommitError::Duplicate,
            _ => error.into_bus_error("commit").into(),
        });
    }
    if ack.duplicate {
        return Err(CommitError::Duplicate);
    }
    if messages > 1 && ack.count != Some(messages) {
        let text = format!(
            "a batch of {messages} messages was answered as {:?}",
            ack.count
        );
        return Err(BusError::Unavailable(text).into());
    }
    let first = ack.seq + 1 - messages as u64;
    Ok(Committed {
        sequences: (first..=ack.seq).collect(),
    })
}
