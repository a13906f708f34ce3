//! The demo's module in a repository, built really.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_builder::decide::build::Built;
use ferry_bus::{Bus, Write};
use ferry_config::Config;
use ferry_events::{
    Body, Event, EventId, PushId, RunId, Scope, Service, Stop, ids, push::Received,
};
use ferry_rig::{
    git::{BRANCH, Push, Repository},
    maven::{self, Maven},
};

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
        let names = (module, module, BRANCH);
        self.outside
            .build(&self.config, names, commit, run, LIMIT)
            .await
    }

    pub fn log(&self, run: RunId) -> Vec<String> {
        self.outside.log(run)
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
        trace: None,
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
