//! Applies the configuration again whenever its files change.
//!
//! In: the files. Out: revisions on the bus; errors on the screen, while the one
//! before stays in force.

use std::path::Path;
use std::time::Duration;

use ferry_bus::JetStream;
use ferry_config::{Config, Diagnostic, Loaded, load};
use tokio::time::sleep;

use super::said::Said;
use crate::commands::config::summary;
use crate::operator::apply;

/// Between two looks. The files are small, and who saved one waits a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Follows the files for ever. Reading all of them each time sees every change:
/// a file's time may stay the same, and files come and go.
pub async fn files(path: &Path, loaded: &Loaded, bus: &JetStream, said: &Said) {
    let started_with = loaded.config.clone();
    let mut in_force = loaded.config.clone();
    let mut told: Vec<Diagnostic> = Vec::new();
    let mut not_applied = String::new();
    loop {
        sleep(LOOK_EVERY).await;
        let at = path.to_owned();
        // Off the runtime's threads: ten thousand bases take a moment.
        let Ok(found) = tokio::task::spawn_blocking(move || load(&at)).await else {
            continue;
        };
        match found {
            Ok(found) => {
                told.clear();
                if found.config == in_force {
                    continue;
                }
                for warning in &found.warnings {
                    said.bad(&warning.to_string());
                }
                match apply(bus, &found.config).await {
                    Ok(_) => {
                        said.line(&changed(&found.config));
                        say_what_waits(&started_with, &found.config, said);
                        in_force = found.config;
                        not_applied.clear();
                    }
                    Err(error) => {
                        let why = format!("the configuration is not applied yet: {error:#}");
                        if why != not_applied {
                            said.bad(&why);
                            not_applied = why;
                        }
                    }
                }
            }
            Err(found) if found == told => {}
            Err(found) => {
                for error in &found {
                    said.bad(&error.to_string());
                }
                said.bad("the configuration has errors; the one before stays in force");
                told = found;
            }
        }
    }
}

fn changed(config: &Config) -> String {
    format!(
        "configuration {} is in force: {}",
        &config.revision_digest()[..12],
        summary(config)
    )
}

/// Addresses that are listened on are taken at a start.
fn say_what_waits(before: &Config, now: &Config, said: &Said) {
    let keys = [
        ("[bus] url", before.bus.url != now.bus.url),
        (
            "[gateway] listen",
            before.gateway.listen != now.gateway.listen,
        ),
        (
            "[installer] listen",
            before.installer.listen != now.installer.listen,
        ),
    ];
    for (key, _) in keys.iter().filter(|(_, differs)| *differs) {
        said.bad(&format!(
            "{key} changed: it counts from the next start of `ferry up`"
        ));
    }
}
