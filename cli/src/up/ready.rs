//! Whether everything is ready, and what a person needs to know then.
//!
//! In: where each service tells. Out: silence until all are ready, words where
//! one is slow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ferry_api::Ready;
use ferry_config::Config;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::said::Said;
use super::services::{State, gateway_here};
use crate::data::Data;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long one look may take: they answer from memory.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// A start takes well under a second; after this a person wants to know why not.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// Waits until every service is ready; says what is missing when that takes long,
/// and again when that changes.
pub async fn wait(states: &[State], said: &Said) {
    let http = reqwest::Client::builder()
        .timeout(LOOK_WITHIN)
        .build()
        .unwrap_or_default();
    let began = Instant::now();
    let mut told = BTreeMap::new();
    loop {
        let looks = states.iter().map(|state| look(&http, state));
        let missing: BTreeMap<&str, String> = futures::future::join_all(looks)
            .await
            .into_iter()
            .flatten()
            .collect();
        if missing.is_empty() {
            return;
        }
        if began.elapsed() >= SLOW_AFTER && missing != told {
            for (name, why) in &missing {
                said.bad(&format!("waiting for the {name}: {why}"));
            }
            told = missing;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A service that is not ready says why in one of two ways.
#[derive(Deserialize)]
struct Why {
    why: Option<String>,
}

/// Nothing when it is ready.
async fn look(http: &reqwest::Client, (service, state): &State) -> Option<(&'static str, String)> {
    let url = state.borrow().clone();
    let why = match url {
        None => "it has not started".to_owned(),
        Some(url) => match http.get(url).send().await {
            Err(_) => "it does not answer yet".to_owned(),
            Ok(answer) if answer.status().is_success() => return None,
            Ok(answer) => words(&answer.bytes().await.unwrap_or_default()),
        },
    };
    Some((service.name(), why))
}

fn words(body: &[u8]) -> String {
    if let Ok(ready) = serde_json::from_slice::<Ready>(body) {
        let failed: Vec<String> = ready
            .checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| format!("{}: {}", check.name, check.detail))
            .collect();
        return failed.join("; ");
    }
    let why = serde_json::from_slice::<Why>(body)
        .ok()
        .and_then(|it| it.why);
    why.unwrap_or_else(|| "it is not ready".to_owned())
}

/// What a person needs to know.
pub fn addresses(config: &Config, bus: &str, data: &Data) -> String {
    let public = config.gateway.public_url();
    let forges: BTreeSet<&str> = config
        .repositories
        .values()
        .map(|repository| repository.forge.as_str())
        .collect();
    let mut lines = vec!["ferry is up".to_owned()];
    lines.push(format!("  API     {}", gateway_here(&config.gateway)));
    lines.extend(
        forges
            .iter()
            .map(|forge| format!("  hooks   {public}hooks/{forge}")),
    );
    lines.push(format!("  bus     {bus}"));
    lines.push(format!("  logs    {}", data.logs().display()));
    let token = data.token();
    if token.is_file() {
        lines.push(format!("  token   {}", token.display()));
    } else if config.tokens.is_empty() {
        lines.push("  token   none: `ferry token new admin --role admin` makes one".to_owned());
    }
    lines.push(format!("  next    {}", next(config)));
    lines.join("\n")
}

fn next(config: &Config) -> &'static str {
    if config.modules.is_empty() {
        "add a module to ferry.toml"
    } else {
        "ferry status"
    }
}
