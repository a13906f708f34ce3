//! Real builds: git, Maven and bubblewrap, with the demo's module and the artifacts that were fetched
//! for it once.

mod support;

use std::{fs, path::Path, sync::Arc, time::Duration};

use ferry_builder::{BuilderDecide, BuilderEffects};
use ferry_bus::{Bus, Start, Write, config_store};
use ferry_config::Sandbox;
use ferry_events::{Body, Event, Reason, RunId, Service, Verb, subject};
use ferry_rig::{git::BRANCH, maven};
use ferry_runtime::{Settings, run};
use futures::StreamExt;
use support::{
    command,
    shop::{LIMIT, Shop, event, received},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_becomes_a_jar_in_the_store_and_going_back_reuses_it() {
    let shop = Shop::new(|_| {}).await;
    let bus: Arc<dyn Bus> = Arc::new(shop.outside.bus.clone());
    let payload = serde_json::to_vec(&shop.config).expect("JSON");
    config_store::put(&*bus, payload.into(), 0)
        .await
        .expect("a revision");
    let mut events = bus
        .watch(
            subject::STREAM,
            vec![subject::ALL_EVENTS.into()],
            Start::First,
        )
        .await
        .expect("a watch");
    // The service has the rights of its own user and no others.
    let own: Arc<dyn Bus> = Arc::new(
        shop.outside
            .bus
            .as_user(ferry_bus::User::Service(Service::Builder)),
    );
    let places = ferry_builder::Places {
        data_dir: shop.outside.folder.path().join("service"),
        secrets_root: shop.outside.folder.path().to_path_buf(),
    };
    let effects =
        BuilderEffects::new(places, ferry_runtime::Hands::new(own.clone())).expect("effects");
    let running = run(BuilderDecide, effects, own, Settings::default()).await;
    let mut until = async |wanted: &str| {
        let mut seen = Vec::new();
        while seen
            .last()
            .is_none_or(|body: &Body| body.kind().short_name() != wanted)
        {
            let next = tokio::time::timeout(LIMIT, events.next())
                .await
                .expect("in time")
                .expect("an event");
            seen.push(
                Event::decode(&next.expect("a message").payload)
                    .expect("an event of ours")
                    .body,
            );
        }
        seen
    };

    bus.commit(vec![event(received(&shop.first).into())].into())
        .await
        .expect("a push");
    let said = until("artifact.packaged").await;
    let kinds: Vec<String> = said.iter().map(|body| body.kind().short_name()).collect();
    let expected = [
        "push.received",
        "push.resolved",
        "change.merged",
        "build.queued",
        "build.started",
        "build.finished",
        "artifact.packaged",
    ];
    assert_eq!(kinds, expected);
    let Some(Body::ArtifactPackaged(packaged)) = said.last() else {
        panic!("{said:?}")
    };
    let run = RunId::of("hello", BRANCH, 1, "hello");
    assert_eq!(
        (packaged.run, packaged.commit.as_deref()),
        (run, Some(shop.first.after.as_str()))
    );
    assert_eq!(
        (packaged.biz.name.as_str(), packaged.biz.version.as_str()),
        ("hello", "1.0.0")
    );
    assert_eq!(packaged.biz.web_context_path.as_deref(), Some("/hello"));
    assert!(
        shop.log(run)
            .iter()
            .any(|line| line.contains("sofa-ark-maven-plugin")),
        "{:?}",
        shop.log(run)
    );
    let jar = shop.outside.folder.path().join("the.jar");
    bus.get_jar(&packaged.digest, &jar).await.expect("a jar");
    assert_eq!(fs::metadata(&jar).expect("a file").len(), packaged.size);

    let again = command(
        "again",
        1,
        Verb::Run {
            module: "hello".into(),
            commit: shop.first.after.clone(),
            branch: None,
            force: false,
        },
    );
    let write = Write {
        subject: subject::command(&again),
        payload: serde_json::to_vec(&again).expect("JSON").into(),
        expected: None,
        replaces: false,
        keep: ferry_bus::Keep::Stream,
        id: None,
    };
    bus.commit(vec![write].into()).await.expect("a command");
    let said = until("artifact.packaged").await;
    let Some(Body::ArtifactPackaged(second)) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(second.digest, packaged.digest);
    assert!(
        said.iter()
            .any(|body| matches!(body, Body::BuildFinished(end) if end.reused && end.millis == 0))
    );

    // What does not compile stops with the lines that say why.
    let broken = shop
        .repository
        .commit_folder(&maven::change_dir("does-not-compile"), "Break it")
        .await
        .expect("a push");
    bus.commit(vec![event(received(&broken).into())].into())
        .await
        .expect("a push");
    let said = until("build.finished").await;
    let Some(Body::BuildFinished(end)) = said.last() else {
        panic!("{said:?}")
    };
    let stop = end.stop.as_ref().expect("a stop");
    assert_eq!(stop.reason, Reason::DoesNotCompile);
    assert!(
        stop.detail
            .starts_with("src/main/java/ferry/demo/hello/HelloApplication.java:["),
        "{stop}"
    );
    let log = shop.log(end.run);
    assert!(
        log.iter().any(|line| line.contains("COMPILATION ERROR"))
            && !log.iter().any(|line| line.contains('\u{1b}'))
    );
    assert!(running.drain().await);
}

/// A build of somebody who would like to know: it copies what it can see of the machine into its jar.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_sees_neither_the_machine_nor_our_environment() {
    let shop = Shop::new(|_| {}).await;
    let marker = shop.outside.folder.path().join("host-secret.txt");
    fs::write(&marker, "host-secret").expect("a file");
    let pom = fs::read_to_string(shop.repository.work().join("pom.xml")).expect("a pom");
    let folder = shop.outside.folder.path().display();
    let resources = format!(
        "<build><resources>\
         <resource><directory>{folder}</directory><targetPath>stolen</targetPath><includes><include>*.txt</include></includes></resource>\
         <resource><directory>/root</directory><targetPath>stolen</targetPath></resource>\
         <resource><directory>/etc</directory><targetPath>etc</targetPath><includes><include>shadow</include><include>passwd</include><include>hostname</include></includes></resource>\
         <resource><directory>peek</directory><targetPath>peek</targetPath><filtering>true</filtering></resource>\
         </resources>"
    );
    fs::write(
        shop.repository.work().join("pom.xml"),
        pom.replacen("<build>", &resources, 1),
    )
    .expect("a pom");
    fs::create_dir(shop.repository.work().join("peek")).expect("a folder");
    let peek =
        "manifest=@env.CARGO_MANIFEST_DIR@${env.CARGO_MANIFEST_DIR}\nhome=@env.HOME@${env.HOME}\n";
    fs::write(shop.repository.work().join("peek/env.txt"), peek).expect("a file");
    let push = shop
        .repository
        .commit_all("Look around")
        .await
        .expect("a push");
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "there is something to see"
    );
    let (result, log) = shop.build(&push.after).await;
    let built = result.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    let jar = zip::ZipArchive::new(fs::File::open(shop.jar(&built).await).expect("a file"))
        .expect("a jar");
    let names: Vec<String> = jar.file_names().map(str::to_owned).collect();
    assert!(
        !names
            .iter()
            .any(|name| name.contains("stolen") && !name.ends_with('/')),
        "{names:?}"
    );
    assert!(
        !names
            .iter()
            .any(|name| name.contains("shadow") || name.contains("hostname")),
        "{names:?}"
    );
    let mut jar = jar;
    let mut read = |end: &str| {
        let name = names
            .iter()
            .find(|name| name.ends_with(end))
            .unwrap_or_else(|| panic!("no {end} in {names:?}"));
        std::io::read_to_string(jar.by_name(name).expect("an entry")).expect("a text")
    };
    let seen = read("peek/env.txt");
    assert!(!seen.contains("services/builder"), "{seen}");
    assert!(
        seen.contains("/ferry/home"),
        "filtering works, so the test can fail: {seen}"
    );
    assert!(!read("etc/passwd").contains("daemon"), "the stub");
    shop.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_over_its_time_or_memory_is_ended() {
    let late = Shop::new(|config| config.builder.timeout = Duration::from_millis(300)).await;
    let (result, _) = late.build(&late.first.after).await;
    assert_eq!(result.expect_err("too slow").reason, Reason::BuildTimeout);
    late.nothing_is_left();

    let mut large = late;
    large.config.builder.timeout = LIMIT;
    large.config.builder.memory = 48 << 20;
    let (result, log) = large.build(&large.first.after).await;
    let stop = result.expect_err("too large");
    assert_eq!(stop.reason, Reason::BuildFailed);
    assert!(stop.detail.contains("[builder] memory is 48 MiB"), "{stop}");
    assert!(
        log.iter()
            .any(|line| line.starts_with("[ferry] stopped: build-failed")),
        "{log:?}"
    );
    large.nothing_is_left();

    let mut crowded = large;
    crowded.config.builder.memory = 4 << 30;
    crowded.config.builder.processes = 8;
    let (result, _) = crowded.build(&crowded.first.after).await;
    assert_eq!(result.expect_err("too many").reason, Reason::BuildFailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_ark_biz_is_told_apart() {
    let shop = Shop::new(|config| {
        config.modules.get_mut("hello").expect("hello").jar = "target/*.jar".into();
    })
    .await;
    let (result, _) = shop.build(&shop.first.after).await;
    let stop = result.expect_err("two jars");
    assert_eq!(stop.reason, Reason::NoArkBiz);
    assert!(stop.detail.contains("more than one file"), "{stop}");

    let mut shop = shop;
    shop.config.modules.get_mut("hello").expect("hello").jar = "target/hello-1.0.0.jar".into();
    let (result, _) = shop.build(&shop.first.after).await;
    assert_eq!(result.expect_err("a plain jar").reason, Reason::NotABiz);

    shop.config.modules.get_mut("hello").expect("hello").jar = "target/nothing.jar".into();
    shop.config.modules.get_mut("hello").expect("hello").goals = vec!["compile".into()];
    let (result, _) = shop.build(&shop.first.after).await;
    let stop = result.expect_err("nothing");
    assert_eq!(stop.reason, Reason::NoArkBiz);
    assert!(stop.detail.contains("the build made no jar"), "{stop}");
}

/// Processes of this machine whose arguments name a folder.
fn processes(folder: &Path) -> usize {
    let name = folder.to_string_lossy().into_owned();
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let arguments = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    arguments
        .filter(|bytes| String::from_utf8_lossy(bytes).contains(&name))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_nobody_waits_for_any_more_is_ended() {
    let shop = Shop::new(|_| {}).await;
    // A sandbox's Maven names it, a git does not.
    let repository = shop.outside.folder.path().join("data/m2");
    let seen = async |wanted: bool| {
        let look = async || (processes(&repository) > 0) == wanted;
        tokio::time::timeout(LIMIT, async {
            while !look().await {
                tokio::task::yield_now().await;
            }
        })
        .await
    };
    tokio::select! {
    biased;
            (result, _) = shop.build(&shop.first.after) => panic!("it was not ended: {result:?}"),
            there = seen(true) => there.expect("the sandbox begins"),
        }
    // The select dropped the build, as the runtime does when its claim is lost.
    seen(false).await.expect("the sandbox ends");
}

/// Without the sandbox, so that a folder can stand for the network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_repository_lacks_is_asked_of_the_network_once() {
    let shop = Shop::new(|_| {}).await;
    let (seed, empty) = (
        shop.config.builder.maven_seed.clone().expect("a seed"),
        shop.outside.folder.path().join("empty"),
    );
    fs::create_dir(&empty).expect("a folder");
    let settings = shop.outside.folder.path().join("settings.xml");
    let mirror = format!(
        "<settings><mirrors><mirror><id>seed</id><mirrorOf>*</mirrorOf><url>file://{}</url></mirror></mirrors></settings>",
        seed.display()
    );
    fs::write(&settings, mirror).expect("a file");
    let mut shop = shop;
    shop.config.builder.maven_seed = Some(empty);
    shop.config.builder.maven_settings = Some(settings);
    shop.config.builder.sandbox = Sandbox::None;
    let (result, log) = shop.build(&shop.first.after).await;
    let first = result.unwrap_or_else(|stop| panic!("{stop}\n{log:#?}"));
    assert!(
        log[0].starts_with("[ferry] WARNING: sandbox = \"none\""),
        "{log:?}"
    );
    let again = |log: &[String]| {
        log.iter()
            .filter(|line| line.contains("trying again with the network"))
            .count()
    };
    assert_eq!(again(&log), 1, "{log:#?}");
    // The second build of the same poms has all that it needs.
    let push = shop
        .repository
        .commit_folder(&maven::change_dir("version-two"), "Two")
        .await
        .expect("a push");
    let (result, log) = shop.build(&push.after).await;
    assert_ne!(result.expect("a jar").digest, first.digest);
    assert_eq!(again(&log), 0, "{log:#?}");
    shop.nothing_is_left();
}
