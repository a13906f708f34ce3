//! Ferry as processes on a real nats-server, over three bases in this process that keep a ledger.
//!
//! In: jars. Out: runs, and what the bases saw.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Result;
use ferry_api::{BaseState, RunView};
use ferry_events::RunId;
use ferry_fake_base::{FakeBase, Options, jar::FakeJar};
use ferry_rig::{
    chaos::doubled_on,
    stack::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup, Stack},
    wait::until,
};
use tempfile::TempDir;

/// A run takes a second; the rest is for a machine that is busy.
pub const RUN_LIMIT: Duration = Duration::from_secs(120);

/// In the order of `Line::bases`.
const BASES: [&str; 3] = ["pre-1", "prod-1", "prod-2"];

/// A line: `pre` with one base, `prod` with two.
pub struct Line {
    pub stack: Stack,
    pub bases: Vec<FakeBase>,
    http: reqwest::Client,
    _dir: TempDir,
}

/// A module that answers its own text.
pub fn jar(text: &str) -> FakeJar {
    answering(text, 200)
}

/// A module that answers a status.
pub fn answering(text: &str, status: u16) -> FakeJar {
    FakeJar::new("cart", "1.0.0")
        .web("/cart")
        .answers("/", status, text)
}

impl Line {
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// With more TOML at the end of the configuration.
    pub async fn start_with(extra: &str) -> Result<Self> {
        Self::start_beside(extra, "").await
    }

    /// With more TOML at the end of the configuration, and some in a file beside it, which may add to its tables.
    pub async fn start_beside(extra: &str, beside: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir_all(dir.path().join("conf.d"))?;
        std::fs::write(dir.path().join("conf.d/beside.toml"), beside)?;
        let mut bases = Vec::new();
        for name in BASES {
            bases.push(
                FakeBase::start(Options {
                    name: name.into(),
                    ..Options::default()
                })
                .await?,
            );
        }
        let at = |name: &str, base: &FakeBase| BaseAt {
            name: name.into(),
            arklet: base.arklet_url.clone(),
            url: base.modules_url.clone(),
        };
        let environment = |name: &str, bases| EnvironmentAt {
            name: name.into(),
            base_jar: None,
            bases,
        };
        let mut setup = Setup::new(dir.path());
        setup.repositories = vec![RepositoryAt {
            name: "shop".into(),
            url: "https://git.example/acme/shop.git".into(),
        }];
        setup.modules = vec![ModuleAt {
            name: "cart".into(),
            repository: "shop".into(),
            path: ".".into(),
            soak: "300ms".into(),
            probe: Some(ProbeAt {
                path: "/cart/".into(),
                deadline: "3s".into(),
            }),
        }];
        setup.environments = vec![
            environment("pre", vec![at("pre-1", &bases[0])]),
            environment(
                "prod",
                vec![at("prod-1", &bases[1]), at("prod-2", &bases[2])],
            ),
        ];
        setup.extra = extra.into();
        let stack = Stack::start(&setup).await?;
        Ok(Self {
            stack,
            bases,
            http: reqwest::Client::new(),
            _dir: dir,
        })
    }

    /// Uploads a jar; the run that it causes.
    pub async fn upload(&self, jar: &FakeJar) -> Result<RunId> {
        self.stack.upload("cart", jar.bytes(), RUN_LIMIT).await
    }

    /// Uploads a jar and waits until its run is over.
    pub async fn deploy(&self, jar: &FakeJar) -> Result<RunView> {
        let run = self.upload(jar).await?;
        self.stack.wait_run(run, RUN_LIMIT).await
    }

    /// What a base's module answers.
    pub async fn answer(&self, base: usize) -> Result<(u16, String)> {
        let url = format!("{}/cart/", self.bases[base].modules_url);
        let answer = self.http.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// What all three answer, if they agree.
    pub async fn answers(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for base in 0..self.bases.len() {
            let (status, text) = self.answer(base).await?;
            texts.push(if status == 200 {
                text
            } else {
                status.to_string()
            });
        }
        Ok(texts)
    }

    /// Request ids that changed a base more than once.
    pub fn doubled(&self) -> Vec<String> {
        let on_base = |(name, base): (&&str, &FakeBase)| doubled_on(name, base.ledger().entries());
        BASES.iter().zip(&self.bases).flat_map(on_base).collect()
    }

    /// Waits until the API says that a base is in a state.
    pub async fn base_is(&self, name: &str, state: BaseState, limit: Duration) -> Result<()> {
        until(&format!("{name} to be {state:?}"), limit, || async {
            let bases = self.stack.client().bases().await?;
            Ok(bases
                .iter()
                .any(|base| base.name == name && base.state == state)
                .then_some(()))
        })
        .await
    }
}

/// The process ids of a running `ferry up`'s children, by name.
#[allow(dead_code, reason = "each test file uses its part")]
pub fn processes(stack: &Stack) -> Result<BTreeMap<String, i32>> {
    #[derive(serde::Deserialize)]
    struct Child {
        id: i32,
    }
    let file: &Path = &stack.dir().join("data/processes.json");
    let children: BTreeMap<String, Child> = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok(children
        .into_iter()
        .map(|(name, child)| (name, child.id))
        .collect())
}
