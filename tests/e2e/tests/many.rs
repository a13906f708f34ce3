//! One push that touches more modules than one write to the bus holds, on a real nats-server.

use std::{collections::BTreeSet, fmt::Write as _, fs, time::Duration};

use anyhow::Result;
use ferry_events::{Body, Reason};
use ferry_fake_base::{FakeBase, Options};
use ferry_rig::{
    git::Repository,
    stack::{BaseAt, EnvironmentAt, RepositoryAt, Setup, Stack},
};

/// More than the 500 messages of a batch.
const MODULES: usize = 600;
/// Each takes milliseconds; the rest is for a machine that is busy.
const SILENCE: Duration = Duration::from_secs(60);

/// Every module's run comes to its end. It is a short one: the pool names no jar to compile against.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_six_hundred_modules_runs_each_of_them_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let base = FakeBase::start(Options::default()).await?;
    let (folder, mut extra) = (dir.path().join("first"), String::new());
    for number in 0..MODULES {
        let name = format!("tip-{number:03}");
        fs::create_dir_all(folder.join(&name))?;
        fs::write(folder.join(&name).join("Tip.java"), "public class Tip {}\n")?;
        writeln!(
            extra,
            "[modules.{name}]\nrepository = \"tips\"\npath = \"{name}\"\nbuild = \"snippet\"\n"
        )?;
    }
    let (repository, push) = Repository::from_folder("tips", &folder, dir.path()).await?;
    let setup = Setup {
        repositories: vec![RepositoryAt::of(&repository)],
        environments: vec![EnvironmentAt {
            name: "prod".into(),
            base_jar: None,
            bases: vec![BaseAt {
                name: "prod-1".into(),
                arklet: base.arklet_url.clone(),
                url: base.modules_url.clone(),
            }],
        }],
        extra,
        ..Setup::new(&dir.path().join("ferry"))
    };
    let stack = Stack::start(&setup).await?;
    let mut events = stack.record(&dir.path().join("events.jsonl"))?;

    let id = stack.deliver(&push).await?;
    let runs = stack.runs_of(id).await?;
    let mut open: BTreeSet<_> = runs.iter().map(|it| it.run).collect();
    assert_eq!(open.len(), MODULES);
    while !open.is_empty() {
        if let Body::RunFinished(it) = &events.next(SILENCE).await?.body {
            assert!(open.remove(&it.run), "{} ended twice", it.run);
            let reason = it.stop.as_ref().map(|stop| stop.reason);
            assert_eq!(reason, Some(Reason::NoBaseJar), "{:?}", it.stop);
        }
    }

    // The next push touches one, and runs one.
    let file = "tip-007/Tip.java";
    let push = repository
        .commit_file(file, "public class Tip { }\n", "One")
        .await?;
    let id = stack.deliver(&push).await?;
    let runs = stack.runs_of(id).await?;
    assert_eq!(
        runs.iter().map(|it| it.module.as_str()).collect::<Vec<_>>(),
        ["tip-007"]
    );
    Ok(())
}
