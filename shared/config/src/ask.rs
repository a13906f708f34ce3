//! Questions to a configuration, all pure.
//! In: [`Config`] and names. Out: what follows from it, always in a fixed order.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::model::{
    BASE_JAR, BIZ_JAR, Base, Config, Gateway, Installer, Module, ModuleKind, Pool, Repository,
    Role, Token,
};

/// What a snippet is compiled against.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Against {
    /// The jar of a base, a file.
    Jar(PathBuf),
    /// The last build of a base, a key of `modules`.
    Base(String),
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jar(jar) => jar.display().fmt(f),
            Self::Base(base) => f.write_str(base),
        }
    }
}

impl Config {
    /// The module of this name.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.get(name)
    }

    /// The modules of this repository, sorted by name.
    pub fn modules_of_repository(&self, repository: &str) -> Vec<(&str, &Module)> {
        self.modules
            .iter()
            .filter(|(_, module)| module.repository == repository)
            .map(|(name, module)| (name.as_str(), module))
            .collect()
    }

    /// The environments, each after the one that its `after` names.
    pub fn environments_in_order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::with_capacity(self.environments.len());
        loop {
            let last = order.last().copied();
            let next = self.environments.iter().find(|(name, environment)| {
                environment.after.as_deref() == last && !order.contains(&name.as_str())
            });
            match next {
                Some((name, _)) => order.push(name),
                None => return order,
            }
        }
    }

    /// The environment after this one.
    pub fn environment_after(&self, environment: &str) -> Option<&str> {
        self.environments
            .iter()
            .find(|(_, next)| next.after.as_deref() == Some(environment))
            .map(|(name, _)| name.as_str())
    }

    /// The pools to which a module goes, sorted by name; none for an unknown one.
    pub fn pools_of_module(&self, module: &str) -> Vec<(&str, &Pool)> {
        let module = self.module(module);
        // A base's own jar goes nowhere.
        let Some(module) = module.filter(|it| it.kind == ModuleKind::Module) else {
            return Vec::new();
        };
        self.pools
            .iter()
            .filter(|(name, _)| {
                module
                    .pools
                    .as_ref()
                    .is_none_or(|chosen| chosen.contains(name))
            })
            .map(|(name, pool)| (name.as_str(), pool))
            .collect()
    }

    /// Whether it is the jar of a base, whose builds are not rolled out.
    pub fn is_base(&self, module: &str) -> bool {
        self.module(module)
            .is_some_and(|it| it.kind == ModuleKind::Base)
    }

    /// The environments, in order, in which a module has a pool with bases.
    pub fn environments_of_module(&self, module: &str) -> Vec<&str> {
        let pools = self.pools_of_module(module);
        let mut order = self.environments_in_order();
        order.retain(|name| {
            pools
                .iter()
                .any(|(_, pool)| pool.environment == *name && !pool.bases.is_empty())
        });
        order
    }

    /// The environments, in order, in which something follows from a module's run: those that it goes to; of a
    /// base, those whose pools slim against it.
    pub fn environments_of_run(&self, module: &str) -> Vec<&str> {
        if !self.is_base(module) {
            return self.environments_of_module(module);
        }
        let mut order = self.environments_in_order();
        order.retain(|name| {
            let mut pools = self.pools.values();
            pools.any(|pool| pool.environment == *name && pool.base.as_deref() == Some(module))
        });
        order
    }

    /// What a snippet is compiled against: what the first of the module's pools that says it names, in the order of the
    /// environments.
    pub fn compiled_against(&self, module: &str) -> Option<Against> {
        let pools = self.pools_of_module(module);
        let order = self.environments_in_order();
        order.iter().find_map(|environment| {
            let mut here = pools
                .iter()
                .filter(|(_, pool)| pool.environment == *environment);
            here.find_map(|(_, pool)| {
                let jar = pool.base_jar.clone().map(Against::Jar);
                jar.or_else(|| pool.base.clone().map(Against::Base))
            })
        })
    }

    /// The bases on which a module runs in an environment, each with the name of
    /// its pool, sorted by the base's name.
    pub fn bases_of(&self, module: &str, environment: &str) -> Vec<(&str, &Base)> {
        let mut bases: Vec<(&str, &Base)> = self
            .pools_of_module(module)
            .into_iter()
            .filter(|(_, pool)| pool.environment == environment)
            .flat_map(|(name, pool)| pool.bases.iter().map(move |base| (name, base)))
            .collect();
        bases.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        bases
    }

    /// Every base with the name of its pool, sorted by the base's name.
    pub fn bases(&self) -> Vec<(&str, &Base)> {
        let mut bases: Vec<(&str, &Base)> = self
            .pools
            .iter()
            .flat_map(|(name, pool)| pool.bases.iter().map(move |base| (name.as_str(), base)))
            .collect();
        bases.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        bases
    }

    /// The base of this name with the name of its pool.
    pub fn base(&self, name: &str) -> Option<(&str, &Base)> {
        self.pools.iter().find_map(|(pool, bases)| {
            let base = bases.bases.iter().find(|base| base.name == name)?;
            Some((pool.as_str(), base))
        })
    }

    /// The environment in which a base stands.
    pub fn environment_of_base(&self, name: &str) -> Option<&str> {
        let (pool, _) = self.base(name)?;
        Some(self.pools.get(pool)?.environment.as_str())
    }

    /// How long draining may add to one change of a module on a base in an environment: until it is
    /// drained, and until it is back. Zero where none of its pools there drains.
    pub fn drain_time(&self, module: &str, environment: &str) -> Duration {
        self.pools_of_module(module)
            .into_iter()
            .filter(|(_, pool)| pool.environment == environment)
            .map(|(_, pool)| pool.drain_time())
            .max()
            .unwrap_or_default()
    }

    /// The team that owns a module through its repository, where it has one.
    pub fn team_of_module(&self, module: &str) -> Option<&str> {
        self.repositories
            .get(&self.module(module)?.repository)?
            .team
            .as_deref()
    }

    /// SHA-256, in hex, of the configuration as JSON with sorted keys. Equal
    /// exactly when the two configurations are.
    ///
    /// # Panics
    /// Never: every type of the model can be written as JSON.
    pub fn revision_digest(&self) -> String {
        let value = serde_json::to_value(self).expect("the model is plain data");
        let mut text = String::new();
        canonical(&value, &mut text);
        hex::encode(Sha256::digest(text))
    }

    /// The token of which `bearer` is the text, with its name. Hashes are
    /// compared, so the time it takes tells nothing of a stored token.
    pub fn token(&self, bearer: &str) -> Option<(&str, &Token)> {
        let hash = hash_token(bearer);
        self.tokens
            .iter()
            .find(|(_, token)| token.hash == hash)
            .map(|(name, token)| (name.as_str(), token))
    }
}

