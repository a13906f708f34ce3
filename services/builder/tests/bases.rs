//! Bases that are built from pushes, as the builder sees them: whose jar snippets are compiled against, decided
//! without anything around it, and by the running service with the rights of its own user.

mod support;

use std::{path::Path, sync::Arc, time::Duration};

use ferry_builder::{
    BuilderDecide, BuilderEffects, Places,
    decide::{Outcome, State, Work, base_key, build::Built, build_key, settings},
};
use ferry_bus::{Bus, User, Write, config_store};
use ferry_config::Config;
use ferry_events::{
    Digest, Event, EventId, Reason, RunId, Scope, Service, Stop, artifact::Profiled, ids, subject,
};
use ferry_rig::{maven, wait::until};
use ferry_runtime::{Decide, Hands, Input, Notes, Settings, Stored, run};
use support::{Forge, Outside, at, changed, context};

/// Far more than a snippet takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

const GREETING: &str = "package acme;\npublic class Hi implements ferry.demo.base.Greeter {\n    \
     public String greet(String name) {\n        return \"hi, \" + name;\n    }\n}\n";

fn config(url: &str) -> Config {
    let text = format!(
        r#"
        [builder]
        allow_clone = ["file"]
        [repositories.shop]
        url = "{url}"
        forge = "github"
        secret = "env:HOOK"
        [modules.tip]
        repository = "shop"
        path = "tip"
        build = "snippet"
        [modules.shop-base]
        repository = "shop"
        path = "base"
        kind = "base"
        [environments.prod]
        [pools.prod]
        environment = "prod"
        base = "shop-base"
        "#
    );
    toml::from_str(&text).expect("a configuration")
}

/// What the slimmer says of a base's build, some seconds after another.
fn published(name: &str, seconds: i64, jar: &Digest) -> Event {
    let body = Profiled {
        run: RunId(ids::derive("test-run", &[name])),
        module: "shop-base".into(),
        commit: Some(format!("{:040x}", 7)),
        packaged: jar.clone(),
        profile: Digest::of(b"profile"),
        stored: Digest::of(b"stored"),
        libraries: 100,
        classes: 20_000,
        report: None,
        classes_gone: 0,
        members_gone: 0,
    };
    Event {
        id: EventId(ids::derive("test-profile", &[name])),
        source: Service::Slimmer,
        time: at(seconds),
        scope: Scope::module(None, "shop-base"),
        cause: None,
        trace: None,
        body: body.into(),
    }
}

/// Decides on one input; what is to be done then: the jar that is to be got ready for, by the first byte of its name.
fn tell(state: &mut State, input: Input<Outcome>) -> String {
    let config = config("file:///nowhere");
    let key = base_key("shop-base");
    let decision = BuilderDecide
        .decide(&key, state, &input, &context(&config))
        .expect("no fault");
    assert!(decision.events.is_empty() && decision.facts.is_empty());
    *state = decision.state;
    let jar = match &*state {
        State::Base(base) => base.jar.short().to_owned(),
        other => format!("{other:?}"),
    };
    match BuilderDecide.work(&key, state) {
        Some(Work::GetReady(work)) => format!("{jar}, get ready for {}", work.jar.short()),
        Some(other) => panic!("{other:?}"),
        None => jar,
    }
}

#[test]
fn the_later_build_of_a_base_counts_in_whatever_order_they_come() {
    let jars = [b"one", b"two"].map(|bytes| Digest::of(bytes));
    let [one, two] = jars.each_ref();
    let event = |event: &Event| Input::Event(Arc::new(event.clone()));
    let (first, second) = (published("first", 1, one), published("second", 2, two));
    let again = published("again", 3, two);
    let ready = |jar: &Digest| Input::Outcome(Outcome::Ready { jar: jar.clone() });
    let mut state = State::New;
    let mut story = Vec::new();
    for (what, input) in [
        ("ready, though nothing is known", ready(one)),
        ("the first build", event(&first)),
        ("the same again", event(&first)),
        ("ready for it", ready(one)),
        ("the same, late", event(&first)),
        ("the second build", event(&second)),
        ("ready for the first, late", ready(one)),
        ("the first build, late", event(&first)),
        (
            "given up",
            Input::GivenUp {
                tries: 5,
                stop: None,
            },
        ),
        ("the same bytes, built again", event(&again)),
        ("the second build, late", event(&second)),
        ("a deadline", Input::Due),
    ] {
        story.push(format!("{what}: {}", tell(&mut state, input)));
    }
    insta::assert_snapshot!(story.join("\n"));

    // And the other way round.
    let mut other = State::New;
    for input in [&second, &again, &first] {
        tell(&mut other, event(input));
    }
    let jar = |state: &State| match state {
        State::Base(base) => (base.jar.clone(), base.published),
        other => panic!("{other:?}"),
    };
    assert_eq!(jar(&other), jar(&state));
}

