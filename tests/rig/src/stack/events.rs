//! The events of a stack, written down and passed on.
//!
//! In: the API's event stream. Out: a file of JSON lines; the events in order.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferry_api::{Client, ClientError, EventsQuery, StreamedEvent};
use ferry_events::Event;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Every event of a stack from the first on. Ends when dropped.
#[derive(Debug)]
pub struct Recorder {
    events: mpsc::UnboundedReceiver<Result<StreamedEvent, ClientError>>,
    task: JoinHandle<()>,
}

impl Recorder {
    pub(super) fn start(client: &Client, file: &Path) -> Result<Self> {
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let mut file =
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        let query = EventsQuery {
            after: Some(0),
            ..EventsQuery::default()
        };
        let stream = client.events(&query);
        let (out, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(item) = stream.next().await {
                if let Ok(streamed) = &item {
                    // A full disk is noticed where the events are read from the file.
                    writeln!(file, "{}", streamed.event).ok();
                }
                if out.send(item).is_err() {
                    return;
                }
            }
        });
        Ok(Self { events, task })
    }

    /// The next event, in the order of the stream.
    ///
    /// # Errors
    /// When none comes within `limit`, the stream breaks, or the event is of
    /// another version.
    pub async fn next(&mut self, limit: Duration) -> Result<Event> {
        let Ok(item) = timeout(limit, self.events.recv()).await else {
            bail!("no event came within {limit:?}");
        };
        let streamed = item.context("the stream of events has ended")??;
        Ok(streamed.decode()?)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
