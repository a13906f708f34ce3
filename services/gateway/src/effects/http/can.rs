//! Whether somebody may do something, and by which grant.
//!
//! In: a caller, an action, a module, an environment. Out: the answer, with no more than the caller may
//! know.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use ferry_api::{CanQuery, CanView};

use super::body;
use super::commands::{in_one, not_granted};
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::decide::can;
use crate::effects::app::App;

pub(super) async fn look(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<CanView>, Refusal> {
    let ask: CanQuery = body::query(&uri)?;
    let mut config = app.config();
    if !caller.sees_module(&ask.module) {
        // It hears the same, be the module there or not.
        config = Arc::default();
    } else {
        if config.module(&ask.module).is_none() {
            return Err(Refusal::not_found("module", &ask.module));
        }
        if !config.environments.contains_key(&ask.environment) {
            return Err(Refusal::not_found("environment", &ask.environment));
        }
    }
    let admin = caller.administers(&ask.module, &ask.environment);
    let (name, token) = match &ask.token {
        Some(name) if *name != caller.name => {
            if !admin {
                let on = in_one(&ask.module, &ask.environment);
                return Err(not_granted(&caller, "admin", &on)
                    .next("ask without \"as\" what your own token may"));
            }
            let token = config.tokens.get(name);
            let token = token.ok_or_else(|| Refusal::not_found("token", name))?;
            (name.as_str(), token)
        }
        _ => (caller.name.as_str(), caller.token()),
    };
    let what = (ask.action, ask.module.as_str(), ask.environment.as_str());
    Ok(Json(can::can(&config, name, token, what, admin)))
}