#[test]
fn a_commit_is_compiled_anew_for_a_new_run_where_its_base_may_have_another_build() {
    let follows = config("file:///nowhere");
    let mut fixed = follows.clone();
    let pool = fixed.pools.get_mut("prod").expect("a pool");
    (pool.base, pool.base_jar) = (None, Some("base.jar".into()));
    for (config, compiled_again) in [(follows, true), (fixed, false)] {
        let change = |number| {
            let run = RunId::of("shop", "main", number, "tip");
            let module = ("tip", "shop", "main");
            support::change(run, module, number, format!("{:040x}", 7))
        };
        let key = build_key(settings::build_id(
            &change(1),
            settings::of(&config, "tip").as_ref(),
        ));
        let mut state = State::New;
        let mut tell = |input: Input<Outcome>| {
            let decision = BuilderDecide.decide(&key, &state, &input, &context(&config));
            let decision = decision.expect("no fault");
            state = decision.state;
            let kinds = decision.events.iter().map(|say| say.body.kind());
            let kinds: Vec<String> = kinds.map(|kind| kind.short_name()).collect();
            (kinds, BuilderDecide.work(&key, &state).is_some())
        };
        tell(changed(change(1)));
        let built = Built {
            rules: Vec::new(),
            own: None,
            digest: Digest::of(b"jar"),
            size: 3,
            biz: ferry_events::artifact::Biz {
                name: "tip".into(),
                version: "1.0.0".into(),
                web_context_path: None,
            },
        };
        tell(Input::Outcome(Outcome::Built {
            millis: 12,
            result: Ok(built),
        }));
        assert_eq!(
            tell(changed(change(1))),
            (Vec::new(), false),
            "the same run"
        );
        let (kinds, works) = tell(changed(change(2)));
        assert_eq!(works, compiled_again);
        match compiled_again {
            true => assert_eq!(kinds, ["build.queued"]),
            false => assert_eq!(kinds, ["build.finished", "artifact.packaged"]),
        }
    }
}

/// A running builder on a bus in memory, with nothing but its own user's rights.
struct Desk {
    outside: Outside,
    forge: Forge,
    config: Config,
}

impl Desk {
    async fn new() -> (Self, ferry_runtime::Running, Notes) {
        let forge = Forge::new();
        let config = config(&forge.url());
        let mut outside = Outside::new();
        let bus: Arc<dyn Bus> = Arc::new(outside.bus.clone());
        let payload = serde_json::to_vec(&config).expect("JSON");
        let put = config_store::put(&*bus, payload.into(), 0).await;
        put.expect("a revision");
        let own: Arc<dyn Bus> = Arc::new(outside.bus.as_user(User::Service(Service::Builder)));
        let places = Places {
            data_dir: outside.folder.path().join("service"),
            secrets_root: outside.folder.path().to_path_buf(),
        };
        let notes = Notes::default();
        let effects = BuilderEffects::noting(places, Hands::new(own.clone()), notes.clone());
        outside.effects = effects.expect("effects");
        let running = run(
            BuilderDecide,
            outside.effects.clone(),
            own,
            Settings::default(),
        );
        let desk = Self {
            outside,
            forge,
            config,
        };
        let running = running.await;
        (desk, running, notes)
    }

    /// Stores a jar, says that it is the base's last build, and waits until the builder got ready for it.
    async fn publish(&self, name: &str, seconds: i64, jar: &Path) -> Digest {
        let digest = Digest::of(&std::fs::read(jar).expect("a jar"));
        let bus = &self.outside.bus;
        bus.put_jar(&digest, jar).await.expect("a store");
        self.say(name, seconds, &digest).await;
        digest
    }

    async fn say(&self, name: &str, seconds: i64, digest: &Digest) {
        let event = published(name, seconds, digest);
        let write = Write::event(&event);
        let bus = &self.outside.bus;
        bus.commit(vec![write].into()).await.expect("an event");
        let subject = subject::state(Service::Builder, base_key("shop-base").as_str());
        until("the builder to be ready", LIMIT, || async {
            let record = bus.read(&subject).await?;
            let stored = record.map(|record| serde_json::from_slice(&record.payload));
            let stored: Option<Stored<State>> = stored.transpose()?;
            let ready = stored.is_some_and(|stored| match stored.state {
                State::Base(base) => base.jar == *digest && base.ready,
                _ => false,
            });
            Ok(ready.then_some(()))
        })
        .await
        .expect("a record");
    }

    async fn build(&self, commit: &str, run: &str) -> (Result<Built, Stop>, Vec<String>) {
        let run = RunId(ids::derive("test-run", &[commit, run]));
        let names = ("tip", "shop", "main");
        self.outside
            .build(&self.config, names, commit, run, LIMIT)
            .await
    }
}

