//! The demo's module in a repository, built really.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_builder::decide::{
    build::{BuildWork, Built},
    build_key, settings,
};
use ferry_bus::{Bus, LogLine, Write};
use ferry_config::Config;
use ferry_events::{
    Body, Event, EventId, PushId, RunId, Scope, Service, Stop, ids,
    push::{ChangeMerged, Received},
    subject,
};
use ferry_rig::{
    git::{BRANCH, Push, Repository},
    maven::{self, Maven},
};
use ferry_runtime::Failure;

use super::{Outside, at};

/// Far more than a build takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(240);

pub struct Shop {
    pub outside: Outside,
    pub repository: Repository,
    pub first: Push,
    pub config: Config,
}

impl Shop {
    /// The demo's module in a repository, and a configuration that builds it from the seed.
    pub async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let maven = Maven::ready().await.expect("Maven");
        Self::of(maven.seed(), &maven::demo_dir().join("hello"), change).await
    }

    /// A folder as a module in a repository, and a configuration that builds it from a seed.
    pub async fn of(seed: &Path, folder: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let outside = Outside::new();
        let (repository, first) = Repository::from_folder("hello", folder, outside.folder.path())
            .await
            .expect("a repository");
        let text = format!(
            r#"
            [builder]
            allow_clone = ["file"]
            maven_seed = "{}"
            [repositories.hello]
            url = "{}"
            forge = "github"
            secret = "env:HOOK"
            [modules.hello]
            repository = "hello"
            "#,
            seed.display(),
            repository.clone_url()
        );
        let mut config = toml::from_str(&text).expect("a configuration");
        change(&mut config);
        Self {
            outside,
            repository,
            first,
            config,
        }
    }

    /// Another builder of the same repository, with nothing built yet.
    pub fn twin(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        Self {
            outside: Outside::new(),
            repository: self.repository.clone(),
            first: self.first.clone(),
            config,
        }
    }

    /// Builds a commit without the service around it.
    pub async fn build(&self, commit: &str) -> (Result<Built, Stop>, Vec<String>) {
        self.build_of("hello", commit).await
    }

    /// Builds a commit of the module and repository of that name.
    pub async fn build_of(&self, module: &str, commit: &str) -> (Result<Built, Stop>, Vec<String>) {
        let run = RunId(ids::derive(
            "test-run",
            &[module, commit, &self.config.revision_digest()],
        ));
        let change = ChangeMerged {
            run,
            module: module.into(),
            repository: module.into(),
            branch: BRANCH.into(),
            order: 1,
            commit: commit.to_owned(),
            push: None,
            command: None,
            author: None,
            message: None,
            uploaded: false,
            force: false,
            joint: None,
        };
        let settings = settings::of(&self.config, module).expect("a module");
        let id = settings::build_id(&change, Some(&settings));
        let work = BuildWork {
            origin: None,
            id,
            repository: module.into(),
            module: module.into(),
            commit: commit.to_owned(),
            settings,
            run,
            round: 1,
        };
        let effects = &self.outside.effects;
        let key = build_key(id);
        let building = effects.build(&key, &work, (1, None), &self.config);
        let (_, result) = tokio::time::timeout(LIMIT, building).await.expect("an end");
        (result.map_err(Failure::into_stop), self.log(run))
    }

    pub fn log(&self, run: RunId) -> Vec<String> {
        let messages = self.outside.bus.messages(subject::LOGS).expect("a stream");
        let own = subject::log(run);
        let lines = messages.iter().filter(|(_, subject, _)| *subject == own);
        lines
            .map(|(_, _, payload)| {
                serde_json::from_slice::<LogLine>(payload)
                    .expect("a line")
                    .text
            })
            .collect()
    }

    pub async fn jar(&self, built: &Built) -> PathBuf {
        let jar = self.outside.folder.path().join("fetched.jar");
        self.outside
            .bus
            .get_jar(&built.digest, &jar)
            .await
            .expect("the jar is in the store");
        jar
    }

    pub fn nothing_is_left(&self) {
        let builds = self.outside.folder.path().join("data/builds");
        let left: Vec<_> = fs::read_dir(builds).expect("a folder").flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub fn event(body: Body) -> Write {
    let id = EventId(ids::derive("test-event", &[&format!("{body:?}")]));
    let time = at(0);
    Write::event(&Event {
        id,
        source: Service::Gateway,
        time,
        scope: Scope::default(),
        cause: None,
        body,
    })
}

pub fn received(push: &Push) -> Received {
    Received {
        push: PushId::of("github", "hello", &push.after, BRANCH),
        forge: "github".into(),
        repository: "hello".into(),
        branch: BRANCH.into(),
        before: None,
        after: push.after.clone(),
        forced: push.forced,
        author: None,
        message: None,
        received_at: at(0),
    }
}
