//! The bus on NATS JetStream.
//!
//! In: where it is and who connects. Out: [`JetStream`], a [`Bus`]. What was measured of the real
//! server stands in `tests/conformance/` and `tests/server/`.

mod asks;
mod commit;
mod consume;
mod direct;
mod group;
mod jars;
mod link;
mod logs;
mod timers;
mod watch;
pub(crate) mod wire;

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_nats::jetstream;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ferry_events::{Digest, RunId, Service, question::Question, subject::STREAM};
use futures::stream::BoxStream;
use tokio::sync::OnceCell;

pub use jars::CHUNK;
pub(crate) use jars::{hash, stream as objects};
pub use link::{CONNECT_WAIT, ConnectOptions, REQUEST_TIMEOUT};

use crate::{
    Asked, Batch, Bus, BusError, CommitError, Committed, Consumer, DeadLetter, LogLine, Message,
    Record, Source, Start,
};

/// The bus on a nats-server or a cluster of them.
pub struct JetStream {
    link: link::Link,
    groups: group::Groups,
    context: jetstream::Context,
    logs: OnceCell<logs::LogWriter>,
}

impl JetStream {
    /// Connects. Returns after at most [`CONNECT_WAIT`]: when there is no server yet it says so in the
    /// log and goes on trying in the background; [`Bus::connected`] tells when it is there.
    ///
    /// # Errors
    /// [`BusError::Refused`]: a url or seed that cannot be read, or a key that the server does not know.
    pub async fn connect(options: ConnectOptions) -> Result<Self, BusError> {
        let link = link::Link::open(options).await?;
        let mut context = jetstream::new(link.client.clone());
        context.set_timeout(REQUEST_TIMEOUT);
        Ok(Self {
            groups: group::Groups::new(&link),
            link,
            context,
            logs: OnceCell::new(),
        })
    }

    /// Waits for the connection.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] after `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<(), BusError> {
        self.link.ready(limit).await.map(drop)
    }

    /// Its context, for provisioning.
    pub(crate) fn context(&self) -> &jetstream::Context {
        &self.context
    }
}

#[async_trait]
impl Bus for JetStream {
    async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let stored = direct::last(&self.link, STREAM, subject).await?;
        stored
            .map(|it| Record::new(it.sequence, it.payload))
            .transpose()
    }

    async fn read_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(String, Record)>, BusError> {
        let stored = direct::at(&self.link, stream, sequence).await?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let record = Record::new(stored.sequence, stored.payload)?;
        Ok(Some((stored.subject, record)))
    }

    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError> {
        let mut found = BTreeMap::new();
        let mut pages = direct::Pages::new(&self.link, STREAM, filter);
        while let Some(page) = pages.next().await? {
            for stored in page {
                let record = Record::new(stored.sequence, stored.payload)?;
                found.insert(stored.subject, record);
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn first(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let found = direct::first(&self.link, STREAM, subject).await?;
        found
            .map(|it| Record::new(it.sequence, it.payload))
            .transpose()
    }

    async fn end(&self) -> Result<u64, BusError> {
        direct::end(&self.link, STREAM).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.groups.commit(batch).await
    }

    async fn set_timer(
        &self,
        service: Service,
        key: &str,
        at: DateTime<Utc>,
    ) -> Result<(), BusError> {
        timers::set(&self.link, service, key, at).await
    }

    async fn consume(
        &self,
        service: Service,
        source: Source,
    ) -> Result<Box<dyn Consumer>, BusError> {
        let stream = source.stream();
        let name = crate::permissions::consumer_name(service);
        Ok(Box::new(
            consume::PullConsumer::open(&self.link, &self.context, stream, name).await?,
        ))
    }

    async fn watch(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        watch::watch(
            self.link.clone(),
            self.context.clone(),
            stream.to_owned(),
            filters,
            start,
        )
        .await
    }

    async fn past(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        watch::past(
            self.link.clone(),
            self.context.clone(),
            stream.to_owned(),
            filters,
            start,
        )
        .await
    }

    async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        jars::put(&self.link, digest, file).await
    }

    async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        jars::get(&self.link, digest, file).await
    }

    async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        let writer = self
            .logs
            .get_or_init(|| async { logs::LogWriter::new(self.link.clone()) })
            .await;
        writer.write(run, line).await
    }

    async fn bury(&self, letter: &DeadLetter, parked: bool) -> Result<(), BusError> {
        let write = letter.write(parked);
        let headers = commit::headers(&write);
        let answer = self
            .link
            .request(&write.subject, Some(headers), write.payload)
            .await?;
        let ack: wire::PubAck = wire::parse("dead letter", &answer)?;
        ack.error
            .map_or(Ok(()), |error| Err(error.into_bus_error("dead letter")))
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<Bytes, BusError> {
        asks::ask(&self.link, question, limit).await
    }

    async fn questions(&self, service: Service) -> Result<BoxStream<'static, Asked>, BusError> {
        asks::questions(&self.link, service).await
    }

    fn connected(&self) -> tokio::sync::watch::Receiver<bool> {
        self.link.connected()
    }
}