/// The demo's base with another name for one thing: an interface that only this build has.
fn with_interface(base: &Path, folder: &Path) -> std::path::PathBuf {
    let source = folder.join("Parting.java");
    let text = "package ferry.demo.base;\npublic interface Parting { String part(String name); }\n";
    std::fs::write(&source, text).expect("a file");
    let classes = folder.join("classes");
    let javac = ferry_rig::tools::jdk()
        .expect("a JDK")
        .home
        .join("bin/javac");
    let compiled = std::process::Command::new(javac)
        .args(["--release", "17", "-d"])
        .args([&classes, &source])
        .status();
    assert!(compiled.expect("javac").success());
    let jar = folder.join("next.jar");
    std::fs::copy(base, &jar).expect("a copy");
    let file = std::fs::File::options().read(true).write(true).open(&jar);
    let mut zip = zip::ZipWriter::new_append(file.expect("a file")).expect("a zip");
    let name = "ferry/demo/base/Parting.class";
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file(format!("BOOT-INF/classes/{name}"), options)
        .expect("an entry");
    let bytes = std::fs::read(classes.join(name)).expect("a class");
    std::io::Write::write_all(&mut zip, &bytes).expect("bytes");
    zip.finish().expect("a zip");
    jar
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snippet_is_compiled_against_the_last_build_of_its_base() {
    let jar = maven::base_jar().await.expect("the demo's base");
    let (desk, running, notes) = Desk::new().await;
    let hi = desk.forge.change("main", "tip/Hi.java", GREETING);

    // There is none yet: what to do about it is told, and it is nothing that is wrong with the builder.
    let (result, log) = desk.build(&hi, "early").await;
    let stop = result.expect_err(&log.join("\n"));
    assert_eq!(stop.reason, Reason::NoBaseJar);
    assert_eq!(
        stop.detail,
        "shop-base has no build yet: push to its repository, or `ferry run shop-base --commit C`"
    );
    assert_eq!(notes.all(), Vec::<String>::new());

    let first = desk.publish("first", 1, &jar).await;
    let (result, log) = desk.build(&hi, "first").await;
    let built = result.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    let against = |log: &[String], jar: &Digest| {
        let wanted = format!("against shop-base, {} (Java 17)", jar.short());
        assert!(log.iter().any(|line| line.contains(&wanted)), "{log:#?}");
    };
    against(&log, &first);
    assert!(
        !log.iter().any(|line| line.contains("started in")),
        "the builder was ready for it: {log:#?}"
    );
    // The file in the store is what a file on the disk is.
    let mut beside = desk.config.clone();
    let pool = beside.pools.get_mut("prod").expect("a pool");
    (pool.base, pool.base_jar) = (None, Some(jar.clone()));
    let run = RunId(ids::derive("test-run", &["beside"]));
    let names = ("tip", "shop", "main");
    let (same, _) = desk.outside.build(&beside, names, &hi, run, LIMIT).await;
    assert_eq!(same.expect("a jar").digest, built.digest);

    // What only the next build of the base has cannot be implemented before that.
    let bye = GREETING
        .replace("Greeter", "Parting")
        .replace("greet(", "part(");
    let bye = desk.forge.change("main", "tip/Hi.java", &bye);
    let (result, _) = desk.build(&bye, "early").await;
    let stop = result.expect_err("there is no such interface yet");
    assert_eq!(stop.reason, Reason::DoesNotCompile, "{stop}");
    let folder = tempfile::tempdir().expect("a folder");
    let next = with_interface(&jar, folder.path());
    let second = desk.publish("second", 2, &next).await;
    let (result, log) = desk.build(&bye, "second").await;
    result.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    against(&log, &second);

    // One whose jar is gone from the store is told as such, and goes when there is another.
    let gone = Digest::of(b"gone");
    desk.say("gone", 3, &gone).await;
    let (result, _) = desk.build(&hi, "gone").await;
    let stop = result.expect_err("there is no jar");
    assert_eq!(stop.reason, Reason::NoBaseJar, "{stop}");
    assert!(stop.detail.contains("push to its repository"), "{stop}");
    let said = notes.all().join("\n");
    assert!(
        said.contains("snippets cannot be compiled: no-base-jar"),
        "{said}"
    );
    let text = folder.path().join("text.jar");
    std::fs::write(&text, "no jar").expect("a file");
    desk.publish("text", 4, &text).await;
    let (result, _) = desk.build(&hi, "text").await;
    let stop = result.expect_err("it is no jar");
    assert_eq!(stop.reason, Reason::NoBaseJar, "{stop}");
    // Built again as it was: its classes are here still, and nothing is fetched.
    desk.say("first again", 5, &first).await;
    let (result, log) = desk.build(&hi, "again").await;
    assert_eq!(result.expect("a jar").digest, built.digest);
    against(&log, &first);
    assert_eq!(notes.all(), Vec::<String>::new());
    assert!(running.drain().await);
}
