//! A base is restarted by its pool's driver: out of its load balancer until it is told that this is over, and
//! never when its moment is past.

mod support;

use std::{path::Path, sync::Arc, time::Duration};

use ferry_bus::{Bus, Start, Write};
use ferry_config::Restart;
use ferry_events::{
    Body, Event, Kind, Reason, Timestamp,
    restart::{Finished, Outcome, Over, Requested, Turn},
    subject,
    task::Want,
};
use ferry_installer::{InstallerDecide, decide::Base};
use ferry_rig::wait::until;
use ferry_runtime::{Context, Decide as _, Input, Key};
use futures::StreamExt as _;
use support::{
    BASE, ENVIRONMENT, balancer::Balancer, config, drain, event, line::WAIT, on_fake::OnFake, plan,
    start,
};

const YEAR: u64 = 365 * 24 * 3600;

/// A line whose base is behind a load balancer, and is restarted with a shell's command.
async fn driven(script: &str, behind: bool) -> (OnFake, Balancer) {
    let balancer = Balancer::start().await;
    let drain = behind.then(|| drain(&balancer.url));
    let words = ["sh", "-c", script, "restart", "{base}", "{zone}"];
    let line = OnFake::with(|config| {
        let pool = config.pools.get_mut("one").unwrap();
        pool.drain = drain;
        pool.restart = Some(Restart {
            exec: words.map(str::to_owned).into(),
            timeout: Duration::from_secs(5),
            ready: Duration::from_secs(5),
            settle: WAIT,
            wait: WAIT,
            every: WAIT,
        });
    })
    .await;
    (line, balancer)
}

fn turn(number: u64) -> Turn {
    Turn {
        number,
        base: BASE.into(),
        pool: "one".into(),
        environment: ENVIRONMENT.into(),
    }
}

/// A script that writes down each call with its arguments.
fn notes(file: &Path) -> String {
    format!("echo restarted $1 in $2 >> {}", file.display())
}

fn noted(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

async fn say(line: &mut OnFake, body: impl Into<Body>) {
    line.number += 1;
    let writes = vec![Write::event(&event(line.number, body))];
    line.bus.commit(writes.into()).await.unwrap();
}

async fn ask(line: &mut OnFake, number: u64, seconds: i64) {
    let requested = Requested {
        turn: turn(number),
        begin_by: Timestamp::from_timestamp(seconds, 0).unwrap(),
    };
    say(line, requested).await;
}

/// Whose moment is far away.
async fn ask_now(line: &mut OnFake, number: u64) {
    let far = 100 * i64::try_from(YEAR).unwrap();
    ask(line, number, far).await;
}

async fn is_over(line: &mut OnFake, number: u64) {
    let over = Over {
        base: BASE.into(),
        pool: "one".into(),
        environment: ENVIRONMENT.into(),
        turn: Some(number),
        outcome: Outcome::Restarted,
        stop: None,
    };
    say(line, over).await;
}

async fn finished(line: &OnFake, number: u64) -> Finished {
    let filter = subject::events_of(Kind::RestartFinished);
    let watch = line.bus.watch(subject::STREAM, vec![filter], Start::First);
    let mut events = watch.await.unwrap();
    let wait = async {
        loop {
            let message = events.next().await.unwrap().unwrap();
            if let Body::RestartFinished(it) = Event::decode(&message.payload).unwrap().body
                && it.turn.number == number
            {
                return *it;
            }
        }
    };
    tokio::time::timeout(WAIT, wait).await.expect("it ends")
}

async fn back(balancer: &Balancer) {
    until("the base to be back", WAIT, || async {
        Ok((!balancer.is_out(BASE)).then_some(()))
    })
    .await
    .unwrap();
}

async fn web(line: &OnFake, version: &str) -> Want {
    Want {
        web_context_path: Some("/hello".into()),
        ..line.web(version).await
    }
}

#[tokio::test]
async fn it_stays_out_until_its_modules_are_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    let (mut line, balancer) = driven(&notes(&file), true).await;
    let (one, two) = (web(&line, "1").await, web(&line, "2").await);
    line.deploy("one", Some(one), None).await;
    assert_eq!(balancer.calls().len(), 2);

    ask_now(&mut line, 1).await;
    // Asked for twice, done once.
    ask_now(&mut line, 1).await;
    let ended = finished(&line, 1).await;
    assert_eq!((ended.stop, ended.turn), (None, turn(1)));
    assert_eq!(noted(&file), "restarted pre-1 in default\n");
    assert!(balancer.is_out(BASE));

    // A module is brought back meanwhile; nobody puts the base back for that.
    let second = line.deploy("two", Some(two), None).await;
    assert_eq!(second.stop, None);
    assert!(balancer.is_out(BASE));
    is_over(&mut line, 1).await;
    back(&balancer).await;
    let ways: Vec<String> = balancer.calls();
    let ways: Vec<&str> = ways
        .iter()
        .filter_map(|call| call.split(':').next())
        .collect();
    assert_eq!(ways, ["drain", "undrain", "drain", "undrain"]);
    assert_eq!(noted(&file), "restarted pre-1 in default\n");

    // Word of the same turn that comes late changes nothing.
    ask_now(&mut line, 1).await;
    ask_now(&mut line, 2).await;
    finished(&line, 2).await;
    assert_eq!(noted(&file).lines().count(), 2);
    is_over(&mut line, 2).await;
    back(&balancer).await;
}

