//! Traces: what a service handles and does is sent as spans, in the trace that its messages came with; and a
//! collector that does not answer stands in nobody's way.

mod support;

use std::{sync::Arc, time::Duration};

use ferry_bus::{MemoryBus, User, config_store};
use ferry_config::Config;
use ferry_events::{Body, Event, Kind, PushId, Service, Traceparent, push::Received};
use ferry_rig::collector::{Collector, Span};
use ferry_runtime::{Running, Settings, Tracer, run};
use support::{Publisher, Work, count, packaged, publish, published, settings, wait_for};
use uuid::Uuid;

/// A batch goes after a second; the rest is for a machine that is busy.
const LIMIT: Duration = Duration::from_secs(60);

const PUSH: Uuid = Uuid::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);

/// A packaged artifact, as the builder says it in a trace.
fn traced(n: u64, module: &str) -> Event {
    Event {
        trace: Some(Traceparent::root(PUSH)),
        ..packaged(n, module)
    }
}

/// Puts a configuration on the bus with these traces; `after` is the revision before.
async fn configure(bus: &MemoryBus, url: Option<&str>, after: u64) -> u64 {
    let mut config = Config::default();
    config.telemetry.otlp = url.map(|url| url.parse().expect("an address"));
    let config = serde_json::to_vec(&config).unwrap();
    config_store::put(bus, config.into(), after).await.unwrap()
}

/// A bus on which the configuration names a collector.
async fn bus_with(url: &str) -> MemoryBus {
    let bus = MemoryBus::default();
    configure(&bus, Some(url), 0).await;
    bus
}

async fn service(bus: &MemoryBus, work: &Work, tracer: &Tracer) -> Running {
    let own = bus.as_user(User::Service(Service::Slimmer));
    let settings = Settings {
        tracer: tracer.clone(),
        ..settings(bus)
    };
    run(Publisher::default(), work.clone(), Arc::new(own), settings).await
}

async fn spans(collector: &Collector, good: impl Fn(&[Span]) -> bool) -> Vec<Span> {
    tokio::time::timeout(LIMIT, collector.until(good))
        .await
        .unwrap_or_else(|_| panic!("only these came: {:#?}", collector.spans()))
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_message_and_its_work_are_spans_below_the_one_that_said_it() {
    let (collector, tracer) = (
        Collector::start().await.unwrap(),
        Tracer::start(Service::Slimmer),
    );
    let bus = bus_with(collector.url()).await;
    let running = service(&bus, &Work::free(), &tracer).await;
    let event = traced(1, "cart");
    publish(&bus, &event).await;
    let said = published(&bus, 1).await.remove(0);
    let spans = spans(&collector, |spans| spans.len() == 3).await;

    let root = Traceparent::root(PUSH);
    let message = named(&spans, "process artifact.packaged")[0];
    let run = event.run().unwrap().to_string();
    assert_eq!(message.trace, PUSH.simple().to_string());
    assert_eq!(message.parent, Some(format!("{:016x}", root.span())));
    assert_eq!(message.service, "ferry-slimmer");
    assert_eq!(message.error, None);
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", &*event.bus_subject()),
        ("messaging.message.id", &*event.id.to_string()),
        (
            "cloudevents.event_type",
            "dev.cdevents.artifact.packaged.0.3.0",
        ),
        ("cicd.pipeline.name", "cart"),
        ("cicd.pipeline.run.id", &*run),
        ("ferry.version", "1"),
        ("service.namespace", "ferry"),
    ] {
        assert_eq!(message.get(name), value, "{name}");
    }

    let work = named(&spans, "slim")[0];
    assert_eq!(work.trace, message.trace);
    assert_eq!(work.parent.as_ref(), Some(&message.id));
    assert_eq!(work.get("ferry.attempt"), "1");
    assert_eq!(work.get("cicd.pipeline.task.run.result"), "success");
    assert_eq!(work.get("ferry.says"), "artifact.published");
    assert!(work.began >= message.began && work.ended >= work.began);
    // Whoever takes the event goes on below the work.
    let said = said.trace.expect("it is in the trace");
    assert_eq!(said.trace_id(), work.trace);
    assert_eq!(format!("{:016x}", said.span()), work.id);
    let next = named(&spans, "process artifact.published")[0];
    assert_eq!(next.parent.as_ref(), Some(&work.id));
    assert!(running.drain().await);
}

#[tokio::test]
async fn what_is_done_again_elsewhere_has_the_same_spans() {
    let mut said = Vec::new();
    for tracer in [Tracer::default(), Tracer::start(Service::Slimmer)] {
        let bus = bus_with("http://127.0.0.1:9").await;
        let running = service(&bus, &Work::free(), &tracer).await;
        publish(&bus, &traced(1, "cart")).await;
        said.extend(published(&bus, 1).await.iter().map(Event::encode));
        assert!(running.drain().await);
    }
    assert_eq!(said[0], said[1], "with a tracer and without");
}

#[tokio::test]
async fn an_event_in_no_trace_is_handled_in_none() {
    let (collector, tracer) = (
        Collector::start().await.unwrap(),
        Tracer::start(Service::Slimmer),
    );
    let bus = bus_with(collector.url()).await;
    let running = service(&bus, &Work::free(), &tracer).await;
    publish(&bus, &packaged(1, "cart")).await;
    let said = published(&bus, 1).await.remove(0);
    // A run that nobody knows the trace of has one of its own from here on.
    let own = Traceparent::root(said.run().unwrap().0);
    assert_eq!(said.trace, Some(own));
    let spans = spans(&collector, |spans| !spans.is_empty()).await;
    assert_eq!(spans[0].name, "begin run");
    assert_eq!(spans[0].parent, None);
    assert_eq!(spans[0].trace, own.trace_id());
    assert!(running.drain().await);
}

