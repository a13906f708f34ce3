//! What a fleet works on: real git repositories, bases that are processes with a ledger on disk, and
//! a stand-in for Maven.
//!
//! In: a folder, how many repositories of two modules. Out: a running world that can be pushed to.
//!
//! The stand-in copies one of four jars that lie in the repository, by chance: two builds of one
//! commit differ mostly, so that a second artifact of a commit would be seen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use ferry_fake_base::jar::FakeJar;

use super::bases::Bases;
use crate::fleet::{Fleet, Size};
use crate::git::{Push, Repository};
use crate::stack::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup};
use crate::tools;

/// What stands in for Maven. `takes` is in seconds.
const MVN: &str = "#!/bin/sh
# Stands in for Maven: takes as long as the commit says, and copies one of its four jars.
set -eu
echo \"stand-in for Maven: copying a jar\"
sleep \"$(cat takes)\"
number=$(($(od -An -N1 -tu1 /dev/urandom) % 4))
mkdir -p target
cp \"built-$number.jar\" target/module-ark-biz.jar
";

/// The builder only looks whether there is a compiler.
const JAVAC: &str = "#!/bin/sh\necho 'no compiler stands in here' >&2\nexit 1\n";

/// Jars of one commit: what the stand-in chooses from.
const VARIANTS: usize = 4;

/// Environments, in order, and their bases.
pub const ENVIRONMENTS: [(&str, &[&str]); 2] =
    [("pre", &["pre-1"]), ("prod", &["prod-1", "prod-2"])];

/// A running world.
pub struct World {
    /// Ferry.
    pub fleet: Fleet,
    /// The repositories that are pushed to.
    pub repositories: Vec<Source>,
    /// The bases.
    pub bases: Bases,
}

/// A repository with two modules.
pub struct Source {
    repository: Repository,
    modules: Vec<String>,
    first: Option<Push>,
}

/// How a module shall be.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which of the repository's modules.
    pub module: usize,
    /// What it answers.
    pub text: String,
    /// With which status; all but 200 is taken back.
    pub status: u16,
    /// How long its build takes, in milliseconds.
    pub takes: u64,
}

impl World {
    /// Starts everything. Each repository has one commit that nobody was told of yet.
    ///
    /// # Errors
    /// When a part is missing or does not come up.
    pub async fn start(dir: &Path, size: &Size, repositories: usize) -> Result<Self> {
        Self::start_with(dir, size, repositories, "").await
    }

    /// The same, with more TOML at the end of the configuration.
    ///
    /// # Errors
    /// When a part is missing or does not come up.
    pub async fn start_with(
        dir: &Path,
        size: &Size,
        repositories: usize,
        extra: &str,
    ) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = &dir.canonicalize()?;
        let tools = dir.join("stand-in");
        write_tools(&tools)?;
        let mut sources = Vec::new();
        for number in 1..=repositories {
            sources.push(Source::new(number, &dir.join("git")).await?);
        }
        let bases = Bases::start(&dir.join("bases")).await?;
        let mut setup = Setup::new(dir);
        setup.sandbox = tools::bubblewrap().is_ok();
        setup.repositories = sources
            .iter()
            .map(|source| RepositoryAt::of(&source.repository))
            .collect();
        for source in &sources {
            setup
                .modules
                .extend(source.modules.iter().map(|module| ModuleAt {
                    name: module.clone(),
                    repository: source.repository.name().to_owned(),
                    path: module.clone(),
                    soak: "300ms".into(),
                    probe: Some(ProbeAt {
                        path: format!("/{module}/"),
                        deadline: "3s".into(),
                    }),
                }));
        }
        setup.environments = ENVIRONMENTS
            .iter()
            .map(|(name, names)| EnvironmentAt {
                name: (*name).into(),
                base_jar: None,
                bases: names
                    .iter()
                    .filter_map(|it| bases.named(it))
                    .map(BaseAt::of)
                    .collect(),
            })
            .collect();
        setup.extra = extra.into();
        let fleet = Fleet::start(&setup, size, Some(&tools)).await?;
        Ok(Self {
            fleet,
            repositories: sources,
            bases,
        })
    }

    /// The names of all modules.
    pub fn modules(&self) -> impl Iterator<Item = &String> {
        self.repositories.iter().flat_map(|source| &source.modules)
    }
}

impl Source {
    async fn new(number: usize, dir: &Path) -> Result<Self> {
        let modules = ["cart", "price"]
            .map(|name| format!("{name}-{number}"))
            .to_vec();
        let name = format!("shop-{number}");
        let folder = dir.join(format!("{name}.first"));
        for module in &modules {
            write_module(&folder, module, "the first", 200, 0)?;
        }
        let (repository, first) = Repository::from_folder(&name, &folder, dir).await?;
        Ok(Self {
            repository,
            modules,
            first: Some(first),
        })
    }

    /// The repository's name.
    pub fn name(&self) -> &str {
        self.repository.name()
    }

    /// Its modules.
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    /// The push of the first commit, once.
    pub fn first(&mut self) -> Option<Push> {
        self.first.take()
    }

    /// Commits changes of modules and pushes; the forge has told nobody of it yet.
    ///
    /// # Errors
    /// When git fails.
    pub async fn push(&self, changes: &[Change]) -> Result<Push> {
        let mut message = String::from("Change");
        for change in changes {
            let module = &self.modules[change.module];
            let (text, status) = (&change.text, change.status);
            write_module(self.repository.work(), module, text, status, change.takes)?;
            message += &format!(" {module} to {text:?};");
        }
        self.repository
            .commit_all(message.trim_end_matches(';'))
            .await
    }
}

fn write_tools(tools: &Path) -> Result<()> {
    let bin = tools.join("bin");
    fs::create_dir_all(&bin)?;
    for (name, text) in [("mvn", MVN), ("javac", JAVAC)] {
        let file = bin.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn write_module(root: &Path, module: &str, text: &str, status: u16, takes: u64) -> Result<()> {
    let folder = root.join(module);
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("pom.xml"),
        format!("<project><artifactId>{module}</artifactId></project>\n"),
    )?;
    fs::write(
        folder.join("takes"),
        format!("{}.{:03}\n", takes / 1000, takes % 1000),
    )?;
    for number in 0..VARIANTS {
        let jar = FakeJar::new(module, "1.0.0")
            .web(&format!("/{module}"))
            .answers("/", status, text)
            .entry("variant.txt", number.to_string());
        fs::write(folder.join(format!("built-{number}.jar")), jar.bytes())?;
    }
    Ok(())
}
