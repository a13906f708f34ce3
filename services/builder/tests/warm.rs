//! A worker's life: when it is used again, what ends it, what is asked of a cold build instead, and what
//! the log says of it. Real Maven, git and bubblewrap.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use ferry_builder::{BuilderEffects, Places, decide::build::Built};
use ferry_config::{Config, Module, Repository as Source, Sandbox};
use ferry_events::{Reason, Stop};
use ferry_rig::{git::Repository, wait};
use ferry_runtime::{Hands, Notes};
use support::{
    corpus,
    shop::{LIMIT, Shop},
    workers::{processes, ready, workers},
};

/// A small module whose plugin does as `behave.txt` says.
async fn plain(change: impl FnOnce(&mut Config)) -> Shop {
    Shop::of(&corpus::seed().await, &corpus::folder("plain"), change).await
}

/// What a build came to, and what was said of its worker.
struct Seen {
    result: Result<Built, Stop>,
    said: Vec<String>,
}

impl Seen {
    /// What was said, without the mark that it is ours.
    fn says(&self, wanted: &[&str]) {
        assert_eq!(self.said, wanted, "{:?}", self.result);
    }

    fn good(&self, wanted: &[&str]) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        self.says(wanted);
    }
}

async fn built(shop: &Shop, commit: &str) -> Seen {
    let (result, log) = shop.build(commit).await;
    let own = log.iter().filter_map(|line| line.strip_prefix("[ferry] "));
    let said = own.map(str::to_owned).collect();
    Seen { result, said }
}

/// Commits how the plugin shall behave, and builds that.
async fn behaving(shop: &Shop, how: &str) -> Seen {
    let path = shop.repository.work().join("behave.txt");
    fs::write(path, format!("{how}\n")).expect("a file");
    one_more(shop).await
}

/// Commits something that changes nothing for the plugin, and builds that.
async fn next(shop: &Shop) -> Seen {
    let path = shop.repository.work().join("behave.txt");
    let _ = fs::remove_file(path);
    one_more(shop).await
}

async fn one_more(shop: &Shop) -> Seen {
    let count = shop.repository.work().join("count.txt");
    let before = fs::read_to_string(&count).unwrap_or_default();
    fs::write(&count, format!("{before}one more\n")).expect("a file");
    let push = shop.repository.commit_all("One more").await;
    built(shop, &push.expect("a commit").after).await
}

