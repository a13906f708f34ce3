//! What comes late: jars that are slow, installs that end after they were given up, and an installer that
//! froze between its fence and its call. The base ends as it was decided, and nothing of an old plan has
//! an effect after the first change of a newer one.

mod support;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use ferry_bus::{
    Asked, Batch, Bus, BusError, CommitError, Committed, Consumer, DeadLetter, LogLine, Message,
    Record, Source, Start, User,
};
use ferry_config::Config;
use ferry_events::{
    Digest, Reason, RunId, Service, TaskId, question::Question, subject, task::Want,
};
use ferry_fake_base::{FakeJar, Faults, Phase};
use ferry_installer::{InstallerDecide, InstallerEffects};
use ferry_runtime::{Hands, Key, Settings};
use futures::stream::BoxStream;
use support::{
    BASE, BIZ, arklet,
    line::{SILENCE, WAIT},
    on_fake::{OnFake, active, reason, web},
};

#[tokio::test]
async fn a_jar_that_comes_slowly_is_waited_for() {
    let mut line = OnFake::start().await;
    line.base
        .faults()
        .set(|faults| faults.hold_download = Some("1".into()));
    let one = line.web("1").await;
    let task = line.ask("one", Some(one), None).await;
    line.asked(task).await;
    line.base.faults().clear();
    let done = line.finished(task).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("1"))
    );
    assert_eq!(line.effects(), ["installBiz 1"]);
}

/// Gives an install up soon.
fn gives_up_soon(config: &mut Config) {
    config.installer.install_timeout = Duration::from_millis(600);
}

/// The jar stands still until the task was given up and the version before is back; then it arrives.
#[tokio::test]
async fn a_jar_that_comes_after_it_was_given_up_is_gone_after_the_next_plan() {
    for jar in [web, |version: &str| FakeJar::new(BIZ, version)] {
        let mut line = OnFake::with(gives_up_soon).await;
        let held = |faults: &mut Faults| faults.hold_download = Some("2".into());
        let two = line.hanging(jar, held).await;
        let late = line.finished(two.task).await;
        let stop = late.stop.as_ref().expect("it is given up");
        assert_eq!(stop.reason, Reason::BaseTimeout);
        assert_eq!(stop.base.as_deref(), Some(BASE), "the base is named");
        assert_eq!(late.running.as_deref(), Some("1"), "the version before");
        line.let_go(&two.request).await;
        line.goes_back(two.before).await;
    }
}

#[tokio::test]
async fn an_install_that_ends_after_it_was_given_up_leaves_what_was_decided() {
    let mut line = OnFake::with(gives_up_soon).await;
    let held = |faults: &mut Faults| faults.hold_install = Some("2".into());
    let two = line.hanging(web, held).await;
    let late = line.finished(two.task).await;
    assert_eq!(reason(&late), Some(Reason::BaseTimeout));
    assert_eq!(late.stop.unwrap().base.as_deref(), Some(BASE));
    line.let_go(&two.request).await;
    line.goes_back(two.before).await;
    assert_eq!(line.answer().await, (200, format!("{BIZ} 1")));
}

/// While the base still fetches the jar, somebody puts the same version in by another way: what the base
/// answers to the task is REPEAT_BIZ, and what it shows is what was wanted.
#[tokio::test]
async fn a_version_that_is_there_already_by_another_hand_is_not_a_failure() {
    let mut line = OnFake::start().await;
    let jar = web("1");
    let one = line.store(&jar, "1").await;
    line.base
        .faults()
        .set(|faults| faults.hold_download = Some("1".into()));
    let task = line.ask("one", Some(one), None).await;
    let request = line.asked(task).await;
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_file_path(jar.write(folder.path()).unwrap()).unwrap();
    let by_hand = arklet(&line.base);
    // Under another name, so that the base's lock does not notice: the manifest decides what it is.
    let other = TaskId::of(&Digest::of(b"by hand"), BASE).request("install", 1);
    by_hand.install("other", "9", &url, other).await.unwrap();
    line.base
        .ledger()
        .wait_ended(WAIT, &other.to_string())
        .await
        .expect("it is put in");
    let ended = line.let_go(&request).await;
    assert!(!ended.effect, "REPEAT_BIZ: {ended:?}");
    let done = line.finished(task).await;
    assert_eq!((done.stop.as_ref(), line.on_base()), (None, active("1")));
}

#[tokio::test]
async fn a_base_that_freezes_in_the_middle_is_named_and_set_right_once_it_answers() {
    let mut line = OnFake::start().await;
    let held = |faults: &mut Faults| faults.hold_install = Some("2".into());
    let two = line.hanging(web, held).await;
    line.base.faults().set(|faults| faults.freeze = true);
    let frozen = line.finished(two.task).await;
    assert_eq!(reason(&frozen), Some(Reason::BaseTimeout));
    assert_eq!(frozen.stop.unwrap().base.as_deref(), Some(BASE));
    assert_eq!(frozen.running, None, "nobody knows");
    // It thaws, and what it had begun ends after all.
    line.let_go(&two.request).await;
    line.goes_back(two.before).await;
}

