//! What real bases do, over real HTTP: identity, versions, paths, failures.

mod support;

use ferry_ark::BizState;
use ferry_ark::arklet::{
    BizCode, HealthQuery, Help, InstallBiz, QueryAllBiz, ReplyCode, SwitchBiz, UninstallBiz,
};
use ferry_fake_base::{Behaviour, Dialect, FakeJar, Options};
use support::Rig;

fn hello(version: &str) -> FakeJar {
    FakeJar::new("hello", version).web("hello")
}

#[tokio::test]
async fn an_installed_module_is_listed_and_answers() {
    let rig = Rig::honest().await;
    let reply = rig.install(&hello("1.0.0")).await;
    assert!(reply.is_success(), "{reply:?}");
    let biz = reply.biz().unwrap();
    assert_eq!(biz.code, BizCode::Success);
    assert_eq!(biz.bizs[0].name, "hello");
    assert!(biz.elapsed_space.unwrap() > 0);

    let bizs = rig.ask(&QueryAllBiz {}).await.bizs().unwrap();
    assert_eq!(bizs.len(), 1);
    assert_eq!(bizs[0].state, BizState::Activated);
    assert_eq!(bizs[0].web_context_path.as_deref(), Some("hello"));
    assert_eq!(rig.get("/hello/").await, (200, "hello 1.0.0".to_owned()));
    assert_eq!(
        rig.get("/hello/any/path?x=1").await,
        (200, "hello 1.0.0".to_owned())
    );
    assert_eq!(rig.get("/hello").await.0, 302);
    assert_eq!(rig.get("/hellos/").await.0, 404);

    assert!(rig.uninstall("hello", "1.0.0").await.is_success());
    assert_eq!(rig.get("/hello/").await.0, 404);
    assert!(rig.modules().is_empty());
}

#[tokio::test]
async fn a_module_answers_what_its_jar_says() {
    let rig = Rig::honest().await;
    rig.install(
        &hello("1")
            .answers("/", 500, "broken")
            .answers("/well", 200, "up"),
    )
    .await;
    assert_eq!(rig.get("/hello/").await, (500, "broken".to_owned()));
    assert_eq!(rig.get("/hello/well").await, (200, "up".to_owned()));
    assert_eq!(rig.get("/hello/else").await, (200, "hello 1".to_owned()));
}

#[tokio::test]
async fn the_same_identity_again_replaces_nothing() {
    let rig = Rig::honest().await;
    rig.install(&hello("1").answers("/", 200, "first")).await;
    let reply = rig.install(&hello("1").answers("/", 200, "second")).await;
    assert_eq!(reply.code, ReplyCode::Failed);
    assert_eq!(reply.biz().unwrap().code, BizCode::RepeatBiz);
    assert_eq!(
        reply.reason().unwrap(),
        "Biz: hello:1 has been installed or registered."
    );
    assert_eq!(rig.get("/hello/").await.1, "first");
}

#[tokio::test]
async fn the_identity_comes_from_the_manifest() {
    let rig = Rig::honest().await;
    let install = InstallBiz {
        biz_name: Some("another".to_owned()),
        biz_version: Some("9".to_owned()),
        biz_url: Some(rig.jar(&hello("1"))),
        ..InstallBiz::default()
    };
    assert!(rig.ask(&install).await.is_success());
    assert_eq!(rig.modules(), ["hello 1 activated"]);
}

#[tokio::test]
async fn without_a_name_the_jar_is_read_first() {
    let rig = Rig::honest().await;
    let mut install = InstallBiz {
        biz_url: Some(rig.jar(&hello("1"))),
        ..InstallBiz::default()
    };
    assert!(rig.ask(&install).await.is_success());
    install.biz_url = Some("file:///nowhere.jar".to_owned());
    let reply = rig.ask(&install).await;
    assert_eq!(reply.code, ReplyCode::CmdProcessInternalError);
    assert!(
        reply
            .reason()
            .unwrap()
            .contains("refresh biz info from jar failed: /nowhere.jar")
    );
}

#[tokio::test]
async fn a_second_version_stays_deactivated_until_it_is_switched_to() {
    let rig = Rig::honest().await;
    rig.install(&FakeJar::new("hello", "1").web("one")).await;
    rig.install(&FakeJar::new("hello", "2").web("two")).await;
    assert_eq!(rig.modules(), ["hello 1 activated", "hello 2 deactivated"]);
    // A deactivated web module answers all the same.
    assert_eq!(rig.get("/two/").await, (200, "hello 2".to_owned()));

    assert!(
        rig.ask(&SwitchBiz::synchronous("hello", "2"))
            .await
            .is_success()
    );
    assert_eq!(rig.modules(), ["hello 1 deactivated", "hello 2 activated"]);
    let missing = rig.ask(&SwitchBiz::synchronous("hello", "3")).await;
    assert_eq!(missing.biz().unwrap().code, BizCode::NotFoundBiz);
    // Taking the active one away activates nothing.
    rig.uninstall("hello", "2").await;
    assert_eq!(rig.modules(), ["hello 1 deactivated"]);
}

