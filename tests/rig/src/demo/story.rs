//! The five pushes, and what is expected of each.
//!
//! In: running parts. Out: what became of each push.

use anyhow::Result;
use ferry_api::{DeployQuery, EnvironmentState, RunState, RunView};
use ferry_cli::screen::{short, took};
use ferry_events::Reason;

use super::checks::Checks;
use super::follow::{Cause, Ended, SILENCE, clock, follow};
use super::parts::Parts;
use super::{MODULE, PATH, jars};
use crate::git::Push;
use crate::maven;
use crate::screen::Screen;

const ONE: &str = "hello, version one";
const TWO: &str = "hello, version two";

/// One push of the story.
struct Chapter {
    /// The folder in `demo/hello-changes`; none for the first.
    change: Option<&'static str>,
    title: &'static str,
    message: &'static str,
    end: End,
}

/// How it is expected to end.
enum End {
    /// Every base answers with this.
    Live(&'static str),
    /// It stops for this reason, its cause says this, and version two stays.
    Stops(Reason, &'static str),
}

const STORY: [Chapter; 5] = [
    Chapter {
        change: None,
        title: "a first version",
        message: "Add the module",
        end: End::Live(ONE),
    },
    Chapter {
        change: Some("version-two"),
        title: "version two replaces it",
        message: "Say version two",
        end: End::Live(TWO),
    },
    Chapter {
        change: Some("does-not-compile"),
        title: "one that does not compile",
        message: "Greet by name",
        end: End::Stops(Reason::DoesNotCompile, "greeting"),
    },
    Chapter {
        change: Some("context-fails"),
        title: "one whose Spring context fails",
        message: "Read prices",
        end: End::Stops(
            Reason::InstallFailed,
            "the price list is empty: PRICES_FILE is not set",
        ),
    },
    Chapter {
        change: Some("answers-500"),
        title: "one that starts, and answers 500",
        message: "Ask another service",
        end: End::Stops(Reason::ProbeFailed, "500"),
    },
];

/// What became of a push, for the summary.
#[derive(Debug)]
pub(super) struct Told {
    pub title: &'static str,
    pub ended: Ended,
    /// What every base answered afterwards; several where they differ.
    pub answers: Vec<String>,
}

pub(super) async fn tell(parts: &Parts, screen: &Screen, checks: &mut Checks) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    let mut good = parts.first.after.clone();
    for (number, chapter) in STORY.iter().enumerate() {
        let title = format!("{} of {}: {}", number + 1, STORY.len(), chapter.title);
        screen.title(&title);
        checks.about(&title);
        if !parts.builds && matches!(chapter.end, End::Stops(Reason::DoesNotCompile, _)) {
            screen.loud("left out: nothing is compiled without Maven");
            checks.leave_out(&title);
            continue;
        }
        let (began, cause) = if parts.builds {
            let push = push(parts, chapter, &good).await?;
            screen.line(&format!(
                "git push: {} {}; the forge tells the gateway, signed",
                short(&push.after),
                chapter.message
            ));
            if matches!(chapter.end, End::Live(_)) {
                good.clone_from(&push.after);
            }
            let began = clock();
            (began, Cause::Push(parts.stack.deliver(&push).await?))
        } else {
            screen.line(&format!(
                "ferry deploy {MODULE} --jar …: {}",
                chapter.message
            ));
            (clock(), deploy(parts, chapter).await?)
        };
        let ended = follow(&mut *parts.events.lock().await, cause, began, screen).await?;
        // The gateway's view may be a moment behind the bus that told of the end.
        let view = parts.stack.wait_run(ended.run, SILENCE).await?;
        screen.line("");
        let answers = judge(parts, chapter, &ended, &view, checks).await;
        told.push(Told {
            title: chapter.title,
            ended,
            answers,
        });
    }
    Ok(told)
}

/// Commits the change on top of the last version that went live, as a person does
/// who mends what was broken and goes on.
async fn push(parts: &Parts, chapter: &Chapter, good: &str) -> Result<Push> {
    let Some(change) = chapter.change else {
        return Ok(parts.first.clone());
    };
    let repository = &parts.repository;
    repository.files_of(good).await?;
    if parts.simulated {
        jars::tell(repository.work(), Some(change))?;
    }
    repository
        .commit_folder(&maven::change_dir(change), chapter.message)
        .await
}

async fn deploy(parts: &Parts, chapter: &Chapter) -> Result<Cause> {
    let jar = jars::jar(chapter.change)?;
    let size = jar.len() as u64;
    let query = DeployQuery {
        commit: None,
        force: false,
        why: Some(chapter.message.to_owned()),
    };
    let answer = parts
        .stack
        .client()
        .deploy(MODULE, jar, size, &query)
        .await?;
    Ok(Cause::Command(answer.id))
}

async fn judge(
    parts: &Parts,
    chapter: &Chapter,
    ended: &Ended,
    view: &RunView,
    checks: &mut Checks,
) -> Vec<String> {
    let state = view.summary.state;
    match &chapter.end {
        End::Live(text) => {
            let took = ended.answered.map(took).unwrap_or_default();
            let live = state == RunState::Succeeded;
            checks.expect(
                live,
                "the run succeeded",
                &format!("answering everywhere after {took}"),
            );
            if chapter.change.is_some() {
                let note = view.version.clone().unwrap_or_default();
                checks.expect(replaced(view), "it is verified in both environments", &note);
            }
            ask(parts, text, checks).await
        }
        End::Stops(reason, cause) => {
            checks.expect(state == RunState::Failed, "the run stopped", state.as_str());
            let stop = ended.finished.stop.as_ref();
            let code = stop.map(|stop| stop.reason.code()).unwrap_or("no reason");
            let right = stop.is_some_and(|stop| stop.reason == *reason);
            checks.expect(right, &format!("its reason is {reason}"), code);
            let detail = stop.map(|stop| stop.detail.as_str()).unwrap_or_default();
            let line = detail
                .lines()
                .find(|line| line.contains(cause))
                .map(str::trim);
            checks.expect(line.is_some(), "its cause is told", line.unwrap_or(detail));
            did(parts, *reason, ended, view, checks);
            ask(parts, TWO, checks).await
        }
    }
}

fn replaced(view: &RunView) -> bool {
    view.environments.len() == 2
        && view
            .environments
            .iter()
            .all(|it| it.state == EnvironmentState::Verified)
}

/// What Ferry did about it: nothing was touched, or the first base got its version
/// back; production was not touched at all.
fn did(parts: &Parts, reason: Reason, ended: &Ended, view: &RunView, checks: &mut Checks) {
    let production: Vec<&str> = parts.bases.iter().skip(1).map(|base| base.name()).collect();
    let spared = ended
        .changed
        .iter()
        .all(|base| !production.contains(&base.as_str()));
    checks.expect(spared, "no base of prod was touched", "");
    let pre = view.environments.iter().find(|it| it.name == "pre");
    let state = pre.map(|it| it.state);
    let found = pre.and_then(|it| it.live.clone()).unwrap_or_default();
    if reason == Reason::DoesNotCompile {
        checks.expect(ended.changed.is_empty(), "no base was touched at all", "");
    } else {
        let back = state == Some(EnvironmentState::RolledBack);
        checks.expect(back, "Ferry brought back what pre had", &found);
    }
}

/// Really asks every base.
async fn ask(parts: &Parts, wanted: &str, checks: &mut Checks) -> Vec<String> {
    let mut answers = Vec::new();
    for base in &parts.bases {
        let what = format!("{} answers \"{wanted}\"", base.name());
        let url = format!("GET {}{PATH}", base.http_url());
        match base.get(PATH).await {
            Ok((status, body)) => {
                let body = body.trim();
                let answer = format!("{status} {body}");
                checks.expect(
                    status == 200 && body == wanted,
                    &what,
                    &format!("{url} → {answer}"),
                );
                answers.push(answer);
            }
            Err(error) => {
                checks.expect(false, &what, &format!("{url}: {error:#}"));
                answers.push("no answer".to_owned());
            }
        }
    }
    answers.sort();
    answers.dedup();
    answers
}
