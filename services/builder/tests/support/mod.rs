//! What the builder's tests share: a configuration, messages, and a git that says what it did.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod corpus;
pub mod shop;
pub mod workers;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ferry_builder::{
    BuilderDecide, BuilderEffects, Places,
    decide::{
        Outcome, State, Work,
        build::{BuildWork, Built},
        build_key, settings,
    },
};
use ferry_bus::{LogLine, MemoryBus};
use ferry_config::Config;
use ferry_events::{
    Body, Command as Ask, CommandId, Digest, Event, EventId, PushId, RunId, Scope, Service, Stop,
    Timestamp, Verb, ids,
    push::{ChangeMerged, Received, Resolved},
    subject,
};
use ferry_runtime::{Context, Decide, Failure, Hands, Input, Key};
use tempfile::TempDir;

/// A configuration with one repository, two modules and what `more` adds.
pub fn config(url: &str, more: &str) -> Config {
    let text = format!(
        r#"
        [repositories.shop]
        url = "{url}"
        forge = "github"
        secret = "env:HOOK"
        branches = ["release/*", "main"]
        team = "core"
        ignore = ["**/*.md"]
        [teams.core]
        [modules.cart]
        repository = "shop"
        path = "cart"
        [modules.prices]
        repository = "shop"
        path = "prices"
        {more}
        "#
    );
    toml::from_str(&text).expect("a configuration")
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
}

pub fn context(config: &Config) -> Context {
    Context {
        now: at(0),
        config: Arc::new(config.clone()),
        revision: Digest::of(b"config"),
    }
}

fn event(name: &str, body: Body) -> Input<Outcome> {
    Input::Event(Arc::new(Event {
        id: EventId(ids::derive("test", &[name])),
        source: Service::Gateway,
        time: at(0),
        scope: Scope::default(),
        cause: None,
        trace: None,
        body,
    }))
}

pub fn push(name: &str, branch: &str, after: &str) -> Received {
    Received {
        push: PushId(ids::derive("test-push", &[name])),
        forge: "github".into(),
        repository: "shop".into(),
        branch: branch.into(),
        before: None,
        after: after.into(),
        forced: false,
        author: Some("A person".into()),
        message: None,
        received_at: at(0),
    }
}

pub fn pushed(received: Received) -> Input<Outcome> {
    event(&received.push.to_string(), received.into())
}

pub fn changed(change: ChangeMerged) -> Input<Outcome> {
    event(&change.run.to_string(), change.into())
}

pub fn command(name: &str, seconds: i64, verb: Verb) -> Ask {
    Ask {
        id: CommandId(ids::derive("test-command", &[name])),
        at: at(seconds),
        actor: "operator".into(),
        why: Some("because".into()),
        based_on: None,
        verb,
    }
}

pub fn run_commit(module: &str, commit: &str, branch: Option<&str>) -> Verb {
    Verb::Run {
        module: module.into(),
        commit: commit.into(),
        branch: branch.map(Into::into),
        force: false,
    }
}

/// Effects in a folder of their own, on a bus in memory.
pub struct Outside {
    pub effects: BuilderEffects,
    pub bus: MemoryBus,
    pub folder: TempDir,
}

impl Outside {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// On another disk.
    pub fn below(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).expect("a folder");
        let bus = MemoryBus::default();
        let places = Places {
            data_dir: folder.path().join("data"),
            secrets_root: folder.path().to_path_buf(),
        };
        let effects =
            BuilderEffects::new(places, Hands::new(Arc::new(bus.clone()))).expect("effects");
        Self {
            effects,
            bus,
            folder,
        }
    }

    /// Builds a commit of a module of a repository's branch without the service around it: what came of it, and
    /// the log.
    pub async fn build(
        &self,
        config: &Config,
        (module, repository, branch): (&str, &str, &str),
        commit: &str,
        run: RunId,
        limit: Duration,
    ) -> (Result<Built, Stop>, Vec<String>) {
        let change = change(run, (module, repository, branch), 1, commit.to_owned());
        let settings = settings::of(config, module).expect("a module");
        let id = settings::build_id(&change, Some(&settings));
        let work = BuildWork {
            origin: change.origin(),
            id,
            repository: change.repository,
            module: change.module,
            commit: change.commit,
            settings,
            run,
            round: 1,
        };
        let key = build_key(id);
        let building = self.effects.build(&key, &work, (1, None), config);
        let (_, result) = tokio::time::timeout(limit, building).await.expect("an end");
        (result.map_err(Failure::into_stop), self.log(run))
    }

    /// A run's log.
    pub fn log(&self, run: RunId) -> Vec<String> {
        let messages = self.bus.messages(subject::LOGS).expect("a stream");
        let own = subject::log(run);
        let lines = messages.iter().filter(|(_, subject, _)| *subject == own);
        let text = |line: &[u8]| {
            let line: LogLine = serde_json::from_slice(line).expect("a line");
            line.text
        };
        lines.map(|(_, _, payload)| text(payload)).collect()
    }
}

