//! A base's own repository: its pushes are built by Maven, and what they make is what modules are slimmed against.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_api::{ReportQuery, RunState, RunView};
use ferry_events::Reason;
use ferry_fake_base::{FakeBase, Options};
use ferry_rig::{
    git::Repository,
    maven::{Maven, demo_dir, hello_jar},
    stack::{BaseAt, EnvironmentAt, ModuleAt, RepositoryAt, Setup, Stack},
};

/// Maven takes half a minute for a base on a machine that is busy.
const RUN_LIMIT: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_a_base_makes_the_profile_that_modules_are_slimmed_against() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let seed = Maven::ready().await?.seed().to_path_buf();
    let (repository, first) =
        Repository::from_folder("base", &demo_dir().join("base"), dir.path()).await?;
    let base = FakeBase::start(Options::default()).await?;
    let mut setup = Setup::new(&dir.path().join("ferry"));
    setup.maven_seed = Some(seed);
    setup.repositories = vec![
        RepositoryAt::of(&repository),
        RepositoryAt {
            name: "hello".into(),
            url: "https://git.example/acme/hello.git".into(),
        },
    ];
    setup.modules = vec![ModuleAt {
        name: "hello".into(),
        repository: "hello".into(),
        path: ".".into(),
        soak: "0s".into(),
        probe: None,
    }];
    setup.environments = vec![EnvironmentAt {
        name: "prod".into(),
        base_jar: None,
        bases: vec![BaseAt {
            name: "prod-1".into(),
            arklet: base.arklet_url.clone(),
            url: base.modules_url.clone(),
        }],
    }];
    setup.extra = "[modules.shop-base]\nrepository = \"base\"\nkind = \"base\"\n".into();
    std::fs::create_dir_all(setup.dir.join("conf.d"))?;
    let beside = "[pools.prod]\nbase = \"shop-base\"\n";
    std::fs::write(setup.dir.join("conf.d/base.toml"), beside)?;
    let stack = Stack::start(&setup).await?;

    // Nothing is known of the base yet: the module is not installed by guess.
    let run = deploy(&stack).await?;
    let stop = run.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::ProfileUnavailable, "{}", stop.detail);
    assert!(
        stop.detail.contains("ferry run shop-base"),
        "{}",
        stop.detail
    );

    let run = stack.push(&first).await?;
    let run = stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(
        run.summary.state,
        RunState::Succeeded,
        "{:?}",
        run.summary.stop
    );
    assert_eq!(run.environments.len(), 0, "a base is not rolled out");
    let profile = run.profile.context("no profile")?;
    assert!(profile.libraries > 100, "{profile:?}");
    assert_eq!(profile.report, None, "there is none before it");

    let run = deploy(&stack).await?;
    assert_eq!(
        run.summary.state,
        RunState::Succeeded,
        "{:?}",
        run.summary.stop
    );
    let slimmed = &run.slimmed["prod"];
    assert_eq!(slimmed.profile.as_ref(), Some(&profile.profile));
    assert!(
        slimmed.left_out > 30 && slimmed.proof.is_some(),
        "{slimmed:?}"
    );

    // The next build of the base lacks a class, and says so.
    let gone = "src/main/java/ferry/demo/base/NameController.java";
    std::fs::remove_file(repository.work().join(gone))?;
    let second = repository.commit_all("Take out the name").await?;
    let run = stack.push(&second).await?;
    let run = stack.wait_run(run, RUN_LIMIT).await?;
    let profile = run.profile.context("no profile")?;
    assert_eq!((profile.classes_gone, profile.members_gone), (1, 0));
    let id = run.summary.id.to_string();
    let report = stack.client().report(&id, &ReportQuery::default()).await?;
    assert_eq!(
        report.0["classes_gone"],
        serde_json::json!(["ferry/demo/base/NameController"])
    );
    Ok(())
}

/// Uploads the demo's module with all that its base has, and waits for its run.
async fn deploy(stack: &Stack) -> Result<RunView> {
    let jar = std::fs::read(hello_jar(&[], true).await?)?;
    let run = stack.upload("hello", jar, RUN_LIMIT).await?;
    stack.wait_run(run, RUN_LIMIT).await
}
