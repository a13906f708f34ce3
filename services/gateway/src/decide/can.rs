//! Whether a token may do something, and where that comes from.
//!
//! In: the configuration, a token, what is wanted. Out: [`CanView`].

use ferry_api::{Action, CanView, GrantView};
use ferry_config::{Approval, Config, Role, Scope, Token};

/// The role that an action takes.
#[must_use]
pub fn role(action: Action) -> Role {
    match action {
        Action::View => Role::View,
        Action::Run
        | Action::Deploy
        | Action::Rollback
        | Action::Pause
        | Action::Resume
        | Action::Abort
        | Action::Hold
        | Action::Release => Role::Operate,
        Action::Approve | Action::Promote => Role::Approve,
    }
}

/// Explains it. `tell_who`: whether the asker may know who else may.
#[must_use]
pub fn can(
    config: &Config,
    name: &str,
    token: &Token,
    (action, module, environment): (Action, &str, &str),
    tell_who: bool,
) -> CanView {
    let needed_in = needed_in(config, action, module, environment);
    let missing_in: Vec<String> = needed_in
        .iter()
        .filter(|it| !holds(token, action, module, it))
        .cloned()
        .collect();
    let approval = config
        .environments
        .get(environment)
        .and_then(|it| it.approval.as_ref())
        .filter(|_| action == Action::Approve);
    let approvers = approval
        .filter(|it| !it.by.is_empty())
        .map(|it| approvers(config, it));
    let is_named = |name: &String| approvers.as_ref().is_none_or(|it| it.contains(name));
    let allowed = missing_in.is_empty() && is_named(&name.to_owned());
    let who = tell_who.then(|| {
        let all = config.tokens.iter().filter(|(other, token)| {
            needed_in.iter().all(|it| holds(token, action, module, it)) && is_named(other)
        });
        all.map(|(other, _)| other.clone()).collect()
    });
    CanView {
        token: name.to_owned(),
        action,
        module: module.to_owned(),
        environment: environment.to_owned(),
        allowed,
        role: word(role(action)),
        by: grants(token, action, module, &needed_in),
        needed_in,
        missing_in,
        approvers,
        not_author: approval.is_some_and(|it| it.not_author),
        who,
    }
}

fn needed_in(config: &Config, action: Action, module: &str, environment: &str) -> Vec<String> {
    let all = config.environments_of_run(module);
    if action.goes_through_all() && all.contains(&environment) {
        return all.into_iter().map(ToOwned::to_owned).collect();
    }
    vec![environment.to_owned()]
}

fn holds(token: &Token, action: Action, module: &str, environment: &str) -> bool {
    token.allows(role(action), Scope::One(module), Scope::One(environment))
}

/// The grants that give it in one of the environments.
fn grants(token: &Token, action: Action, module: &str, needed_in: &[String]) -> Vec<GrantView> {
    let alone = |grant: &ferry_config::Grant| Token {
        hash: String::new(),
        grants: vec![grant.clone()],
    };
    let all = token.grants.iter().enumerate();
    all.filter(|(_, grant)| {
        let alone = alone(grant);
        needed_in.iter().any(|it| holds(&alone, action, module, it))
    })
    .map(|(index, grant)| GrantView {
        index,
        role: word(grant.role),
        modules: grant.modules.clone(),
        environments: grant.environments.clone(),
    })
    .collect()
}

/// The names of the tokens that an approval is for.
fn approvers(config: &Config, approval: &Approval) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for one in &approval.by {
        match one.strip_prefix("team:") {
            Some(team) => {
                let members = config.teams.get(team).map(|team| team.members.as_slice());
                names.extend(members.unwrap_or_default().iter().cloned());
            }
            None => names.push(one.clone()),
        }
    }
    names.sort();
    names.dedup();
    names
}

fn word(role: Role) -> String {
    match role {
        Role::View => "view",
        Role::Operate => "operate",
        Role::Approve => "approve",
        Role::Admin => "admin",
    }
    .to_owned()
}
