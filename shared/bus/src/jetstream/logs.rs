//! Build logs: lines are sent in order without waiting for each to be stored.
//!
//! In: lines with their numbers. Out: nothing; what is not stored is sent again, and the dedupe
//! window stores a line once. After a broken connection lines may stand out of order: their numbers count.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, header};
use ferry_events::{RunId, subject};
use futures::StreamExt;
use tokio::{sync::mpsc, time::timeout};

use super::{
    link::{Link, REQUEST_TIMEOUT},
    wire::PubAck,
};
use crate::{BusError, LogLine};

/// Lines on the way: enough for a chatty build at a round trip of 10 ms (25,000 lines a second),
/// little enough to hold in memory and to send again.
const WINDOW: usize = 256;
/// How often lines without an answer are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often a line is sent before it is given up, loudly: about 20 s without the bus.
const TRIES: u32 = 10;

/// Sends lines in the background.
pub(super) struct LogWriter {
    lines: mpsc::Sender<Line>,
}

struct Line {
    subject: String,
    id: String,
    text: String,
    sent: Instant,
    tries: u32,
}

impl LogWriter {
    pub fn new(link: Link) -> Self {
        let (lines, receiver) = mpsc::channel(WINDOW);
        tokio::spawn(async move {
            if let Err(error) = run(link, receiver).await {
                tracing::error!(%error, "build logs are no longer written");
            }
        });
        Self { lines }
    }

    pub async fn write(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        let line = Line {
            subject: subject::log(run),
            id: format!("{run}-{}", line.number),
            text: serde_json::to_string(&line).expect("a line is always JSON"),
            sent: Instant::now(),
            tries: 0,
        };
        match timeout(REQUEST_TIMEOUT, self.lines.send(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BusError::Unavailable(
                "the writer of build logs ended".into(),
            )),
            Err(_) => Err(BusError::Unavailable(format!(
                "build logs are not taken within {REQUEST_TIMEOUT:?}"
            ))),
        }
    }
}

async fn run(link: Link, mut lines: mpsc::Receiver<Line>) -> Result<(), BusError> {
    let inbox = link.inbox();
    let mut acks = link
        .client
        .subscribe(format!("{inbox}.*"))
        .await
        .map_err(|error| BusError::Unavailable(error.to_string()))?;
    let mut sent: BTreeMap<u64, Line> = BTreeMap::new();
    let mut next = 0;
    let mut look = tokio::time::interval(LOOK);
    let mut open = true;
    while open || !sent.is_empty() {
        tokio::select! {
        biased;
                    line = lines.recv(), if open && sent.len() < WINDOW => match line {
                        None => open = false,
                        Some(mut line) => {
                            next += 1;
                            send(&link, &inbox, next, &mut line).await;
                            sent.insert(next, line);
                        }
                    },
                    Some(ack) = acks.next() => {
                        let number = ack.subject.rsplit('.').next().and_then(|number| number.parse().ok());
                        let stored = serde_json::from_slice::<PubAck>(&ack.payload);
                        match (number, stored) {
                            (Some(number), Ok(PubAck { error: None, .. })) => drop(sent.remove(&number)),
                            // Sent again at the next look, and given up after some.
                            (_, stored) => tracing::debug!(?stored, "a line of a build log was not stored"),
                        }
                    }
                    _ = look.tick() => {
                        for number in late(&sent) {
                            let Some(line) = sent.get_mut(&number) else { continue };
                            if line.tries >= TRIES {
                                tracing::error!(line = line.id, "a line of a build log could not be stored");
                                sent.remove(&number);
                            } else {
                                send(&link, &inbox, number, line).await;
                            }
                        }
                    }
                }
    }
    Ok(())
}

/// Lines whose answer is late, in their order.
fn late(sent: &BTreeMap<u64, Line>) -> Vec<u64> {
    sent.iter()
        .filter(|(_, line)| line.sent.elapsed() > REQUEST_TIMEOUT)
        .map(|(number, _)| *number)
        .collect()
}

async fn send(link: &Link, inbox: &str, number: u64, line: &mut Line) {
    line.tries += 1;
    line.sent = Instant::now();
    if !*link.connected().borrow() {
        return;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, line.id.as_str());
    let reply = format!("{inbox}.{number}");
    let text = line.text.clone().into();
    if let Err(error) = link
        .client
        .publish_with_reply_and_headers(line.subject.clone(), reply, headers, text)
        .await
    {
        tracing::debug!(%error, line = line.id, "a line of a build log was not sent");
    }
}
