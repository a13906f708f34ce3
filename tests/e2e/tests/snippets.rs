//! A snippet of Java on a real Koupleless base, from a push to the base's own answer: replaced, taken back, told where
//! it is wrong, uninstalled; and nothing of an old one is left in the base.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use ferry_api::{EnvironmentState, RunState, RunView};
use ferry_events::Reason;
use ferry_rig::{
    base::{Base, Options, ensure_base_jar},
    git::{Push, Repository},
    maven::demo_dir,
    stack::{BaseAt, EnvironmentAt, RepositoryAt, Setup, Stack},
    tools,
    wait::until,
};
use serde_json::json;

/// A run takes a second; the rest is for a machine that is busy.
const RUN_LIMIT: Duration = Duration::from_secs(180);

/// `greeting` is the demo's snippet, `shout` is another one of the same repository.
const MODULES: &str = r#"
[modules.greeting]
repository = "tips"
path = "greeting"
build = "snippet"
soak = "100ms"
[modules.greeting.probe]
path = "/greet/greeting"
contains = "(greeting:"
deadline = "5s"
[modules.shout]
repository = "tips"
path = "shout"
build = "snippet"
soak = "100ms"
[modules.shout.probe]
path = "/greet/shout"
deadline = "1s"
"#;

const FILE: &str = "greeting/Greeting.java";

/// The demo's snippet with other words, or another body.
fn greeting(body: &str) -> Result<String> {
    let source = std::fs::read_to_string(demo_dir().join("snippet").join("Greeting.java"))?;
    let plain = "return \"hello, \" + name;";
    ensure!(
        source.contains(plain),
        "the demo's snippet says something else"
    );
    Ok(source.replace(plain, body))
}

struct Line {
    // Ended before the base that it works on.
    stack: Stack,
    repository: Repository,
    base: Base,
}

impl Line {
    async fn start(dir: &Path) -> Result<(Self, Push)> {
        let base = Base::start(Options::new("real-1", &dir.join("base"))).await?;
        let first = dir.join("first");
        std::fs::create_dir_all(first.join("greeting"))?;
        std::fs::write(first.join(FILE), greeting("return \"hello, \" + name;")?)?;
        let (repository, push) = Repository::from_folder("tips", &first, dir).await?;
        let mut setup = Setup::new(&dir.join("ferry"));
        setup.repositories = vec![RepositoryAt::of(&repository)];
        setup.environments = vec![EnvironmentAt {
            name: "prod".into(),
            base_jar: Some(ensure_base_jar().await?),
            bases: vec![BaseAt {
                name: "real-1".into(),
                arklet: base.arklet_url(),
                url: base.http_url(),
            }],
        }];
        setup.extra = MODULES.into();
        let stack = Stack::start(&setup).await?;
        let line = Self {
            stack,
            repository,
            base,
        };
        Ok((line, push))
    }

    async fn run(&self, push: &Push) -> Result<RunView> {
        let run = self.stack.push(push).await?;
        self.stack.wait_run(run, RUN_LIMIT).await
    }

    async fn change(&self, path: &str, text: &str) -> Result<RunView> {
        let push = self.repository.commit_file(path, text, "Change it").await?;
        self.run(&push).await
    }

    /// What all greeters of the base say: each line's text, and whose it is.
    async fn said(&self) -> Result<Vec<String>> {
        let (status, body) = self.base.get("/greet").await?;
        Ok(match status {
            404 => Vec::new(),
            200 => body.lines().map(str::to_owned).collect(),
            _ => anyhow::bail!("{status}: {body}"),
        })
    }