#[tokio::test]
async fn a_base_can_be_told_to_activate_new_versions() {
    let rig = Rig::with(Options {
        activate_new_module: true,
        ..Options::default()
    })
    .await;
    rig.install(&FakeJar::new("hello", "1")).await;
    rig.install(&FakeJar::new("hello", "2")).await;
    assert_eq!(rig.modules(), ["hello 1 deactivated", "hello 2 activated"]);
}

#[tokio::test]
async fn two_versions_cannot_share_a_web_context_path() {
    let rig = Rig::honest().await;
    rig.install(&hello("1")).await;
    let reply = rig.install(&hello("2")).await;
    assert_eq!(reply.code, ReplyCode::CmdProcessInternalError);
    assert_eq!(
        reply.message.as_deref(),
        Some("Internal Error: java.lang.reflect.InvocationTargetException")
    );
    assert_eq!(
        reply.reason().unwrap(),
        "java.lang.IllegalArgumentException: Child name [hello] is not unique"
    );
    assert_eq!(rig.modules(), ["hello 1 activated"]);
    assert_eq!(rig.get("/hello/").await.1, "hello 1");
}

#[tokio::test]
async fn a_failed_start_leaves_nothing_and_its_cause_is_the_last() {
    let rig = Rig::honest().await;
    let reply = rig
        .install(&hello("1").start_fails("java.lang.IllegalStateException: no greeting configured"))
        .await;
    assert_eq!(reply.code, ReplyCode::CmdProcessInternalError);
    let stack = reply.error_stack_trace.as_deref().unwrap();
    assert!(stack.matches("Caused by:").count() >= 3, "{stack}");
    assert_eq!(
        reply.reason().unwrap(),
        "java.lang.IllegalStateException: no greeting configured"
    );
    assert!(rig.modules().is_empty());
    assert_eq!(rig.get("/hello/").await.0, 404);
}

#[tokio::test]
async fn a_module_without_spring_is_gone_although_its_uninstall_fails() {
    let rig = Rig::honest().await;
    rig.install(&FakeJar::new("plain", "1").plain()).await;
    let reply = rig.uninstall("plain", "1").await;
    assert_eq!(reply.code, ReplyCode::CmdProcessInternalError);
    assert!(
        reply
            .reason()
            .unwrap()
            .starts_with("java.lang.NullPointerException")
    );
    assert!(rig.modules().is_empty());
}

#[tokio::test]
async fn what_is_not_there_and_the_base_itself_are_not_uninstalled() {
    let rig = Rig::honest().await;
    let missing = rig.uninstall("hello", "1").await;
    assert_eq!(missing.code, ReplyCode::Failed);
    assert_eq!(missing.biz().unwrap().code, BizCode::NotFoundBiz);
    let master = rig.uninstall("fake-base", "1.0.0").await;
    assert_eq!(
        master.reason().unwrap(),
        "Master biz must not be uninstalled."
    );
    assert!(
        rig.ask(&UninstallBiz::default())
            .await
            .reason()
            .unwrap()
            .contains("bizName should not be blank")
    );
}

#[tokio::test]
async fn the_dangerous_strategy_uninstalls_before_it_downloads() {
    let rig = Rig::honest().await;
    rig.install(&hello("1")).await;
    let install = InstallBiz {
        biz_name: Some("hello".to_owned()),
        biz_version: Some("2".to_owned()),
        biz_url: Some("file:///nowhere.jar".to_owned()),
        install_strategy: Some("uninstallThenInstall".to_owned()),
        ..InstallBiz::default()
    };
    assert!(!rig.ask(&install).await.is_success());
    assert!(rig.modules().is_empty());
}

#[tokio::test]
async fn metaspace_grows_with_each_install_until_it_is_used_up() {
    let max = 60 << 20;
    let rig = Rig::with(Options {
        metaspace_max: Some(max),
        ..Options::default()
    })
    .await;
    let health = || async { rig.ask(&HealthQuery::default()).await.health().unwrap() };
    let before = health().await.metaspace.unwrap();
    assert_eq!(before.max, Some(max));
    let big = Behaviour {
        metaspace_bytes: 4 << 20,
        ..Behaviour::default()
    };
    assert!(
        rig.install(&FakeJar::new("one", "1").behaves(big.clone()))
            .await
            .is_success()
    );
    let after = health().await;
    assert_eq!(after.metaspace.unwrap().used, before.used + (4 << 20));
    assert!(after.metaspace.unwrap().committed_share() > before.committed_share());
    assert_eq!(after.modules().count(), 1);
    assert_eq!(after.master.unwrap().name, "fake-base");

    let reply = rig.install(&FakeJar::new("two", "1").behaves(big)).await;
    assert_eq!(
        reply.reason().unwrap(),
        "java.lang.OutOfMemoryError: Metaspace"
    );
    assert_eq!(rig.modules(), ["one 1 activated"]);
}