#[tokio::test]
async fn attempts_that_fail_are_spans_with_the_reason() {
    let (collector, tracer) = (
        Collector::start().await.unwrap(),
        Tracer::start(Service::Slimmer),
    );
    let bus = bus_with(collector.url()).await;
    let work = Work::free().failing(1);
    let running = service(&bus, &work, &tracer).await;
    publish(&bus, &traced(1, "cart")).await;
    published(&bus, 1).await;
    assert_eq!(count(&bus, Kind::WorkRetried), 1);
    let spans = spans(&collector, |spans| spans.len() == 4).await;
    let attempts = named(&spans, "slim");
    assert_eq!(attempts[0].get("ferry.attempt"), "1");
    assert_eq!(attempts[0].get("error.type"), "store-failed");
    assert_eq!(attempts[0].get("cicd.pipeline.task.run.result"), "failure");
    assert!(
        attempts[0]
            .error
            .as_ref()
            .unwrap()
            .contains("the store is silent")
    );
    assert_eq!(attempts[1].get("ferry.attempt"), "2");
    assert_eq!(attempts[1].error, None);
    assert_ne!(attempts[0].id, attempts[1].id);
    assert_eq!(attempts[0].parent, attempts[1].parent);
    let all = bus.messages(ferry_events::subject::STREAM).unwrap();
    let retried = all
        .iter()
        .filter_map(|(_, _, payload)| Event::decode(payload).ok())
        .find(|event| matches!(event.body, Body::WorkRetried(_)))
        .unwrap();
    let trace = retried.trace.unwrap();
    assert_eq!(format!("{:016x}", trace.span()), attempts[0].id);
    assert!(running.drain().await);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_nothing() {
    let (collector, tracer) = (
        Collector::silent().await.unwrap(),
        Tracer::start(Service::Slimmer),
    );
    let bus = bus_with(collector.url()).await;
    let running = service(&bus, &Work::free(), &tracer).await;
    publish(&bus, &traced(1, "cart")).await;
    published(&bus, 1).await;
    tokio::time::timeout(LIMIT, collector.is_asked())
        .await
        .expect("spans are sent");
    // It holds the first spans in its hand; all else goes on.
    for n in 2..=100 {
        publish(&bus, &traced(n, "cart")).await;
    }
    assert_eq!(published(&bus, 100).await.len(), 100);
    assert_eq!(tracer.counts().sent, 0);
    assert!(collector.spans().is_empty());
    assert!(running.drain().await, "and the service drains in time");
    tracer.flush().await;
    assert_eq!(tracer.counts().sent, 0);
    // Once it answers, it gets what waited.
    collector.let_go();
    let spans = spans(&collector, |spans| spans.len() == 300).await;
    assert_eq!(named(&spans, "slim").len(), 100);
}

#[tokio::test]
async fn more_spans_than_the_queue_holds_are_lost_at_once() {
    let (collector, tracer) = (
        Collector::silent().await.unwrap(),
        Tracer::start(Service::Gateway),
    );
    let mut telemetry = Config::default().telemetry;
    telemetry.otlp = collector.url().parse().ok();
    tracer.configure(&telemetry);
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let received = Received {
        push: PushId(PUSH),
        forge: "github".into(),
        repository: "shop".into(),
        branch: "main".into(),
        before: None,
        after: "a".repeat(40),
        forced: false,
        author: None,
        message: None,
        received_at: at,
    };
    // Nobody sends meanwhile: this thread is the only one.
    for _ in 0..10_000 {
        tracer.accepted(&received, None, at);
    }
    assert_eq!(tracer.counts().full, 10_000 - 8192);
    collector.let_go();
    assert_eq!(
        spans(&collector, |spans| spans.len() == 8192).await.len(),
        8192
    );
}

#[tokio::test]
async fn spans_that_nobody_takes_are_counted() {
    let tracer = Tracer::start(Service::Slimmer);
    let gone = Collector::start().await.unwrap();
    let bus = MemoryBus::default();
    let revision = configure(&bus, Some(gone.url()), 0).await;
    drop(gone);
    let running = service(&bus, &Work::free(), &tracer).await;
    publish(&bus, &traced(1, "cart")).await;
    published(&bus, 1).await;
    tokio::time::timeout(LIMIT, wait_for(|| tracer.counts().failed == 3))
        .await
        .expect("all are lost");
    let metrics = tracer.counts().metrics();
    assert!(
        metrics.contains("ferry_spans_lost_total{why=\"not-taken\"} 3\n"),
        "{metrics}"
    );
    // Without a collector there are none.
    let told = async |on| {
        tokio::time::timeout(LIMIT, wait_for(|| tracer.is_on() == on))
            .await
            .expect("it is told");
    };
    let revision = configure(&bus, None, revision).await;
    told(false).await;
    publish(&bus, &traced(2, "cart")).await;
    published(&bus, 2).await;
    // And another one gets what comes from then on.
    let collector = Collector::start().await.unwrap();
    configure(&bus, Some(collector.url()), revision).await;
    told(true).await;
    let third = traced(3, "cart");
    publish(&bus, &third).await;
    let run = third.run().unwrap().to_string();
    let spans = spans(&collector, |spans| spans.len() == 3).await;
    assert!(
        spans
            .iter()
            .all(|span| span.get("cicd.pipeline.run.id") == run)
    );
    tokio::time::timeout(LIMIT, wait_for(|| tracer.counts().sent == 3))
        .await
        .expect("they are counted");
    assert_eq!(tracer.counts().failed, 3);
    assert!(running.drain().await);
}
