//! A real Koupleless base: what the fake one imitates, and what slimming has to get right, judged by
//! installing.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use ferry_api::{DeployQuery, RunState};
use ferry_fake_base::conformance;
use ferry_rig::{
    base::{Base, Options, ensure_base_jar},
    maven::hello_jar,
    stack::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup, Stack},
    wait::until,
};

/// An install takes half a second; the rest is for a machine that is busy.
const RUN_LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn the_fake_base_says_what_a_real_one_says_and_slimmed_modules_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let base = Base::start(Options::new("real-1", &dir.path().join("base"))).await?;

    let talk = dir.path().join("talk");
    std::fs::create_dir(&talk)?;
    let said = conformance::transcript(&base.arklet_url(), &talk).await?;
    assert_eq!(
        said,
        conformance::RECORDED_2_1_6,
        "a real base says something else now"
    );

    let stack = stack(dir.path(), &base).await?;
    // Fat, with all of Spring and Tomcat inside: unslimmed it does not even install.
    for (fat, changes, text) in [
        (true, vec![], "version one"),
        (false, vec!["version-two"], "version two"),
        (true, vec![], "version one"),
    ] {
        let jar = hello_jar(&changes, fat).await?;
        deploy(&stack, &jar)
            .await
            .with_context(|| format!("{}, fat: {fat}", jar.display()))?;
        let (status, body) = base.get("/hello/").await?;
        assert_eq!(status, 200);
        assert!(body.contains(text), "{body}");
    }
    Ok(())
}

async fn stack(dir: &Path, base: &Base) -> Result<Stack> {
    let mut setup = Setup::new(&dir.join("ferry"));
    setup.repositories = vec![RepositoryAt {
        name: "hello".into(),
        url: "https://git.example/acme/hello.git".into(),
    }];
    setup.modules = vec![ModuleAt {
        name: "hello".into(),
        repository: "hello".into(),
        path: ".".into(),
        soak: "300ms".into(),
        probe: Some(ProbeAt {
            path: "/hello/".into(),
            deadline: "20s".into(),
        }),
    }];
    let at = BaseAt {
        name: "real-1".into(),
        arklet: base.arklet_url(),
        url: base.http_url(),
    };
    setup.environments = vec![EnvironmentAt {
        name: "prod".into(),
        base_jar: Some(ensure_base_jar().await?),
        bases: vec![at],
    }];
    Stack::start(&setup).await
}

async fn deploy(stack: &Stack, jar: &Path) -> Result<()> {
    let bytes = std::fs::read(jar)?;
    let size = bytes.len() as u64;
    let asked = stack
        .client()
        .deploy("hello", bytes, size, &DeployQuery::default())
        .await?;
    let run = until("the run", RUN_LIMIT, || async {
        Ok(stack.client().command(asked.id).await?.run)
    })
    .await?;
    let view = stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(
        view.summary.state,
        RunState::Succeeded,
        "{:?}",
        view.summary.stop
    );
    Ok(())
}
