//! What simulated bases are told of a module, because they cannot run it.
//!
//! In: the name of a change. Out: the file in the sources, or a whole jar.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ferry_fake_base::jar::BEHAVIOUR_PATH;
use ferry_fake_base::{Answer, Behaviour, FakeJar};

use super::MODULE;

/// Puts the file that a simulated base reads into the module's resources.
pub(super) fn tell(sources: &Path, change: Option<&str>) -> Result<()> {
    let file = sources
        .join("src")
        .join("main")
        .join("resources")
        .join(BEHAVIOUR_PATH);
    let text = serde_json::to_string_pretty(&behaviour(change)?)?;
    fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// The jar that a build would make, for a base that is simulated too.
pub(super) fn jar(change: Option<&str>) -> Result<Vec<u8>> {
    Ok(FakeJar::new(MODULE, "1.0.0")
        .web(MODULE)
        .behaves(behaviour(change)?)
        .bytes())
}

/// What the sources of `demo/` do when they run.
fn behaviour(change: Option<&str>) -> Result<Behaviour> {
    let answers = |status: u16, body: &str| Behaviour {
        answers: [(
            "/".to_owned(),
            Answer {
                status,
                body: body.to_owned(),
                delay_ms: 0,
            },
        )]
        .into(),
        ..Behaviour::default()
    };
    Ok(match change {
        None => answers(200, "hello, version one\n"),
        Some("version-two") => answers(200, "hello, version two\n"),
        // It never runs.
        Some("does-not-compile") => Behaviour::default(),
        Some("context-fails") => Behaviour {
            start_fails: Some(
                "java.lang.IllegalStateException: the price list is empty: PRICES_FILE is not set"
                    .to_owned(),
            ),
            ..Behaviour::default()
        },
        Some("answers-500") => answers(
            500,
            "{\"status\":500,\"error\":\"Internal Server Error\",\"path\":\"/hello/\"}",
        ),
        Some(other) => bail!("a simulated base cannot be told of {other}"),
    })
}
