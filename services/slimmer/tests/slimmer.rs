//! The slimmer as a service on the bus in memory, with real jars and a real base profile.

use std::{path::Path, sync::Arc, time::Duration};

use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::Config;
use ferry_events::{
    Body, Digest, Event, EventId, Kind, Reason, RunId, Scope, Service, Timestamp,
    artifact::{Biz, Own, Packaged, RulesFile, Slim},
    subject,
};
use ferry_fake_base::jar::{FakeJar, library_jar};
use ferry_runtime::{Environment, Hands, Settings, run};
use ferry_slimmer::{Slimmer, SlimmerEffects};
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
[environments.prod]
[pools.plain]
environment = "prod"
bases = [{{ name = "plain-1", arklet = "http://127.0.0.1:1001", url = "http://127.0.0.1:2001" }}]
[pools.rich]
environment = "prod"
base_jar = "{}"
bases = [{{ name = "rich-1", arklet = "http://127.0.0.1:1002", url = "http://127.0.0.1:2002" }}]
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
    (set, rules): (Option<Own>, Vec<RulesFile>),
) -> (MemoryBus, Body) {
    let bus = MemoryBus::default();
    let config = serde_json::to_vec(&config(base_jar)).unwrap();
    config_store::put(&bus, config.into(), 0).await.unwrap();
    let file = folder.join("module.jar");
    std::fs::write(&file, jar).unwrap();
    let digest = Digest::of(jar);
    bus.put_jar(&digest, &file).await.unwrap();

    let own: Arc<dyn Bus> = Arc::new(bus.as_user(User::Service(Service::Slimmer)));
    let environment = Environment {
        secrets_root: folder.to_owned(),
        data_dir: folder.to_owned(),
        hands: Hands::new(own.clone()),
        notes: ferry_runtime::Notes::default(),
    };
    let effects = SlimmerEffects::new(environment);
    let running = run(Slimmer, effects, own, Settings::default()).await;
    let event = Event {
        id: EventId(Uuid::from_u128(1)),
        source: Service::Builder,
        time: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
        scope: Scope::module(None, "cart"),
        cause: None,
        body: Packaged {
            own: set,
            rules,
            run: RunId::of("shop", "main", 1, "cart"),
            module: "cart".into(),
            digest,
            size: jar.len() as u64,
            commit: Some(COMMIT.into()),
            biz: Biz {
                name: "cart".into(),
                version: "1.0.0".into(),
                web_context_path: Some("/cart".into()),
            },
        }
        .into(),
    };
    bus.commit(vec![Write::event(&event)].into()).await.unwrap();
    let said = [Kind::ArtifactPublished, Kind::ArtifactRefused]
        .map(subject::events_of)
        .to_vec();
    let mut answers = bus
        .watch(subject::STREAM, said, Start::First)
        .await
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), answers.next())
        .await
        .expect("an answer");
    assert!(running.drain().await);
    let body = Event::decode(&answer.unwrap().unwrap().payload)
        .unwrap()
        .body;
    (bus, body)
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
    bus.get_jar(&proof.report, &file).await.unwrap();
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
