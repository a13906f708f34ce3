//! The bus as one process reaches it: the bus in memory behind boundaries.
//!
//! In: what the runtime asks for. Out: what the bus in memory does, unless the process dies, stands still,
//! is cut off, or the exchange fails. Commits are observed on their way.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ferry_bus::{
    Ack, Asked, Batch, Bus, BusError, CommitError, Committed, Consumer, DeadLetter, Delivery,
    LogLine, MemoryBus, Message, Record, Source, Start,
};
use ferry_events::{Digest, RunId, Service, question::Question, subject};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::watch;

use crate::process::{Fate, Life};

/// How long a request to a bus that is not there takes to fail: less than a real one's 5 s, so that a
/// short absence is met more than once.
const SILENCE: Duration = Duration::from_millis(400);

/// What is asked for every few seconds.
const LOOKED_AT: [&str; 3] = [subject::CONFIG, subject::RESTORED, subject::ALL_EVENTS];

/// A process's connection.
pub struct SimBus {
    life: Arc<Life>,
    inner: MemoryBus,
    listed: Mutex<BTreeMap<String, Vec<(String, Record)>>>,
}

impl SimBus {
    /// A life's connection to the bus.
    pub fn new(life: Arc<Life>, inner: MemoryBus) -> Self {
        Self {
            life,
            inner,
            listed: Mutex::default(),
        }
    }

    async fn before(&self, what: &str) -> Result<(), BusError> {
        let fate = self.life.pass(what).await;
        let away = !self.life.link.see(|there| *there);
        if away {
            tokio::time::sleep(SILENCE).await;
            self.life.open().await;
        }
        if away || fate == Fate::Fail {
            return Err(BusError::Unavailable(format!("{what}: no connection")));
        }
        Ok(())
    }

    /// Of what is asked for every few seconds: only that the process runs, and reaches the bus, matters.
    async fn looked_at(&self) -> Result<(), BusError> {
        self.life.open().await;
        if self.life.link.see(|there| *there) {
            return Ok(());
        }
        tokio::time::sleep(SILENCE).await;
        self.life.open().await;
        Err(BusError::Unavailable("no connection".into()))
    }

    async fn after(&self, what: &str) -> Result<(), BusError> {
        match self.life.pass(what).await {
            Fate::Go => Ok(()),
            Fate::Fail => Err(BusError::Unavailable(format!("{what}: the answer is lost"))),
        }
    }
}

#[async_trait]
impl Bus for SimBus {
    async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        if LOOKED_AT.contains(&subject) {
            self.looked_at().await?;
            return self.inner.read(subject).await;
        }
        self.before("read").await?;
        let record = self.inner.read(subject).await?;
        self.after("has read").await?;
        Ok(record)
    }

    async fn read_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(String, Record)>, BusError> {
        if stream == subject::STREAM {
            self.looked_at().await?;
        } else {
            self.before("read at").await?;
        }
        self.inner.read_at(stream, sequence).await
    }

    async fn first(&self, subject: &str) -> Result<Option<Record>, BusError> {
        self.looked_at().await?;
        self.inner.first(subject).await
    }

    async fn end(&self) -> Result<u64, BusError> {
        self.looked_at().await?;
        self.inner.end().await
    }

    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError> {
        self.before("list").await?;
        let fresh = self.inner.list(filter).await?;
        let mut listed = self.listed.lock().expect("no panic under this lock");
        // Any replica of the stream answers: one list late is what a slow one would say.
        Ok(listed
            .insert(filter.to_owned(), fresh.clone())
            .unwrap_or(fresh))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.before("commit").await?;
        let world = self.life.world.upgrade();
        let batch = match &world {
            Some(world) if world.is_newer(self.life.replica) => newer(batch),
            _ => batch,
        };
        let committed = self.inner.commit(batch.clone()).await?;
        if let Some(world) = world {
            world.observe(&self.life, &batch);
        }
        self.after("has committed").await?;
        Ok(committed)
    }

    async fn set_timer(
        &self,
        service: Service,
        key: &str,
        at: DateTime<Utc>,
    ) -> Result<(), BusError> {
        if self.before("set timer").await.is_err() {
            // It is said to stand, and does not.
            return Ok(());
        }
        self.inner.set_timer(service, key, at).await
    }

    async fn consume(
        &self,
        service: Service,
        source: Source,
    ) -> Result<Box<dyn Consumer>, BusError> {
        self.before("consume").await?;
        Ok(Box::new(SimConsumer {
            life: self.life.clone(),
            inner: self.inner.consume(service, source).await?,
            work: source == Source::Work,
        }))
    }

    async fn watch(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        let watched = self.inner.watch(stream, filters, start).await?;
        let life = self.life.clone();
        Ok(watched
            .then(move |message| {
                let life = life.clone();
                async move {
                    life.open().await;
                    message
                }
            })
            .boxed())
    }

    async fn past(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        self.inner.past(stream, filters, start).await
    }

    async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        self.before("put jar").await?;
        self.inner.put_jar(digest, file).await?;
        self.after("has put jar").await
    }

    async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        self.before("get jar").await?;
        self.inner.get_jar(digest, file).await
    }

    async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        self.life.open().await;
        self.inner.log(run, line).await
    }

    async fn bury(&self, letter: &DeadLetter, parked: bool) -> Result<(), BusError> {
        self.before("bury").await?;
        if let Some(world) = self.life.world.upgrade() {
            world.buried(letter, parked);
        }
        self.inner.bury(letter, parked).await?;
        self.after("has buried").await
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<Bytes, BusError> {
        self.inner.ask(question, limit).await
    }

    async fn questions(&self, service: Service) -> Result<BoxStream<'static, Asked>, BusError> {
        self.inner.questions(service).await
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.inner.connected()
    }
}