    /// Class loaders of modules that the base's JVM holds.
    fn loaders(&mut self) -> Result<usize> {
        let id = self.base.process().id().to_string();
        let jcmd = |words: &[&str]| -> Result<String> {
            let output = Command::new(tools::jdk()?.home.join("bin/jcmd"))
                .arg(&id)
                .args(words)
                .output()?;
            ensure!(output.status.success(), "{output:?}");
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        jcmd(&["GC.run"])?;
        let listed = jcmd(&["VM.classloaders", "fold=false"])?;
        Ok(listed.matches("BizClassLoader").count())
    }
}

fn verified(view: &RunView) {
    let state = view.environments.first().map(|there| there.state);
    assert_eq!(
        (view.summary.state, state),
        (RunState::Succeeded, Some(EnvironmentState::Verified)),
        "{:?}",
        view.summary.stop
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snippet_is_pushed_replaced_taken_back_and_leaves_nothing_behind() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut line, first) = Line::start(dir.path()).await?;
    assert_eq!(line.said().await?, Vec::<String>::new());

    verified(&line.run(&first).await?);
    let said = line.said().await?;
    ensure!(
        matches!(said.as_slice(), [one] if one.starts_with("hello, world (greeting:1.0.0-")),
        "{said:?}"
    );

    // A changed one takes its place, again and again: one bean, one class loader. One that can be closed is.
    let closes = greeting("return \"good evening, \" + name;")?.replace(
        "implements Greeter {",
        "implements Greeter, AutoCloseable {\n    @Override\n    public void close() {\n        \
         System.setProperty(\"greeting\", \"closed, \");\n    }\n",
    );
    let after = "return System.getProperty(\"greeting\", \"open, \") + \"good night, \" + name;";
    for (words, source) in [
        ("good day, ", greeting("return \"good day, \" + name;")?),
        ("good evening, ", closes),
        ("closed, good night, ", greeting(after)?),
    ] {
        verified(&line.change(FILE, &source).await?);
        let said = line.said().await?;
        ensure!(
            matches!(said.as_slice(), [one] if one.starts_with(words)),
            "{said:?}"
        );
    }
    let mut held = line.loaders()?;
    // What a request or a log line still holds goes with the next collection.
    for _ in 0..20 {
        if held <= 1 {
            break;
        }
        held = line.loaders()?;
    }
    assert_eq!(held, 1, "class loaders of modules that are gone are held");
    let night = line.said().await?;

    // What does not compile is told place by place, and touches nothing.
    let view = line.change(FILE, &greeting("return helo + name;")?).await?;
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::DoesNotCompile);
    let places: Vec<_> = stop
        .errors
        .iter()
        .map(|error| (error.file.as_str(), error.line, error.column))
        .collect();
    assert_eq!(places, [(FILE, 9, 16)]);
    assert_eq!(
        stop.detail,
        format!(
            "{FILE}:9:16: cannot find symbol; symbol:   variable helo; location: class ferry.demo.snippet.Greeting"
        )
    );
    assert_eq!(line.said().await?, night);

    // One that answers badly goes, and the one before is there again.
    let view = line
        .change(FILE, &greeting("throw new IllegalStateException(name);")?)
        .await?;
    assert_eq!(view.environments[0].state, EnvironmentState::RolledBack);
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::ProbeFailed, "{}", stop.detail);
    assert_eq!(line.said().await?, night);

    // Another module's very first version is as bad: nothing of it stays.
    let shout = "package acme;\npublic class Shout implements ferry.demo.base.Greeter {\n    \
         public String greet(String name) { throw new IllegalStateException(); }\n}\n";
    let view = line.change("shout/Shout.java", shout).await?;
    assert_eq!(view.summary.state, RunState::Failed);
    assert_eq!(line.said().await?, night);
    let (status, _) = line.base.get("/greet/shout").await?;
    assert_eq!(status, 404);
    // The next one is well, in no package at all; both answer, each by itself too.
    let shout = "public class Shout implements ferry.demo.base.Greeter {\n    \
         public String greet(String name) { return name.toUpperCase(); }\n}\n";
    verified(&line.change("shout/Shout.java", shout).await?);
    let both = line.said().await?;
    assert_eq!(both.len(), 2, "{both:?}");
    let (status, body) = line.base.get("/greet/shout?name=ada").await?;
    ensure!(
        status == 200 && body.starts_with("ADA (shout:1.0.0-"),
        "{body}"
    );

    // Uninstalled behind Ferry's back: the base answers that it is done and greets no more, and Ferry sees that it is
    // gone and brings it back.
    let all = line.base.ask("queryAllBiz", &json!({})).await?;
    let all = all["data"].as_array().context("modules")?;
    let greeting = all.iter().find(|biz| biz["bizName"] == "greeting");
    let version = greeting.and_then(|biz| biz["bizVersion"].as_str());
    let version = version.context("a version")?;
    let gone = json!({"bizName": "greeting", "bizVersion": version});
    let reply = line.base.ask("uninstallBiz", &gone).await?;
    assert_eq!(reply["code"], "SUCCESS", "{reply}");
    // Ferry may have been as quick as this look.
    let said = line.said().await?;
    assert!(said == both || said == both[1..], "{said:?}");
    until("the repair", RUN_LIMIT, || async {
        Ok((line.said().await? == both).then_some(()))
    })
    .await?;
    Ok(())
}