#[tokio::test]
async fn why_a_driver_failed_is_told_in_its_words() {
    let (mut line, balancer) = driven("echo no unit $1 >&2; exit 5", true).await;
    ask_now(&mut line, 1).await;
    let stop = finished(&line, 1).await.stop.expect("it failed");
    assert_eq!(stop.reason, Reason::RestartFailed);
    assert_eq!(stop.detail, "sh ended with exit status: 5: no unit pre-1");
    is_over(&mut line, 1).await;
    back(&balancer).await;
}

#[tokio::test]
async fn a_base_without_a_load_balancer_is_restarted_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    let (mut line, balancer) = driven(&notes(&file), false).await;
    ask_now(&mut line, 1).await;
    assert_eq!(finished(&line, 1).await.stop, None);
    is_over(&mut line, 1).await;
    let one = line.web("1").await;
    let done = line.deploy("one", Some(one), None).await;
    assert_eq!(done.stop, None);
    assert_eq!(balancer.calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn nothing_is_restarted_whose_moment_is_past() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    let (mut line, _) = driven(&notes(&file), false).await;
    ask(&mut line, 1, 0).await;
    let stop = finished(&line, 1).await.stop.expect("it is too late");
    assert_eq!(stop.reason, Reason::RestartFailed);
    assert!(stop.detail.contains("its moment is past"), "{stop}");
    // One that is over before it was heard of.
    is_over(&mut line, 2).await;
    ask_now(&mut line, 2).await;
    ask_now(&mut line, 3).await;
    finished(&line, 3).await;
    assert_eq!(noted(&file).lines().count(), 1);
}

#[tokio::test]
async fn a_base_that_cannot_be_taken_out_is_not_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    let (mut line, balancer) = driven(&notes(&file), true).await;
    balancer.set(|wrong| wrong.drain = Some(axum::http::StatusCode::FORBIDDEN));
    ask_now(&mut line, 1).await;
    let stop = finished(&line, 1).await.stop.expect("it is not out");
    assert_eq!(stop.reason, Reason::DrainFailed);
    assert_eq!(noted(&file), "");
    balancer.set(|wrong| wrong.drain = None);
    is_over(&mut line, 1).await;
    back(&balancer).await;
}

#[tokio::test]
async fn a_task_waits_for_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let (mut line, _) = driven(&script, false).await;
    ask_now(&mut line, 1).await;
    until("the restart to be in hand", WAIT, || async {
        let fact = line.bus.read(&subject::base_fact(BASE)).await?;
        let fact = fact.map(|record| serde_json::from_slice::<serde_json::Value>(&record.payload));
        Ok(fact.transpose()?.filter(|fact| fact["busy"] == true))
    })
    .await
    .unwrap();
    let one = line.web("1").await;
    let task = line.ask("one", Some(one), None).await;
    assert!(line.effects().is_empty());
    std::fs::write(&go, "").unwrap();
    assert_eq!(finished(&line, 1).await.stop, None);
    assert_eq!(line.finished(task).await.stop, None);
    assert_eq!(line.effects(), ["installBiz 1"]);
}

/// The modules for which a load balancer is told of a restart, on a base that carries two.
fn told_of(drain: ferry_config::Drain) -> Vec<String> {
    let mut config = config(&[(BASE, "http://arklet.example", "http://base.example")]);
    config.pools.get_mut("one").unwrap().drain = Some(drain);
    let context = Context {
        now: start(),
        config: Arc::new(config),
        revision: plan("revision"),
    };
    let left = |version: &str| serde_json::json!({ "left": { "biz": "b", "version": version, "revision": 1 } });
    let modules = serde_json::json!({ "modules": { "hello": left("1"), "prices": left("2") } });
    let base: Base = serde_json::from_value(modules).unwrap();
    let asked = Requested {
        turn: turn(1),
        begin_by: start(),
    };
    let input = Input::Event(Arc::new(event(1, asked)));
    let key = Key::new("base", &[BASE]);
    let decided = InstallerDecide.decide(&key, &base, &input, &context);
    let restart = decided.unwrap().state.restart.unwrap();
    restart.out.into_iter().collect()
}

#[test]
fn a_load_balancer_is_told_once_unless_it_knows_a_base_by_its_modules() {
    let once = drain("http://balancer.example");
    assert_eq!(told_of(once.clone()), [""]);
    let mut by_module = once;
    by_module.drain.url += "/{module}";
    assert_eq!(told_of(by_module), ["hello", "prices"]);
}