/// What a later version writes: a field more in every state.
fn newer(mut batch: Batch) -> Batch {
    for write in &mut batch.writes {
        if !write.subject.starts_with("ferry.state.") {
            continue;
        }
        if let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&write.payload) {
            fields.insert("of_a_later_version".into(), true.into());
            write.payload = serde_json::Value::Object(fields).to_string().into();
        }
    }
    batch
}

struct SimConsumer {
    life: Arc<Life>,
    inner: Box<dyn Consumer>,
    work: bool,
}

#[async_trait]
impl Consumer for SimConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        self.life.open().await;
        if !self.life.link.see(|there| *there) {
            tokio::time::sleep(SILENCE).await;
            return Err(BusError::Unavailable("no connection".into()));
        }
        let cut = self.life.link.wait_for(|there| !*there);
        let got = tokio::select! {
            biased;
            // A dead client asks for nothing any more.
            () = self.life.dead() => return std::future::pending().await,
            () = cut => {
                return Err(BusError::Unavailable("the connection is lost".into()));
            }
            got = self.inner.next(max) => got?,
        };
        let sequences: Vec<u64> = got.iter().map(|delivery| delivery.sequence).collect();
        if let Some(world) = self.life.world.upgrade()
            && self.work
            && !sequences.is_empty()
            && world.goes_down(self.life.service, &sequences)
        {
            world.tell(&self.life.name, "goes down with a message");
            world.crash(&self.life, 100);
        }
        if self.life.pass("deliver").await == Fate::Fail {
            return Err(BusError::Unavailable(
                "the messages are lost on the way".into(),
            ));
        }
        let wrap = |delivery: Delivery| Delivery {
            ack: Box::new(SimAck {
                life: self.life.clone(),
                inner: delivery.ack,
                first: delivery.delivered == 1 && self.work,
            }),
            ..delivery
        };
        Ok(got.into_iter().map(wrap).collect())
    }
}

struct SimAck {
    life: Arc<Life>,
    inner: Box<dyn Ack>,
    first: bool,
}

impl SimAck {
    async fn around<F: Future<Output = Result<(), BusError>> + Send>(
        &self,
        what: &str,
        settle: impl FnOnce() -> F,
    ) -> Result<(), BusError> {
        let fate = self.life.pass(what).await;
        if fate == Fate::Fail || !self.life.link.see(|there| *there) {
            // Not confirmed by the server, so nobody notices.
            return Ok(());
        }
        settle().await
    }
}

#[async_trait]
impl Ack for SimAck {
    async fn ack(&self) -> Result<(), BusError> {
        let world = self.life.world.upgrade();
        if self.first && world.is_some_and(|world| world.script.settings.twice) {
            return self.inner.nak(Duration::from_millis(700)).await;
        }
        self.around("ack", || self.inner.ack()).await?;
        self.life.pass("has acked").await;
        Ok(())
    }

    async fn nak(&self, delay: Duration) -> Result<(), BusError> {
        self.around("nak", || self.inner.nak(delay)).await
    }

    async fn progress(&self) -> Result<(), BusError> {
        self.life.open().await;
        self.inner.progress().await
    }

    async fn term(&self) -> Result<(), BusError> {
        self.around("term", || self.inner.term()).await
    }
}
