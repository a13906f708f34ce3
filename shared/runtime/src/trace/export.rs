//! Spans on their way to a collector: beside the work, never in its way.
//!
//! In: spans that are over. Out: batches of them for the collector (`otlp`); how many got there and how many were
//! lost. A collector that is slow or away loses spans and nothing else: the queue has an end, and nobody waits for
//! room in it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_config::Telemetry;
use ferry_events::Service;
use opentelemetry_sdk::{Resource, trace::SpanData};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, info, warn};

use super::otlp::{Exporter, Target, resource};

/// Spans that wait for the collector: those of some hundred runs, a few MiB. OpenTelemetry's own default is 2048.
const QUEUE: usize = 8192;
/// Spans sent at a time; OpenTelemetry's own default.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with it: people look at a trace sooner than with its default of 5 s.
const LINGER: Duration = Duration::from_secs(1);
/// How long a service that ends waits for its last spans: little of what a drain may take.
const LAST: Duration = Duration::from_secs(1);
/// Takes the spans of a service. Clones are the same one; the default takes none and costs nothing.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    on: AtomicBool,
    queue: mpsc::Sender<Item>,
    target: watch::Sender<Option<Target>>,
    counts: Arc<Counting>,
}

enum Item {
    Span(Box<SpanData>),
    /// Sends what waits, and tells when that is over.
    Flush(oneshot::Sender<()>),
}

#[derive(Default)]
struct Counting {
    sent: AtomicU64,
    full: AtomicU64,
    failed: AtomicU64,
    /// Whether it was said already that spans are lost.
    said: AtomicBool,
}

/// How many spans there were since the service began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// A collector took them.
    pub sent: u64,
    /// Lost, because too many waited.
    pub full: u64,
    /// Lost, because the collector did not take them.
    pub failed: u64,
}

impl Counts {
    /// As Prometheus reads it (text format 0.0.4).
    pub fn metrics(self) -> String {
        let Self { sent, full, failed } = self;
        format!(
            "# HELP ferry_spans_sent_total Spans that a collector took.\n\
             # TYPE ferry_spans_sent_total counter\n\
             ferry_spans_sent_total {sent}\n\
             # HELP ferry_spans_lost_total Spans that no collector got.\n\
             # TYPE ferry_spans_lost_total counter\n\
             ferry_spans_lost_total{{why=\"queue-full\"}} {full}\n\
             ferry_spans_lost_total{{why=\"not-taken\"}} {failed}\n"
        )
    }
}

impl Counting {
    /// Says it once, until spans get there again.
    fn lost(&self, why: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            warn!(
                why,
                "spans are lost; nothing else is. Look at [telemetry] otlp and its collector"
            );
        }
    }

    fn arrived(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
        if self.said.swap(false, Ordering::Relaxed) {
            let lost = self.full.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed);
            info!(lost, "the collector takes spans again");
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

impl Tracer {
    /// Begins to take spans of a service, once [`Self::configure`] has said where they go. Within a runtime of tokio.
    pub fn start(service: Service) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        let (target, targets) = watch::channel(None);
        let counts = Arc::new(Counting::default());
        let resource = resource(service);
        tokio::spawn(run(items, targets, resource, counts.clone()));
        Self(Some(Arc::new(Inner {
            on: AtomicBool::new(false),
            queue,
            target,
            counts,
        })))
    }

    /// Says where spans go: where the environment of this process says, else where the configuration does.
    pub fn configure(&self, telemetry: &Telemetry) {
        let Some(inner) = &self.0 else { return };
        let target = Target::of(|name| std::env::var(name).ok(), telemetry);
        inner.on.store(target.is_some(), Ordering::Relaxed);
        inner.target.send_if_modified(|known| {
            let other = *known != target;
            *known = target;
            other
        });
    }

    /// Configures itself, now and at each change, for as long as there may be one.
    pub async fn follow<T>(
        &self,
        mut source: watch::Receiver<Arc<T>>,
        telemetry: impl Fn(&T) -> &Telemetry,
    ) {
        loop {
            self.configure(telemetry(&source.borrow_and_update()));
            if source.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether spans go anywhere.
    pub fn is_on(&self) -> bool {
        let on = |inner: &Arc<Inner>| inner.on.load(Ordering::Relaxed);
        self.0.as_ref().is_some_and(on)
    }

    /// Takes a span, or loses it.
    pub(super) fn take(&self, span: SpanData) {
        let Some(inner) = self.0.as_ref().filter(|_| self.is_on()) else {
            return;
        };
        if inner.queue.try_send(Item::Span(Box::new(span))).is_err() {
            inner.counts.full.fetch_add(1, Ordering::Relaxed);
            inner
                .counts
                .lost("more of them wait for the collector than the queue holds");
        }
    }

    /// How many spans there were.
    pub fn counts(&self) -> Counts {
        let Some(inner) = &self.0 else {
            return Counts::default();
        };
        Counts {
            sent: inner.counts.sent.load(Ordering::Relaxed),
            full: inner.counts.full.load(Ordering::Relaxed),
            failed: inner.counts.failed.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits before the process ends; waits a second for it and no longer.
    pub async fn flush(&self) {
        let Some(inner) = self.0.as_ref().filter(|_| self.is_on()) else {
            return;
        };
        let (done, told) = oneshot::channel();
        let flushed = async {
            // What is not sent is lost with the process, as is whoever waits here.
            if inner.queue.send(Item::Flush(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        if timeout(LAST, flushed).await.is_err() {
            debug!("the last spans did not get to the collector in time");
        }
    }
}

/// Sends for as long as anybody may give a span.
async fn run(
    mut items: mpsc::Receiver<Item>,
    targets: watch::Receiver<Option<Target>>,
    resource: Resource,
    counts: Arc<Counting>,
) {
    let mut exporter: Option<Exporter> = None;
    loop {
        let (batch, told) = gather(&mut items).await;
        let target = targets.borrow().clone();
        if exporter.as_ref().map(|it| &it.target) != target.as_ref() {
            exporter = None;
            if let Some(target) = target {
                match Exporter::new(target, &resource) {
                    Ok(made) => exporter = Some(made),
                    Err(why) => counts.lost(&why),
                }
            }
        }
        let spans = batch.len() as u64;
        if spans > 0 {
            let sent = match &exporter {
                Some(exporter) => exporter.send(batch).await,
                None => Err("there is nowhere to send them".into()),
            };
            match sent {
                Ok(()) => counts.arrived(spans),
                Err(why) => {
                    counts.failed.fetch_add(spans, Ordering::Relaxed);
                    counts.lost(&why);
                }
            }
        }
        match told {
            Told::Go => {}
            Told::Flushed(done) => drop(done.send(())),
            Told::End => return,
        }
    }
}

/// Why a batch is whole.
enum Told {
    Go,
    Flushed(oneshot::Sender<()>),
    End,
}

/// A first span, and those that come soon after it.
async fn gather(items: &mut mpsc::Receiver<Item>) -> (Vec<SpanData>, Told) {
    let mut batch = Vec::new();
    let mut until = None;
    while batch.len() < BATCH {
        let item = match until {
            None => items.recv().await,
            Some(until) => match timeout_at(until, items.recv()).await {
                Ok(item) => item,
                Err(_) => break,
            },
        };
        match item {
            Some(Item::Span(span)) => batch.push(*span),
            Some(Item::Flush(done)) => return (batch, Told::Flushed(done)),
            None => return (batch, Told::End),
        }
        until = until.or_else(|| Some(Instant::now() + LINGER));
    }
    (batch, Told::Go)
}