/// Waits until it is so.
async fn until(what: &str, look: impl Fn() -> bool) {
    let found = wait::until(what, LIMIT, async || Ok(look().then_some(())));
    found.await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_used_again_and_ends_by_what_a_build_leaves() {
    let shop = plain(|_| {}).await;
    built(&shop, &shop.first.after)
        .await
        .good(&["in a new worker"]);
    next(&shop).await.good(&["warm: build 2 of its worker"]);
    assert_eq!(workers(&shop), 1);

    let left = "its worker is ended: the build left the thread left-behind";
    behaving(&shop, "leave a thread")
        .await
        .good(&["warm: build 3 of its worker", left]);
    let left = "its worker is ended: the build left a process";
    behaving(&shop, "leave a process")
        .await
        .good(&["in a new worker", left]);
    until("what a build left", || {
        processes(&["sleep 6001"]).is_empty()
    })
    .await;

    // Written where a new sandbox has nothing: only the next build is another worker's.
    behaving(&shop, "write elsewhere")
        .await
        .good(&["in a new worker"]);
    next(&shop).await.good(&["in a new worker"]);
    // Changed for the whole JVM, and nobody can put it back.
    behaving(&shop, "add a security provider")
        .await
        .good(&["warm: build 2 of its worker"]);
    next(&shop).await.good(&["in a new worker"]);

    // A worker that is gone, or fails, is no reason for a build to fail.
    let gone = "a cold build: its worker was lost: it ended by itself: exit status: 3";
    let two = "warm: build 2 of its worker";
    behaving(&shop, "end a worker").await.good(&[two, gone]);
    next(&shop).await.good(&["in a new worker"]);
    let failed = "a cold build: it failed in a worker that had built before";
    behaving(&shop, "fail in a worker")
        .await
        .good(&[two, failed]);

    // In a new worker a failure is what a cold build would say.
    let seen = behaving(&shop, "fail in a worker").await;
    let stop = seen.result.as_ref().expect_err("it does not work there");
    assert_eq!(stop.reason, Reason::BuildFailed);
    assert!(stop.detail.contains("it does not work here"), "{stop}");
    assert_eq!(seen.said[0], "in a new worker");
    assert_eq!(workers(&shop), 0);
    shop.nothing_is_left();
}

/// The same poms can have another class path: a profile of theirs asks for a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_that_were_made_ready_are_not_those_of_another_class_path() {
    let shop = plain(|_| {}).await;
    let more = shop.repository.work().join("more.txt");
    built(&shop, &shop.first.after)
        .await
        .good(&["in a new worker"]);
    ready(&shop).await;
    next(&shop).await.good(&["warm: build 2 of its worker"]);

    ready(&shop).await;
    fs::write(&more, "a library more\n").expect("a file");
    let other = "a cold build: the class path of plugin>ferry.probe:probe-maven-plugin:1 is not that of the \
                 build before";
    next(&shop)
        .await
        .good(&["warm: build 3 of its worker", other]);
    assert_eq!(workers(&shop), 0);
    next(&shop).await.good(&["in a new worker"]);

    ready(&shop).await;
    fs::remove_file(&more).expect("a file");
    next(&shop)
        .await
        .good(&["warm: build 2 of its worker", other]);
    shop.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_build_over_its_time_is_killed_with_its_children() {
    let mut shop = plain(|_| {}).await;
    built(&shop, &shop.first.after)
        .await
        .good(&["in a new worker"]);
    shop.config.builder.timeout = Duration::from_secs(10);
    let how = shop.repository.work().join("behave.txt");
    fs::write(how, "hang\n").expect("a file");
    let push = shop.repository.commit_all("Hang").await.expect("a commit");
    let (seen, ()) = tokio::join!(
        built(&shop, &push.after),
        until("a child", || !processes(&["sleep 6002"]).is_empty())
    );
    assert_eq!(seen.said[0], "warm: build 2 of its worker");
    let stop = seen.result.expect_err("it hangs");
    assert_eq!(stop.reason, Reason::BuildTimeout, "{stop}");
    until("the end of all of it", || {
        processes(&["sleep 6002"]).is_empty() && workers(&shop) == 0
    })
    .await;

    // A build that nobody waits for any more takes its worker with it.
    shop.config.builder.timeout = LIMIT;
    next(&shop).await.good(&["in a new worker"]);
    let meanwhile = async {
        until("a child", || !processes(&["sleep 6002"]).is_empty()).await;
        // Another commit does not wait for it.
        let busy = "a cold build: its worker is busy with another commit";
        next(&shop).await.good(&[busy]);
    };
    tokio::select! {
        biased;
        seen = behaving(&shop, "hang") => panic!("it was not ended: {:?}", seen.result),
        () = meanwhile => {}
    }
    until("the end of all of it", || {
        processes(&["sleep 6002"]).is_empty() && workers(&shop) == 0
    })
    .await;
    next(&shop).await.good(&["in a new worker"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_replaced_by_its_limits_and_its_configuration() {
    let mut shop = plain(|config| config.builder.warm_builds = 2).await;
    built(&shop, &shop.first.after)
        .await
        .good(&["in a new worker"]);
    next(&shop).await.good(&["warm: build 2 of its worker"]);
    next(&shop).await.good(&["in a new worker"]);

    shop.config.builder.memory += 1 << 20;
    next(&shop)
        .await
        .good(&["in a new worker: a limit changed"]);
    let goals = ["-Dsome=thing".to_owned(), "package".to_owned()];
    shop.config.modules.get_mut("hello").expect("hello").goals = goals.to_vec();
    next(&shop)
        .await
        .good(&["in a new worker: the goals changed"]);

    // No JVM is that small.
    shop.config.builder.warm_memory = 64 << 20;
    next(&shop).await.good(&["warm: build 2 of its worker"]);
    next(&shop).await.good(&["in a new worker"]);

    shop.config.builder.warm_memory = 4 << 30;
    shop.config.builder.warm_idle = Duration::from_millis(1);
    next(&shop).await.good(&["in a new worker"]);
    until("an idle worker's end", || workers(&shop) == 0).await;

    shop.config.builder.warm = false;
    next(&shop).await.good(&[]);
    assert_eq!(workers(&shop), 0);

    // What may need the network is not for a worker, which has none.
    shop.config.builder.warm = true;
    shop.config.builder.maven_seed = None;
    let pom = shop.repository.work().join("pom.xml");
    let text = fs::read_to_string(&pom).expect("a pom");
    fs::write(&pom, text.replace("<version>1.0.0", "<version>1.0.1")).expect("a pom");
    let cold = "a cold build: it is the first of these poms, and may need the network";
    let seen = next(&shop).await;
    assert_eq!(seen.said[0], cold, "{:?}", seen.said);
}

/// Without the sandbox: the paths are the worker's own, which no two builds at a time share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_have_workers_of_their_own_and_the_oldest_makes_way() {
    let mut shop = plain(|config| config.builder.sandbox = Sandbox::None).await;
    let open = "WARNING: sandbox = \"none\": this build runs with all rights of the builder; \
                whoever can push can read and change what the builder can";
    let (new, again) = (
        [open, "in a new worker"],
        [open, "warm: build 2 of its worker"],
    );
    // The same files, as another repository has them.
    let folder = shop.outside.folder.path();
    let (other, push) = Repository::from_folder("other", &corpus::folder("plain"), folder)
        .await
        .expect("a repository");
    let source: Source = Source {
        url: other.clone_url(),
        ..shop.config.repositories["hello"].clone()
    };
    let module: Module = Module {
        repository: "other".into(),
        ..shop.config.modules["hello"].clone()
    };
    shop.config.repositories.insert("other".into(), source);
    shop.config.modules.insert("other".into(), module);
    let other = async |shop: &Shop| {
        let (result, log) = shop.build_of("other", &push.after).await;
        let own = log.iter().filter_map(|line| line.strip_prefix("[ferry] "));
        let said = own.map(str::to_owned).collect();
        Seen { result, said }
    };

    built(&shop, &shop.first.after).await.good(&new);
    other(&shop).await.good(&new);
    next(&shop).await.good(&again);

    // The one that has waited longest makes way.
    shop.config.builder.warm_workers = 1;
    // (Another configuration is another run here, with a log of its own.)
    shop.config.builder.log_lines += 1;
    other(&shop).await.good(&again);
    next(&shop).await.good(&new);
    shop.config.builder.log_lines += 1;
    other(&shop).await.good(&new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_class_builds_are_cold_and_readyz_says_so() {
    let mut shop = plain(|_| {}).await;
    // A JDK that runs, and compiles nothing.
    let home = shop.outside.folder.path().join("jdk");
    fs::create_dir_all(home.join("bin")).expect("a folder");
    let jdk = ferry_rig::tools::jdk().expect("a JDK").home;
    symlink(jdk.join("bin/java"), home.join("bin/java")).expect("a link");
    let javac = home.join("bin/javac");
    fs::write(
        &javac,
        "#!/bin/sh\necho 'error: no more bytes' >&2\nexit 1\n",
    )
    .expect("a file");
    fs::set_permissions(&javac, fs::Permissions::from_mode(0o755)).expect("rights");
    shop.config.builder.jdks = BTreeMap::from([("17".to_owned(), home.clone())]);
    shop.config.modules.get_mut("hello").expect("hello").jdk = Some("17".into());

    let notes = Notes::default();
    let places = Places {
        data_dir: shop.outside.folder.path().join("noting"),
        secrets_root: shop.outside.folder.path().to_path_buf(),
    };
    let hands = Hands::new(Arc::new(shop.outside.bus.clone()));
    shop.outside.effects = BuilderEffects::noting(places, hands, notes.clone()).expect("effects");
    let why = "its worker does not compile: error: no more bytes";
    built(&shop, &shop.first.after)
        .await
        .good(&[&format!("a cold build: {why}")]);
    let note = format!("builds with {} are cold: {why}", home.display());
    assert_eq!(notes.all(), [note]);
    assert!(is_empty(&shop.outside.folder.path().join("noting/workers")));
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}
