//! Who may see and do what.
//!
//! In: the configuration, a bearer token, an event or a wish. Out: the caller,
//! yes or no. The explanation of a yes or no is in `can.rs`.

use ferry_api::{LetterSummary, Stretch};
use ferry_config::{Config, Role, Scope, Token};
use ferry_events::{Body, Event};
use subtle::ConstantTimeEq as _;

/// A caller of the API: a token of the configuration.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's name: the author of what is done with it.
    pub name: String,
    token: Token,
}

/// The caller whose token this is. Every token is compared whole, by its hash
/// and in constant time.
#[must_use]
pub fn caller(config: &Config, bearer: &str) -> Option<Caller> {
    let hash = ferry_config::hash_token(bearer);
    let mut found = None;
    for (name, token) in &config.tokens {
        if token.hash.as_bytes().ct_eq(hash.as_bytes()).into() {
            found = Some(Caller {
                name: name.clone(),
                token: token.clone(),
            });
        }
    }
    found
}

/// Whether a caller's token still is as it was when it came.
#[must_use]
pub fn still_there(config: &Config, caller: &Caller) -> bool {
    config.tokens.get(&caller.name) == Some(&caller.token)
}

impl Caller {
    /// Its own token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whether it has every right on a module in an environment.
    #[must_use]
    pub fn administers(&self, module: &str, environment: &str) -> bool {
        self.token
            .allows(Role::Admin, Scope::One(module), Scope::One(environment))
    }

    /// Whether it may see a module.
    #[must_use]
    pub fn sees_module(&self, module: &str) -> bool {
        self.token
            .allows(Role::View, Scope::One(module), Scope::Any)
    }

    /// Whether it may see what happens in an environment, of no module.
    #[must_use]
    pub fn sees_environment(&self, environment: &str) -> bool {
        self.token
            .allows(Role::View, Scope::Any, Scope::One(environment))
    }

    /// Whether it may see a repository's pushes: those of any module that it sees.
    #[must_use]
    pub fn sees_repository(&self, config: &Config, repository: &str) -> bool {
        let modules = config.modules_of_repository(repository);
        modules.iter().any(|(module, _)| self.sees_module(module))
    }

    /// Whether it may see an event.
    #[must_use]
    pub fn sees(&self, config: &Config, event: &Event) -> bool {
        match &event.body {
            Body::PushReceived(it) => self.sees_repository(config, &it.repository),
            Body::PushResolved(it) => self.sees_repository(config, &it.repository),
            _ => {
                let one = |name| Option::<&str>::map_or(name, Scope::Any, Scope::One);
                let (module, environment) = (&event.scope.module, &event.scope.environment);
                let scopes = (one(module.as_deref()), one(environment.as_deref()));
                self.token.allows(Role::View, scopes.0, scopes.1)
            }
        }
    }

    /// Whether it may operate a module in an environment.
    #[must_use]
    pub fn operates(&self, module: &str, environment: &str) -> bool {
        self.token
            .allows(Role::Operate, Scope::One(module), Scope::One(environment))
    }

    /// Whether it may let a rollout of a module in an environment go on.
    #[must_use]
    pub fn approves(&self, module: &str, environment: &str) -> bool {
        self.token
            .allows(Role::Approve, Scope::One(module), Scope::One(environment))
    }

    /// Whether it may see that something is paused.
    #[must_use]
    pub fn sees_stretch(&self, stretch: &Stretch) -> bool {
        match stretch {
            Stretch::Everything => true,
            Stretch::Environment(name)
            | Stretch::Base {
                environment: name, ..
            } => self.sees_environment(name),
            Stretch::Module(module) | Stretch::Run { module, .. } => self.sees_module(module),
        }
    }

    /// Holds it to what it may pause, resume and abort. `through` are the environments that a run has
    /// to go through.
    ///
    /// # Errors
    /// On what it needs the role `operate`, in words.
    pub fn operates_stretch(
        &self,
        config: &Config,
        stretch: &Stretch,
        through: &[String],
    ) -> Result<(), String> {
        match stretch {
            Stretch::Everything if !self.may_operate(Scope::All, Scope::All) => {
                Err("every module (\"*\") in every environment (\"*\")".to_owned())
            }
            Stretch::Environment(name) if !self.may_operate(Scope::All, Scope::One(name)) => {
                Err(format!("every module (\"*\") in {name}"))
            }
            Stretch::Everything | Stretch::Environment(_) => Ok(()),
            Stretch::Base { base, environment } => self.operates_base(config, base, environment),
            Stretch::Run { module, .. } if !through.is_empty() => {
                let through: Vec<&str> = through.iter().map(String::as_str).collect();
                self.operates_in_all(module, &through)
            }
            Stretch::Module(module) | Stretch::Run { module, .. } => {
                self.operates_in_all(module, &config.environments_of_module(module))
            }
        }
    }

    /// Holds it to every module that goes to a base; without any, to all that may come.
    fn operates_base(&self, config: &Config, base: &str, environment: &str) -> Result<(), String> {
        let pool = config.base(base).map(|(pool, _)| pool);
        let mut there = config.modules.keys().filter(|module| {
            let pools = config.pools_of_module(module);
            pools.iter().any(|(name, _)| Some(*name) == pool)
        });
        if there.clone().next().is_none() && !self.may_operate(Scope::All, Scope::One(environment))
        {
            return Err(format!("every module (\"*\") in {environment}"));
        }
        match there.find(|module| !self.operates(module, environment)) {
            Some(module) => Err(format!(
                "module {module} in {environment}, which goes to {base}"
            )),
            None => Ok(()),
        }
    }

    fn may_operate(&self, modules: Scope<'_>, environments: Scope<'_>) -> bool {
        self.token.allows(Role::Operate, modules, environments)
    }

    /// Holds it to a module in these environments; without any, in those that may come.
    fn operates_in_all(&self, module: &str, environments: &[&str]) -> Result<(), String> {
        let lacking = environments.iter().find(|it| !self.operates(module, it));
        if let Some(environment) = lacking {
            return Err(format!("module {module} in {environment}"));
        }
        if environments.is_empty() && !self.may_operate(Scope::One(module), Scope::All) {
            return Err(format!("module {module} in every environment (\"*\")"));
        }
        Ok(())
    }

    /// Whether it may see a dead letter. One that is about no module is for whoever sees all.
    #[must_use]
    pub fn sees_letter(&self, letter: &LetterSummary) -> bool {
        let module = letter.module.as_deref().map_or(Scope::All, Scope::One);
        let environment = letter.environment.as_deref();
        let environment = environment.map_or(Scope::Any, Scope::One);
        self.token.allows(Role::View, module, environment)
    }

    /// Whether it may close a dead letter. What is about no environment may lead to each.
    #[must_use]
    pub fn operates_letter(&self, letter: &LetterSummary) -> bool {
        let module = letter.module.as_deref().map_or(Scope::All, Scope::One);
        let environment = letter.environment.as_deref();
        let environment = environment.map_or(Scope::All, Scope::One);
        self.token.allows(Role::Operate, module, environment)
    }

    /// The first environment of a module in which it may not operate. A run goes
    /// through all of them, and a base's build is slimmed against there, so whoever
    /// starts one must be free to in each; `*` where there is none.
    #[must_use]
    pub fn not_operating<'a>(&self, config: &'a Config, module: &str) -> Option<&'a str> {
        let environments = config.environments_of_run(module);
        if environments.is_empty() && !self.may_operate(Scope::One(module), Scope::All) {
            return Some("*");
        }
        environments
            .into_iter()
            .find(|environment| !self.operates(module, environment))
    }
}