/// Where an installer freezes.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// Right after it read that its plan is in force, with the installation still to be asked for.
    Fence,
    /// Before its next write: its call is on the way.
    Write,
}

/// A bus whose only user freezes with its whole process, as after SIGSTOP.
struct Freezing {
    inner: Arc<dyn Bus>,
    armed: Arc<Mutex<Option<At>>>,
    frozen: mpsc::Sender<()>,
    wake: Mutex<mpsc::Receiver<()>>,
}

impl Freezing {
    /// Whether the installation is what stands in the base's committed record.
    async fn is_installing(&self) -> bool {
        let state = subject::state(Service::Installer, Key::new("base", &[BASE]).as_str());
        let record = self.inner.read(&state).await.ok().flatten();
        record.is_some_and(|record| {
            String::from_utf8_lossy(&record.payload).contains("\"step\":\"install\"")
        })
    }

    fn pass(&self, at: At) {
        let here = self.armed.lock().unwrap().take_if(|armed| *armed == at);
        if here.is_some() {
            self.frozen.send(()).unwrap();
            // The only thread of this installer stands still here.
            self.wake.lock().unwrap().recv().unwrap();
        }
    }
}

#[async_trait]
impl Bus for Freezing {
    async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let answer = self.inner.read(subject).await;
        if subject.starts_with("ferry.facts.scheduler.plan.") && self.is_installing().await {
            self.pass(At::Fence);
        }
        answer
    }

    async fn read_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(String, Record)>, BusError> {
        self.inner.read_at(stream, sequence).await
    }

    async fn first(&self, subject: &str) -> Result<Option<Record>, BusError> {
        self.inner.first(subject).await
    }

    async fn end(&self) -> Result<u64, BusError> {
        self.inner.end().await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.pass(At::Write);
        self.inner.commit(batch).await
    }

    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError> {
        self.inner.list(filter).await
    }

    async fn set_timer(
        &self,
        service: Service,
        key: &str,
        at: DateTime<Utc>,
    ) -> Result<(), BusError> {
        self.inner.set_timer(service, key, at).await
    }

    async fn consume(
        &self,
        service: Service,
        source: Source,
    ) -> Result<Box<dyn Consumer>, BusError> {
        self.inner.consume(service, source).await
    }

    async fn watch(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        self.inner.watch(stream, filters, start).await
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
        self.inner.put_jar(digest, file).await
    }

    async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        self.inner.get_jar(digest, file).await
    }

    async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        self.inner.log(run, line).await
    }

    async fn bury(&self, letter: &DeadLetter, parked: bool) -> Result<(), BusError> {
        self.inner.bury(letter, parked).await
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<bytes::Bytes, BusError> {
        self.inner.ask(question, limit).await
    }

    async fn questions(&self, service: Service) -> Result<BoxStream<'static, Asked>, BusError> {
        self.inner.questions(service).await
    }

    fn connected(&self) -> tokio::sync::watch::Receiver<bool> {
        self.inner.connected()
    }
}

/// An installer in a process of its own, as far as freezing goes: one thread with one runtime.
struct Freezer {
    armed: Arc<Mutex<Option<At>>>,
    is_frozen: mpsc::Receiver<()>,
    wake: mpsc::Sender<()>,
    end: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// Claims that run out soon, so that another installer takes over soon.
fn hasty() -> Settings {
    Settings {
        lease: Duration::from_secs(1),
        sweep: Duration::from_millis(500),
        ..Settings::default()
    }
}

impl Freezer {
    /// In the place of the installer that the line began with.
    async fn start(line: &mut OnFake) -> Self {
        line.services.pop().unwrap().drain().await;
        let armed = Arc::new(Mutex::new(None));
        let (frozen, is_frozen) = mpsc::channel();
        let (wake, waits) = mpsc::channel();
        let bus: Arc<dyn Bus> = Arc::new(Freezing {
            inner: Arc::new(line.bus.as_user(User::Service(Service::Installer))),
            armed: armed.clone(),
            frozen,
            wake: waits.into(),
        });
        let folder = line.data.path().join("freezes");
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let effects = InstallerEffects::new(Hands::new(bus.clone()), &folder)
                    .unwrap()
                    .with_silence_limit(SILENCE);
                let running = ferry_runtime::run(InstallerDecide, effects, bus, hasty()).await;
                let _ = ends.await;
                running.drain().await;
            });
        });
        Self {
            armed,
            is_frozen,
            wake,
            end,
            thread,
        }
    }

    fn freeze_at(&self, at: At) {
        *self.armed.lock().unwrap() = Some(at);
    }

    /// Waits until it stands still.
    fn frozen(&self) {
        tokio::task::block_in_place(|| self.is_frozen.recv_timeout(WAIT)).expect("it freezes");
    }

    /// Wakes it, and ends it once it did what it had in hand.
    fn wake_and_end(self) {
        self.wake.send(()).unwrap();
        self.end.send(()).unwrap();
        tokio::task::block_in_place(|| self.thread.join()).unwrap();
    }
}

