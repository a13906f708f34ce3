//! `ferry can`: yes or no, and where that comes from.
//!
//! In: the gateway's answer. Out: text.

use ferry_api::{CanView, GrantView};

use super::Paint;
use super::text::clean;

/// The answer.
pub fn can(view: &CanView, paint: Paint) -> String {
    let what = format!(
        "{} {} in {}",
        view.action,
        clean(&view.module),
        clean(&view.environment)
    );
    let token = clean(&view.token);
    let mut lines = vec![if view.allowed {
        paint.good(&format!("yes: token {token} may {what}"))
    } else {
        paint.bad(&format!("no: token {token} may not {what}"))
    }];
    if view.missing_in.is_empty() {
        lines.extend(view.by.iter().map(grant));
    } else {
        let places = list(&view.needed_in);
        let through = match view.needed_in.len() {
            1 => "",
            _ => ", since a run goes through each of them",
        };
        lines.push(format!(
            "it takes the role {} on {} in {places}{through}; there is no grant for it in {}",
            view.role,
            clean(&view.module),
            list(&view.missing_in)
        ));
    }
    if let Some(approvers) = &view.approvers {
        let environment = clean(&view.environment);
        lines.push(match approvers.as_slice() {
            [] => format!("nobody may approve in {environment}: its `by` leads to no token"),
            names => format!("only {} may approve in {environment}", list(names)),
        });
    }
    if view.not_author {
        lines.push("whoever wrote the change, or asked for the run, may not".to_owned());
    }
    if let Some(who) = &view.who {
        let names = match who.as_slice() {
            [] => "no token".to_owned(),
            names => list(names),
        };
        lines.push(format!("who may: {names}"));
    }
    lines.join("\n  ")
}

fn grant(grant: &GrantView) -> String {
    format!(
        "by grants[{}]: role {}, modules {}, environments {}",
        grant.index,
        grant.role,
        list(&grant.modules),
        list(&grant.environments)
    )
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| clean(name)).collect();
    names.join(", ")
}