/// Writes JSON with sorted keys, whatever the map behind `Value` is.
fn canonical(value: &Value, to: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            to.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    to.push(',');
                }
                to.push_str(&Value::from(key.as_str()).to_string());
                to.push(':');
                canonical(&map[key], to);
            }
            to.push('}');
        }
        Value::Array(items) => {
            to.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    to.push(',');
                }
                canonical(item, to);
            }
            to.push(']');
        }
        leaf => to.push_str(&leaf.to_string()),
    }
}

/// What stands in `tokens.NAME.hash` for this token.
pub fn hash_token(token: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(token)))
}

/// On which modules, or in which environments, somebody wants to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// This one.
    One(&'a str),
    /// All of them, those to come included: needs a grant on `*`.
    All,
    /// Some; the caller filters what it shows, one by one.
    Any,
}

impl Scope<'_> {
    fn covered_by(self, globs: &[String]) -> bool {
        match self {
            Self::One(name) => any_glob(globs, name),
            Self::All => globs.iter().any(|glob| glob == "*" || glob == "**"),
            Self::Any => true,
        }
    }
}

impl Token {
    /// Whether it may act in `role` on these modules in these environments: one
    /// grant must cover all three.
    pub fn allows(&self, role: Role, modules: Scope<'_>, environments: Scope<'_>) -> bool {
        self.grants.iter().any(|grant| {
            grant.role >= role
                && modules.covered_by(&grant.modules)
                && environments.covered_by(&grant.environments)
        })
    }
}

/// Whether one of the globs matches. A broken glob matches nothing; checked
/// configurations have none.
pub(crate) fn any_glob(globs: &[String], text: &str) -> bool {
    globs
        .iter()
        .any(|glob| crate::glob(glob).is_ok_and(|glob| glob.is_match(text)))
}

impl Gateway {
    /// The address under which people reach it: `url`, else made from `listen`.
    pub fn public_url(&self) -> Url {
        self.url.clone().unwrap_or_else(|| url_of(self.listen))
    }
}

impl Installer {
    /// The address under which bases reach it: `url`, else made from `listen`.
    pub fn artifact_url(&self) -> Url {
        self.url.clone().unwrap_or_else(|| url_of(self.listen))
    }
}

/// An address that listens everywhere is reached at loopback.
fn url_of(listen: SocketAddr) -> Url {
    let mut reach = listen;
    if reach.ip().is_unspecified() {
        reach.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Url::parse(&format!("http://{reach}")).expect("a socket address is an authority")
}

impl Repository {
    /// Its name at the forge: `full_name`, else the path of `url` without `.git`
    /// (and without the `scm/` of Bitbucket Data Center).
    pub fn full_name(&self) -> String {
        self.full_name
            .clone()
            .unwrap_or_else(|| full_name_of(&self.url))
    }
}

/// The name that a clone address implies.
pub(crate) fn full_name_of(url: &str) -> String {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.split_once(':').map_or(url, |(_, path)| path),
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.strip_prefix("scm/").unwrap_or(path).to_owned()
}

impl Module {
    /// The glob that finds its jar: `jar`, where a base does not say its own, what Spring Boot makes.
    pub fn jar_glob(&self) -> &str {
        match self.kind {
            ModuleKind::Base if self.jar == BIZ_JAR => BASE_JAR,
            _ => &self.jar,
        }
    }

    /// The globs whose change concerns it: `paths`, else all below `path`.
    pub fn path_globs(&self) -> Vec<String> {
        if !self.paths.is_empty() {
            return self.paths.clone();
        }
        match self.path.trim_start_matches("./").trim_matches('/') {
            "" | "." => vec!["**".to_owned()],
            // The folder is a name, not a pattern.
            path => vec![format!("{}/**", globset::escape(path))],
        }
    }
}

impl Pool {
    /// How long draining may add to what is done on a base: until it is drained, and until it is back.
    pub fn drain_time(&self) -> Duration {
        let drain = self.drain.as_ref();
        drain.map_or(Duration::ZERO, |drain| drain.deadline.saturating_mul(2))
    }

    /// Whether so much metaspace taken of a limit, both in bytes, is over the pool's mark; none: it has no mark,
    /// or the base no limit.
    pub fn is_over_mark(&self, committed: u64, max: u64) -> Option<bool> {
        let mark = self.metaspace_mark.filter(|_| max > 0)?;
        Some(u128::from(committed) * 100 >= u128::from(max) * u128::from(mark))
    }
}
