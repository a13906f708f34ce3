//! A base's own repository: its pushes are built by Maven, and what they make is what modules are slimmed against, and
//! snippets compiled.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ferry_api::{CommandState, ReportQuery, RunRequest, RunState, RunView};
use ferry_events::Reason;
use ferry_fake_base::{FakeBase, Options};
use ferry_rig::{
    base::{self, Base},
    git::{Push, Repository},
    maven::{Maven, demo_dir, hello_jar},
    stack::{BaseAt, EnvironmentAt, ModuleAt, RepositoryAt, Setup, Stack},
    wait::until,
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

const SNIPPETS: &str = r#"
[modules.shop-base]
repository = "base"
kind = "base"
[modules.greeting]
repository = "tips"
build = "snippet"
soak = "100ms"
[modules.greeting.probe]
path = "/greet/greeting"
contains = "(greeting:"
deadline = "5s"
"#;

/// The base's interface, with a word that goes into what is compiled against it. A base that runs needs no restart for
/// that: only a compiler has to see it.
fn with_word(word: &str) -> Result<String> {
    let file = demo_dir().join("base").join(INTERFACE);
    let source = std::fs::read_to_string(file)?;
    let line = format!("public interface Greeter {{\n    String WORD = \"{word}\";\n");
    let changed = source.replace("public interface Greeter {\n", &line);
    ensure!(changed != source, "the demo's interface is another one");
    Ok(changed)
}

const INTERFACE: &str = "src/main/java/ferry/demo/base/Greeter.java";

/// A stack on a real base, with what was pushed to it.
struct Line {
    // Ended before the base that it works on.
    stack: Stack,
    base: Base,
}

impl Line {
    async fn run(&self, push: &Push) -> Result<RunView> {
        let run = self.stack.push(push).await?;
        self.stack.wait_run(run, RUN_LIMIT).await
    }

    /// A base's push, which has to be good.
    async fn build_base(&self, push: &Push) -> Result<()> {
        let view = self.run(push).await?;
        let state = view.summary.state;
        ensure!(state == RunState::Succeeded, "{:?}", view.summary.stop);
        Ok(())
    }

    /// `ferry run greeting --commit C`.
    async fn again(&self, commit: &str) -> Result<RunView> {
        let ask = RunRequest {
            commit: commit.to_owned(),
            branch: None,
            force: false,
            why: None,
        };
        let client = self.stack.client();
        let asked = client.run_commit("greeting", &ask).await?;
        let run = until("the command to be taken", RUN_LIMIT, || async {
            let view = client.command(asked.id).await?;
            Ok((view.state != CommandState::Waiting).then_some(view.run))
        })
        .await?;
        let run = run.context("the command is refused")?;
        self.stack.wait_run(run, RUN_LIMIT).await
    }

    /// What the base's greeter says, where it is of a run that went well.
    async fn says(&self, view: &RunView) -> Result<String> {
        let state = view.summary.state;
        ensure!(state == RunState::Succeeded, "{:?}", view.summary.stop);
        let (status, body) = self.base.get("/greet/greeting?name=ada").await?;
        ensure!(status == 200, "{status}: {body}");
        let (words, _) = body.split_once(" (greeting:").context(body.clone())?;
        Ok(words.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snippet_is_compiled_against_the_last_build_of_its_base() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let seed = Maven::ready().await?.seed().to_path_buf();
    let base = Base::start(base::Options::new("real-1", &dir.path().join("real-1"))).await?;
    let (bases, first) =
        Repository::from_folder("base", &demo_dir().join("base"), dir.path()).await?;
    let (tips, plain) =
        Repository::from_folder("tips", &demo_dir().join("snippet"), dir.path()).await?;
    let mut setup = Setup::new(&dir.path().join("ferry"));
    setup.maven_seed = Some(seed);
    setup.repositories = vec![RepositoryAt::of(&bases), RepositoryAt::of(&tips)];
    setup.environments = vec![EnvironmentAt {
        name: "prod".into(),
        base_jar: None,
        bases: vec![BaseAt {
            name: "real-1".into(),
            arklet: base.arklet_url(),
            url: base.http_url(),
        }],
    }];
    setup.extra = SNIPPETS.into();
    std::fs::create_dir_all(setup.dir.join("conf.d"))?;
    let beside = "[pools.prod]\nbase = \"shop-base\"\n";
    std::fs::write(setup.dir.join("conf.d/base.toml"), beside)?;
    let stack = Stack::start(&setup).await?;
    let line = Line { stack, base };

    // Before the base's first push there is nothing to compile against, and what to do is said.
    let view = line.run(&plain).await?;
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::NoBaseJar, "{}", stop.detail);
    assert!(
        stop.detail.contains("ferry run shop-base"),
        "{}",
        stop.detail
    );

    line.build_base(&first).await?;
    let view = line.again(&plain.after).await?;
    assert_eq!(line.says(&view).await?, "hello, ada");

    // What only the base's next build has is not there yet; then it is.
    let file = "Greeting.java";
    let source = std::fs::read_to_string(demo_dir().join("snippet").join(file))?;
    let worded = source.replace("\"hello, \"", "WORD");
    let worded = tips.commit_file(file, &worded, "Take the word").await?;
    let view = line.run(&worded).await?;
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::DoesNotCompile, "{}", stop.detail);
    for word in ["good day, ", "good evening, "] {
        let push = bases
            .commit_file(INTERFACE, &with_word(word)?, "Say it")
            .await?;
        line.build_base(&push).await?;
        // The second time its commit is one that was compiled before, against the base before.
        let view = line.again(&worded.after).await?;
        assert_eq!(line.says(&view).await?, format!("{word}ada"));
    }
    Ok(())
}