/// One branch's aggregate, with real git behind it.
pub struct Branch {
    pub key: Key,
    pub state: State,
    pub config: Config,
    pub said: Vec<Body>,
}

impl Branch {
    pub fn new(config: Config, branch: &str) -> Self {
        let key = ferry_builder::decide::head_key("shop", branch);
        Self {
            key,
            state: State::New,
            config,
            said: Vec::new(),
        }
    }

    /// Decides on one input; gives what it says.
    pub fn tell(&mut self, input: Input<Outcome>) -> Vec<Body> {
        let decision = BuilderDecide
            .decide(&self.key, &self.state, &input, &context(&self.config))
            .expect("no fault");
        self.state = decision.state;
        let said: Vec<Body> = decision.events.into_iter().map(|say| say.body).collect();
        self.said.extend(said.clone());
        said
    }

    /// Does the work that there is, really, and gives what is said of it.
    pub async fn work(&mut self, outside: &Outside) -> Vec<Body> {
        let mut said = Vec::new();
        while let Some(Work::Resolve(work)) = BuilderDecide.work(&self.key, &self.state) {
            let found = outside.effects.resolve(&work, &self.config).await;
            let found = found.map_err(Failure::into_stop);
            said.extend(self.tell(Input::Outcome(Outcome::Resolved {
                ask: work.ask,
                found,
            })));
        }
        said
    }

    /// A push and all that follows: what became of it, and the changes.
    pub async fn push(
        &mut self,
        outside: &Outside,
        received: Received,
    ) -> (Resolved, Vec<ChangeMerged>) {
        self.tell(pushed(received));
        let said = self.work(outside).await;
        split(said)
    }
}

/// The one `push.resolved`, and every `change.merged`.
pub fn split(said: Vec<Body>) -> (Resolved, Vec<ChangeMerged>) {
    let (mut resolved, mut changes) = (Vec::new(), Vec::new());
    for body in said {
        match body {
            Body::PushResolved(one) => resolved.push(*one),
            Body::ChangeMerged(one) => changes.push(*one),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(resolved.len(), 1, "{resolved:?}");
    (resolved.remove(0), changes)
}

/// A forge's repository with a work clone.
pub struct Forge {
    pub folder: TempDir,
}

impl Forge {
    pub fn new() -> Self {
        let forge = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        forge.git(
            forge.folder.path(),
            &["init", "--quiet", "--bare", "bare.git"],
        );
        forge.git(
            forge.folder.path(),
            &["init", "--quiet", "--initial-branch=main", "work"],
        );
        forge
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.bare().display())
    }

    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("bare.git")
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn git(&self, at: &Path, words: &[&str]) -> String {
        let output = Command::new("git")
            .args(words)
            .current_dir(at)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "A person")))
            .envs(
                ["AUTHOR", "COMMITTER"]
                    .map(|who| (format!("GIT_{who}_EMAIL"), "person@ferry.example")),
            )
            .output()
            .expect("git");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {words:?}: {err}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs git in the work clone.
    pub fn run(&self, words: &[&str]) -> String {
        self.git(&self.work(), words)
    }

    /// Commits one file; gives the commit.
    pub fn commit(&self, path: &str, text: &str) -> String {
        let file = self.work().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("a file");
        self.run(&["add", "--all"]);
        self.run(&[
            "commit",
            "--quiet",
            "--message",
            &format!("Change {path}\n\nMore of it."),
        ]);
        self.run(&["rev-parse", "HEAD"])
    }

    /// Pushes the work clone's head to a branch, by force.
    pub fn push(&self, branch: &str) {
        let bare = self.bare();
        let to = format!("+HEAD:refs/heads/{branch}");
        self.run(&["push", "--quiet", "--", &bare.to_string_lossy(), &to]);
    }

    /// Commits one file and pushes it.
    pub fn change(&self, branch: &str, path: &str, text: &str) -> String {
        let commit = self.commit(path, text);
        self.push(branch);
        commit
    }
}

/// A commit of a module's branch, the branch's `order`th, that is nobody's and came of nothing.
pub fn change(
    run: RunId,
    (module, repository, branch): (&str, &str, &str),
    order: u64,
    commit: String,
) -> ChangeMerged {
    ChangeMerged {
        run,
        module: module.into(),
        repository: repository.into(),
        branch: branch.into(),
        order,
        commit,
        push: None,
        command: None,
        author: None,
        message: None,
        uploaded: false,
        force: false,
        joint: None,
    }
}
