//! The slimmer as a service on the bus in memory, with real jars and a real base profile.

use std::{path::Path, sync::Arc, time::Duration};

use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::Config;
use ferry_events::{
    Body, Digest, Event, EventId, Kind, Reason, RunId, Scope, Service, Timestamp,
    artifact::{Biz, Change, Own, Packaged, RulesFile, Since, Slim},
    question::{Answer, Question},
    subject,
};
use ferry_fake_base::jar::{FakeJar, library_jar};
use ferry_runtime::{Environment, Hands, Settings, run};
use ferry_slimmer::{Slimmer, SlimmerEffects, decide::last_key};
use futures::StreamExt;
use uuid::Uuid;

const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";

fn library() -> Vec<u8> {
    library_of("2.1.0")
}

fn library_of(version: &str) -> Vec<u8> {
    let pom = format!("version={version}\ngroupId=acme\nartifactId=money\n");
    library_jar(&[
        ("META-INF/maven/acme/money/pom.properties", pom.as_bytes()),
        ("acme/Money.class", b"not looked into here"),
    ])
}

/// A base's jar that carries the library.
fn base_jar(folder: &Path) -> std::path::PathBuf {
    let bytes = library_jar(&[
        (
            "BOOT-INF/classes/acme/Base.class",
            &class_file("acme/Base", "java/lang/Object"),
        ),
        ("BOOT-INF/lib/money-2.1.0.jar", &library()),
    ]);
    let path = folder.join("base.jar");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn config(base_jar: &Path) -> Config {
    let text = format!(
        r#"
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"
[modules.cart]
repository = "shop"
pools = ["plain", "rich"]
[environments.prod]
[pools.plain]
environment = "prod"
bases = [{{ name = "plain-1", arklet = "http://127.0.0.1:1001", url = "http://127.0.0.1:2001" }}]
[pools.rich]
environment = "prod"
base_jar = "{}"
bases = [{{ name = "rich-1", arklet = "http://127.0.0.1:1002", url = "http://127.0.0.1:2002" }}]
[modules.shop-base]
repository = "shop"
kind = "base"
[modules.order]
repository = "shop"
pools = ["built"]
[pools.built]
environment = "prod"
base = "shop-base"
bases = [{{ name = "built-1", arklet = "http://127.0.0.1:1003", url = "http://127.0.0.1:2003" }}]
"#,
        base_jar.display()
    );
    ferry_config::parse(&[("ferry.toml".into(), text)])
        .expect("a good configuration")
        .config
}

/// A class file without members: all that linking asks for is its super class.
fn class_file(name: &str, super_class: &str) -> Vec<u8> {
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61, 0, 5];
    for (utf8, name) in [(2, name), (4, super_class)] {
        bytes.extend([7, 0, utf8, 1]);
        bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        bytes.extend(name.as_bytes());
    }
    // Public; itself, its super class; no interface, field, method, attribute.
    bytes.extend([0, 0x21, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A module of one class that extends another.
fn module(super_class: &str) -> Vec<u8> {
    FakeJar::new("cart", "1.0.0")
        .main_class("acme.cart.Cart")
        .entry(
            "acme/cart/Cart.class",
            class_file("acme/cart/Cart", super_class),
        )
        .bytes()
}

/// Slims one jar and gives what the slimmer said.
async fn slim(folder: &Path, base_jar: &Path, jar: &[u8]) -> (MemoryBus, Body) {
    slim_as(folder, base_jar, jar, (None, Vec::new())).await
}

/// The same, with what the module set and its project's rules.
async fn slim_as(
    folder: &Path,
    base_jar: &Path,
    jar: &[u8],
    wanted: (Option<Own>, Vec<RulesFile>),
) -> (MemoryBus, Body) {
    let slimmer = Running::start(folder, base_jar).await;
    let body = slimmer.slim(1, jar, wanted).await;
    (slimmer.stop().await, body)
}

/// The run of a number.
fn run_of(number: u64) -> RunId {
    RunId::of("shop", "main", number, "cart")
}

/// A slimmer that runs.
struct Running {
    bus: MemoryBus,
    folder: std::path::PathBuf,
    service: ferry_runtime::Running,
}

impl Running {
    async fn start(folder: &Path, base_jar: &Path) -> Self {
        let bus = MemoryBus::default();
        let config = serde_json::to_vec(&config(base_jar)).unwrap();
        config_store::put(&bus, config.into(), 0).await.unwrap();
        let own: Arc<dyn Bus> = Arc::new(bus.as_user(User::Service(Service::Slimmer)));
        let environment = Environment {
            secrets_root: folder.to_owned(),
            data_dir: folder.to_owned(),
            hands: Hands::new(own.clone()),
            notes: ferry_runtime::Notes::default(),
        };
        let effects = SlimmerEffects::new(environment);
        Self {
            service: run(Slimmer, effects, own, Settings::default()).await,
            folder: folder.to_owned(),
            bus,
        }
    }

    async fn stop(self) -> MemoryBus {
        assert!(self.service.drain().await);
        self.bus
    }

    /// Says that a run's jar is packaged, and gives what the slimmer said of it.
    async fn slim(&self, number: u64, jar: &[u8], wanted: (Option<Own>, Vec<RulesFile>)) -> Body {
        self.slim_of("cart", number, jar, wanted).await
    }

    /// The same, of another module.
    async fn slim_of(
        &self,
        module: &str,
        number: u64,
        jar: &[u8],
        (own, rules): (Option<Own>, Vec<RulesFile>),
    ) -> Body {
        let file = self.folder.join("module.jar");
        std::fs::write(&file, jar).unwrap();
        let digest = Digest::of(jar);
        self.bus.put_jar(&digest, &file).await.unwrap();
        let packaged = Packaged {
            origin: None,
            own,
            rules,
            run: run_of(number),
            module: module.into(),
            digest,
            size: jar.len() as u64,
            commit: Some(COMMIT.into()),
            biz: Biz {
                name: "cart".into(),
                version: "1.0.0".into(),
                web_context_path: Some("/cart".into()),
            },
        };
        let event = Event {
            id: EventId(Uuid::from_u128(number.into())),
            source: Service::Builder,
            time: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
            scope: Scope::module(None, "cart"),
            cause: None,
            trace: None,
            body: packaged.into(),
        };
        let event = Write::event(&event);
        self.bus.commit(vec![event].into()).await.unwrap();
        let said = [
            Kind::ArtifactPublished,
            Kind::ArtifactRefused,
            Kind::ProfilePublished,
        ]
        .map(subject::events_of);
        self.find(said.to_vec(), |payload| {
            let body = Event::decode(payload).unwrap().body;
            (body.run() == Some(run_of(number))).then_some(body)
        })
        .await
    }

    /// Waits for a message in which something is found.
    async fn find<T>(&self, subjects: Vec<String>, look: impl Fn(&[u8]) -> Option<T>) -> T {
        let mut messages = self
            .bus
            .watch(subject::STREAM, subjects, Start::First)
            .await
            .unwrap();
        let found = async {
            loop {
                let message = messages.next().await.expect("a watch has no end").unwrap();
                if let Some(found) = look(&message.payload) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), found)
            .await
            .expect("the slimmer says something")
    }

    /// Waits until it is written down that a run's jar is what the module published last.
    async fn published(&self, module: &str, number: u64) {
        let last = subject::state(Service::Slimmer, last_key(module).as_str());
        let run = run_of(number).to_string();
        self.find(vec![last], |payload| {
            std::str::from_utf8(payload)
                .unwrap()
                .contains(&run)
                .then_some(())
        })
        .await;
    }

    /// Asks for a report as the gateway does.
    async fn report(&self, number: u64, pool: Option<&str>) -> Answer {
        let gateway = self.bus.as_user(User::Service(Service::Gateway));
        let question = Question::Report {
            run: run_of(number),
            pool: pool.map(Into::into),
        };
        let answer = gateway.ask(&question, Duration::from_secs(30)).await;
        serde_json::from_slice(&answer.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn each_pool_gets_a_jar_against_its_own_profile() {
    let folder = tempfile::tempdir().unwrap();
    let jar = FakeJar::new("cart", "1.0.0")
        .web("/cart")
        .library("money-2.1.0.jar", library())
        .bytes();
    let (bus, body) = slim(folder.path(), &base_jar(folder.path()), &jar).await;
    let Body::ArtifactPublished(published) = body else {
        panic!("{body:?}")
    };
    let pools = &published.release.pools;
    let (plain, rich) = (&pools["plain"], &pools["rich"]);
    assert_eq!(
        (plain.left_out, plain.kept),
        (0, 1),
        "a pool without a profile leaves nothing out"
    );
    assert_eq!((rich.left_out, rich.kept), (1, 0));
    assert!(rich.size < plain.size);
    for slimmed in [plain, rich] {
        assert!(
            slimmed.version.starts_with("1.0.0-1a2b3c4d-"),
            "{}",
            slimmed.version
        );
        let file = folder.path().join(slimmed.digest.as_str());
        bus.get_jar(&slimmed.digest, &file).await.unwrap();
        let biz = ferry_slim::inspect(&file).unwrap();
        assert_eq!(biz.version, slimmed.version);
    }
}

#[tokio::test]
async fn a_jar_that_is_no_module_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let jar = library_jar(&[("acme/Thing.class", b"no module")]);
    let (_, body) = slim(folder.path(), &base_jar(folder.path()), &jar).await;
    let Body::ArtifactRefused(refused) = body else {
        panic!("{body:?}")
    };
    assert_eq!(refused.stop.reason, Reason::NotABiz);
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let jar = FakeJar::new("cart", "1.0.0").bytes();
    let (_, body) = slim(folder.path(), &folder.path().join("gone.jar"), &jar).await;
    let Body::ArtifactRefused(refused) = body else {
        panic!("{body:?}")
    };
    assert_eq!(refused.stop.reason, Reason::ProfileUnavailable);
    assert!(
        refused.stop.detail.contains("pool rich"),
        "{}",
        refused.stop.detail
    );
}

#[tokio::test]
async fn a_jar_that_links_is_published_with_its_proof_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let jar = module("acme/Base");
    let (bus, body) = slim(folder.path(), &base_jar(folder.path()), &jar).await;
    let Body::ArtifactPublished(published) = body else {
        panic!("{body:?}")
    };
    let pools = &published.release.pools;
    assert_eq!(pools["plain"].proof, None, "nothing is known of its base");
    let proof = pools["rich"].proof.as_ref().expect("it was proven");
    assert_eq!(proof.gaps, 0);
    let file = folder.path().join("report");
    bus.get_jar(pools["rich"].report.as_ref().unwrap(), &file)
        .await
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(report["proof"]["outcome"], "links");
    assert_eq!(report["digest"], pools["rich"].digest.as_str());
}

#[tokio::test]
async fn a_jar_that_does_not_link_stops_before_any_base_and_its_report_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (bus, body) = slim(
        folder.path(),
        &base_jar(folder.path()),
        &module("acme/Gone"),
    )
    .await;
    let Body::ArtifactRefused(refused) = body else {
        panic!("{body:?}")
    };
    assert_eq!(refused.stop.reason, Reason::DoesNotLink);
    let detail = &refused.stop.detail;
    for told in [
        "pool rich",
        "NoClassDefFoundError",
        "acme.Gone",
        "acme.cart.Cart",
    ] {
        assert!(detail.contains(told), "{detail}");
    }
    let report: Digest = detail.rsplit(' ').next().unwrap().parse().unwrap();
    let file = folder.path().join("report");
    bus.get_jar(&report, &file).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(report["proof"]["outcome"], "refused");
}

/// What becomes of another version of the library that the base has, in the pool that has one.
async fn left_out(wanted: (Option<Own>, Vec<RulesFile>)) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let jar = FakeJar::new("cart", "1.0.0")
        .entry("lib/money-2.0.0.jar", library_of("2.0.0"))
        .bytes();
    let (_, body) = slim_as(folder.path(), &base_jar(folder.path()), &jar, wanted).await;
    let Body::ArtifactPublished(published) = body else {
        panic!("{body:?}")
    };
    published.release.pools["rich"].left_out
}

#[tokio::test]
async fn what_the_module_set_and_its_projects_rules_are_obeyed() {
    let own = |compatible| Own {
        keys: vec!["slim".into()],
        slim: Some(Slim {
            compatible,
            shake: false,
        }),
        ..Own::default()
    };
    let rules = |text: &str| RulesFile {
        name: "conf/ark/rules.txt".into(),
        text: Some(text.into()),
    };
    assert_eq!(left_out((None, Vec::new())).await, 0);
    assert_eq!(left_out((Some(own(false)), Vec::new())).await, 0);
    assert_eq!(left_out((Some(own(true)), Vec::new())).await, 1);
    assert_eq!(
        left_out((None, vec![rules("excludes=acme:money")])).await,
        1
    );
    let both = (Some(own(true)), vec![rules("includes=acme:money")]);
    assert_eq!(left_out(both).await, 0);
}

/// Each way in which a jar is refused has a reason of its own, and the detail names what it is about.
#[tokio::test]
async fn each_refusal_has_its_own_reason() {
    let broken_own = FakeJar::new("cart", "1.0.0")
        .main_class("acme.cart.Cart")
        .entry("acme/cart/Cart.class", "no class file")
        .bytes();
    let unsafe_name = FakeJar::new("cart", "1.0.0").entry("../evil", "x").bytes();
    let inner = library_jar(&[("../evil", b"x")]);
    let unsafe_inside = FakeJar::new("cart", "1.0.0")
        .library("evil-1.0.jar", inner)
        .bytes();
    let mut split = module("acme/Base");
    let end = split.len() - 22;
    split[end + 4] = 1;
    for (jar, reason, named) in [
        (broken_own, Reason::ClassBroken, "acme/cart/Cart.class"),
        (unsafe_name, Reason::JarUnsafeName, "../evil"),
        (
            unsafe_inside,
            Reason::JarUnsafeName,
            "lib/evil-1.0.jar!/../evil",
        ),
        (split, Reason::JarMultiDisk, "the jar"),
        (b"hello".to_vec(), Reason::JarRefused, "the jar"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_, body) = slim(folder.path(), &base_jar(folder.path()), &jar).await;
        let Body::ArtifactRefused(refused) = body else {
            panic!("{body:?}")
        };
        assert_eq!(refused.stop.reason, reason, "{}", refused.stop);
        assert!(refused.stop.detail.contains(named), "{}", refused.stop);
    }
}

fn with_library(name: &str, version: &str) -> Vec<u8> {
    FakeJar::new("cart", "1.0.0")
        .entry(&format!("lib/{name}-{version}.jar"), library_of(version))
        .bytes()
}

#[tokio::test]
async fn a_jar_is_compared_with_the_one_before_and_the_report_tells_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    let slimmer = Running::start(folder.path(), &base_jar(folder.path())).await;
    let nothing = || (None, Vec::new());
    let since = |body: &Body, pool: &str| -> Option<Since> {
        let Body::ArtifactPublished(published) = body else {
            panic!("{body:?}")
        };
        published.release.pools[pool].since.clone()
    };
    let first = slimmer
        .slim(1, &FakeJar::new("cart", "1.0.0").bytes(), nothing())
        .await;
    assert_eq!(since(&first, "plain"), None, "there is nothing before it");
    slimmer.published("cart", 1).await;

    // The base of the rich pool has the library: only in the plain one the jar grows.
    let second = slimmer
        .slim(2, &with_library("money", "2.1.0"), nothing())
        .await;
    let (plain, rich) = (since(&second, "plain").unwrap(), since(&second, "rich"));
    let [library] = plain.libraries.as_slice() else {
        panic!("{plain:?}")
    };
    assert_eq!(
        (library.entry.as_str(), library.change, plain.more),
        ("lib/money-2.1.0.jar", Change::New, 0)
    );
    assert!(library.bytes > 0 && plain.bytes > 0, "{plain:?}");
    assert_eq!(rich.unwrap().libraries, []);
    slimmer.published("cart", 2).await;

    let third = slimmer
        .slim(3, &with_library("money", "2.0.0"), nothing())
        .await;
    let told = since(&third, "rich").unwrap();
    assert_eq!(
        told.libraries[0].change,
        Change::New,
        "not the base's: kept"
    );
    let told = since(&third, "plain").unwrap();
    assert_eq!(told.libraries[0].change, Change::Changed, "{told}");

    let Answer::Report(report) = slimmer.report(2, Some("plain")).await else {
        panic!("no report")
    };
    assert_eq!(report["since"]["new"][0]["entry"], "lib/money-2.1.0.jar");
    assert_eq!(report["kept"][0]["entry"], "lib/money-2.1.0.jar");
    slimmer.stop().await;
}

#[tokio::test]
async fn reports_are_asked_for_by_run_and_pool() {
    let folder = tempfile::tempdir().unwrap();
    let slimmer = Running::start(folder.path(), &base_jar(folder.path())).await;
    let jar = module("acme/Gone");
    let refused = slimmer.slim(1, &jar, (None, Vec::new()));
    let Body::ArtifactRefused(refused) = refused.await else {
        panic!("not refused")
    };
    assert_eq!(refused.pool.as_deref(), Some("rich"));
    assert!(refused.report.is_some());
    let Answer::Report(report) = slimmer.report(1, None).await else {
        panic!("no report of what was refused")
    };
    assert_eq!(report["proof"]["outcome"], "refused");

    let no = async |number, pool| match slimmer.report(number, pool).await {
        Answer::Refused(stop) => stop,
        other => panic!("{other:?}"),
    };
    let stop = no(1, Some("plain")).await;
    assert_eq!(stop.reason, Reason::NoReport);
    assert!(stop.detail.contains("but for rich"), "{}", stop.detail);
    assert_eq!(no(9, None).await.reason, Reason::NoReport);
    // One that could not be read has none.
    slimmer.slim(2, b"no jar", (None, Vec::new())).await;
    assert_eq!(no(2, None).await.reason, Reason::NoReport);
    slimmer.stop().await;
}

#[tokio::test]
async fn a_build_of_a_base_is_what_its_pools_modules_are_slimmed_against() {
    let folder = tempfile::tempdir().unwrap();
    let path = base_jar(folder.path());
    let base = std::fs::read(&path).unwrap();
    let slimmer = Running::start(folder.path(), &path).await;
    let nothing = || (None, Vec::new());
    let order = FakeJar::new("order", "1.0.0")
        .library("money-2.1.0.jar", library())
        .bytes();

    // Nothing is known of the base: the module waits for a person, not for luck.
    let Body::ArtifactRefused(refused) = slimmer.slim_of("order", 1, &order, nothing()).await
    else {
        panic!("not refused")
    };
    assert_eq!(refused.stop.reason, Reason::ProfileUnavailable);
    assert!(refused.stop.detail.contains("`ferry run shop-base"));

    let Body::ProfilePublished(first) = slimmer.slim_of("shop-base", 2, &base, nothing()).await
    else {
        panic!("no profile")
    };
    assert_eq!((first.libraries, first.report.clone()), (1, None));
    slimmer.published("shop-base", 2).await;
    let Body::ArtifactPublished(published) = slimmer.slim_of("order", 3, &order, nothing()).await
    else {
        panic!("not published")
    };
    let slimmed = &published.release.pools["built"];
    assert_eq!((slimmed.left_out, slimmed.kept), (1, 0));
    assert_eq!(slimmed.profile.as_ref(), Some(&first.profile));

    // The next build has another class of its own, and no library that the module brings.
    let next = library_jar(&[
        (
            "BOOT-INF/classes/acme/Other.class",
            &class_file("acme/Other", "java/lang/Object"),
        ),
        ("BOOT-INF/lib/coins-1.0.0.jar", &library_of("1.0.0")),
    ]);
    let Body::ProfilePublished(second) = slimmer.slim_of("shop-base", 4, &next, nothing()).await
    else {
        panic!("no profile")
    };
    assert_eq!(second.classes_gone, 1);
    let Answer::Report(report) = slimmer.report(4, None).await else {
        panic!("no difference")
    };
    assert_eq!(report["classes_gone"], serde_json::json!(["acme/Base"]));
    slimmer.published("shop-base", 4).await;
    let Body::ArtifactPublished(published) = slimmer.slim_of("order", 5, &order, nothing()).await
    else {
        panic!("not published")
    };
    assert_eq!(
        published.release.pools["built"].profile.as_ref(),
        Some(&second.profile)
    );

    // A jar that is none of a base changes nothing.
    let Body::ArtifactRefused(refused) = slimmer.slim_of("shop-base", 6, &order, nothing()).await
    else {
        panic!("not refused")
    };
    assert_eq!(refused.stop.reason, Reason::NotABase);
    slimmer.stop().await;
}