#[tokio::test]
async fn the_older_version_shouts_and_has_no_metaspace() {
    let rig = Rig::with(Options {
        dialect: Dialect::V2_1_3,
        ..Options::default()
    })
    .await;
    rig.install(&hello("1")).await;
    let raw = rig.ask(&QueryAllBiz {}).await;
    assert_eq!(raw.data[0]["bizState"], "ACTIVATED");
    assert_eq!(raw.bizs().unwrap()[0].state, BizState::Activated);
    let health = rig.ask(&HealthQuery::default()).await.health().unwrap();
    assert_eq!(health.metaspace, None);
    assert_eq!(health.java_version.as_deref(), Some("17.0.15"));
}

#[tokio::test]
async fn help_lists_the_commands_and_one_biz_can_be_asked_for() {
    let rig = Rig::honest().await;
    let commands = rig.ask(&Help {}).await.commands().unwrap();
    assert_eq!(commands.len(), 7);
    assert!(commands.iter().any(|command| command.id == "queryBizOps"));
    let one = HealthQuery {
        kind: Some("biz".to_owned()),
        biz_name: Some("hello".to_owned()),
        biz_version: Some("1".to_owned()),
        ..HealthQuery::default()
    };
    assert_eq!(
        rig.ask(&one).await.message.as_deref(),
        Some("can not find biz")
    );
    rig.install(&hello("1")).await;
    assert_eq!(
        rig.ask(&one).await.data["healthData"]["bizInfo"]["bizState"],
        "activated"
    );
}

#[tokio::test]
async fn jars_that_are_none_are_refused_with_javas_words() {
    let rig = Rig::honest().await;
    let file = |name: &str, bytes: &[u8]| {
        let path = rig.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        format!("file://{}", path.display())
    };
    let broken = FakeJar::new("a", "1").entry("META-INF/more", "x").bytes();
    let cases = [
        (
            file("text.jar", b"not a zip"),
            "java.util.zip.ZipException: zip END header not found",
        ),
        (
            file("cut.jar", &broken[..broken.len() / 2]),
            "java.util.zip.ZipException: zip END header not found",
        ),
        (
            rig.jar(&FakeJar::new("a", "2").without_manifest_key("Ark-Biz-Name")),
            "java.lang.IllegalArgumentException: Biz Name must not be empty!",
        ),
        (
            rig.jar(&FakeJar::new("a", "3").without_manifest_key("Ark-Biz-Version")),
            "java.lang.IllegalArgumentException: Biz Version must not be empty!",
        ),
        (
            rig.jar(
                &FakeJar::new("a", "4")
                    .without_manifest_key("Main-Class")
                    .without_manifest_key("Start-Class"),
            ),
            "java.lang.IllegalArgumentException: Biz Main Class must not be empty!",
        ),
        (
            rig.jar(&FakeJar::new("a", "5").manifest_key("Start-Class", "nope.Nope")),
            "java.lang.ClassNotFoundException: nope.Nope",
        ),
        (
            "file:///nowhere.jar".to_owned(),
            "java.io.FileNotFoundException: /nowhere.jar (No such file or directory)",
        ),
        (
            "/bare/path.jar".to_owned(),
            "java.net.MalformedURLException: no protocol: /bare/path.jar",
        ),
        (
            "gopher://x/y.jar".to_owned(),
            "java.net.MalformedURLException: unknown protocol: gopher",
        ),
        (
            "http://127.0.0.1:1/x.jar".to_owned(),
            "java.net.ConnectException: Connection refused",
        ),
    ];
    for (url, reason) in cases {
        let install = InstallBiz {
            biz_name: Some("a".to_owned()),
            biz_version: Some("1".to_owned()),
            biz_url: Some(url.clone()),
            ..InstallBiz::default()
        };
        let reply = rig.ask(&install).await;
        assert_eq!(reply.code, ReplyCode::CmdProcessInternalError, "{url}");
        assert_eq!(reply.reason().as_deref(), Some(reason), "{url}");
    }
    assert!(rig.modules().is_empty());
}

#[tokio::test]
async fn jars_come_over_http_too() {
    use axum::routing::get;
    let jar = hello("1").bytes();
    let app = axum::Router::new()
        .route("/ok.jar", get(|| async { jar }))
        .route(
            "/forbidden.jar",
            get(|| async { axum::http::StatusCode::FORBIDDEN }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let rig = Rig::honest().await;
    let install = |path: &str| InstallBiz {
        biz_name: Some("hello".to_owned()),
        biz_version: Some("1".to_owned()),
        biz_url: Some(format!("{at}{path}")),
        ..InstallBiz::default()
    };
    let missing = rig.ask(&install("/missing.jar")).await;
    // Only the address: that is all that Java says of a 404.
    assert_eq!(
        missing.reason().unwrap(),
        format!("java.io.FileNotFoundException: {at}/missing.jar")
    );
    let forbidden = rig.ask(&install("/forbidden.jar")).await;
    assert_eq!(
        forbidden.reason().unwrap(),
        format!(
            "java.io.IOException: Server returned HTTP response code: 403 for URL: {at}/forbidden.jar"
        )
    );
    assert!(rig.ask(&install("/ok.jar")).await.is_success());
    assert_eq!(rig.get("/hello/").await.1, "hello 1");
}