/// Without a path on the web, on which the two would be in each other's way.
async fn two_versions(line: &OnFake) -> (Want, Want) {
    let one = line.store(&FakeJar::new(BIZ, "1"), "1").await;
    (one, line.store(&FakeJar::new(BIZ, "2"), "2").await)
}

/// The rollout goes back while the first installer is frozen; another one takes over when its claim ran out.
async fn goes_back(line: &mut OnFake, old: TaskId, one: Want) {
    let back = line.ask("back", Some(one), None).await;
    line.run(hasty()).await;
    let outdated = line.finished(old).await;
    assert_eq!(reason(&outdated), Some(Reason::PlanOutdated));
    let back = line.finished(back).await;
    assert_eq!((back.stop.as_ref(), line.on_base()), (None, active("1")));
}

/// The old plan had no effect after the first change of the newer one.
async fn nothing_came_of_it(line: &OnFake, old: TaskId) {
    let request = old.request("install", 1).to_string();
    assert_eq!(line.base.ledger().effects(&request), 0);
    let effects = ["installBiz 1", "uninstallBiz 1", "installBiz 1"];
    assert_eq!(line.effects(), effects);
    assert_eq!(line.on_base(), active("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_that_froze_after_its_fence_and_wakes_after_the_way_back_does_nothing() {
    let mut line = OnFake::start().await;
    let first = Freezer::start(&mut line).await;
    let (one, two) = two_versions(&line).await;
    let done = line.deploy("one", Some(one.clone()), None).await;
    assert_eq!(done.stop, None);
    first.freeze_at(At::Fence);
    let old = line.ask("two", Some(two), Some(one.clone())).await;
    first.frozen();
    assert!(
        line.base.modules().is_empty(),
        "version 1 is out, 2 is not in"
    );

    goes_back(&mut line, old, one).await;
    let fact = line.fact().await;
    first.wake_and_end();
    nothing_came_of_it(&line, old).await;
    assert_eq!(line.fact().await, fact, "its word does not count any more");
}

/// Stands between an installer and a base. The first install that comes is kept, and sent on when it is
/// released, whoever still waits for the answer.
struct Holding {
    target: String,
    http: reqwest::Client,
    armed: AtomicBool,
    held: tokio::sync::Notify,
    release: tokio::sync::Notify,
}

async fn send_on(
    State(it): State<Arc<Holding>>,
    uri: axum::http::Uri,
    body: axum::body::Bytes,
) -> Result<Vec<u8>, axum::http::StatusCode> {
    let path = uri.path().to_owned();
    let work = async move {
        if path == "/installBiz" && it.armed.swap(false, Ordering::SeqCst) {
            it.held.notify_one();
            it.release.notified().await;
        }
        let url = format!("{}{path}", it.target);
        let answer = it.http.post(url).body(body).send().await.ok()?;
        Some(answer.bytes().await.ok()?.to_vec())
    };
    // Not ended when the one that asked goes away: what is on the way arrives.
    let sent = tokio::spawn(work).await.ok().flatten();
    sent.ok_or(axum::http::StatusCode::BAD_GATEWAY)
}

/// The call left the frozen installer in time, and arrives after the way back.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_arrives_after_the_way_back_is_refused_by_the_base() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut target = String::new();
    let mut line = OnFake::with(|config| {
        let base = &mut config.pools.values_mut().next().unwrap().bases[0];
        target = base.arklet.as_str().trim_end_matches('/').to_owned();
        let address = listener.local_addr().unwrap();
        base.arklet = format!("http://{address}").parse().unwrap();
        // It waits for the answer until it freezes.
        config.installer.request_timeout = WAIT;
    })
    .await;
    let between = Arc::new(Holding {
        target,
        http: reqwest::Client::new(),
        armed: AtomicBool::new(false),
        held: tokio::sync::Notify::new(),
        release: tokio::sync::Notify::new(),
    });
    let router = axum::Router::new()
        .fallback(send_on)
        .with_state(between.clone());
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let first = Freezer::start(&mut line).await;
    let (one, two) = two_versions(&line).await;
    let done = line.deploy("one", Some(one.clone()), None).await;
    assert_eq!(done.stop, None);
    between.armed.store(true, Ordering::SeqCst);
    let old = line.ask("two", Some(two), Some(one.clone())).await;
    tokio::time::timeout(WAIT, between.held.notified())
        .await
        .expect("the install is on its way");
    first.freeze_at(At::Write);
    first.frozen();

    goes_back(&mut line, old, one).await;
    between.release.notify_one();
    let request = old.request("install", 1).to_string();
    let refused = line
        .base
        .ledger()
        .wait_for(WAIT, |entry| {
            entry.request_id.as_deref() == Some(&*request)
                && entry.phase == Phase::Ended
                && entry.command.as_str() == "installBiz"
        })
        .await
        .expect("it arrives");
    assert!(!refused.effect, "{refused:?}");
    // By the used-up id, not by chance: nothing else on the base is in its way.
    let outcome = refused.outcome.clone().unwrap_or_default();
    assert!(outcome.contains("has been executed"), "{refused:?}");
    first.wake_and_end();
    nothing_came_of_it(&line, old).await;
}
