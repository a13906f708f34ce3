//! `ferry pushes show`, and the line that begins a watched run.
//!
//! In: a push. Out: text.

use ferry_api::{PushState, PushView};
use ferry_events::Timestamp;

use super::event::line;
use super::run::{retry, stop};
use super::text::{LINE_MAX, age, clean, count, elapsed, moment, one_line, short};
use super::{Paint, Tone};

/// What is known of a push.
pub fn push(push: &PushView, now: Timestamp, paint: Paint) -> String {
    let mut lines = vec![
        format!("{} {}", paint.strong("push"), push.id),
        format!(
            "  {}",
            push_words(
                &push.branch,
                &push.repository,
                &push.after,
                push.author.as_deref(),
                push.message.as_deref()
            )
        ),
        format!(
            "  from {} at {} ({})",
            clean(&push.forge),
            moment(push.received_at),
            age(now, push.received_at)
        ),
    ];
    if push.forced {
        lines.push("  the forge says that history was rewritten".to_owned());
    }
    lines.push(match push.state {
        PushState::Inbox => {
            "  in the gateway's inbox: the bus does not answer yet; it follows by itself".to_owned()
        }
        PushState::Received => "  on the bus: git is being asked what it moved".to_owned(),
        PushState::Resolved => {
            format!(
                "  resolved: {}",
                one_line(push.why.as_deref().unwrap_or("done"), LINE_MAX)
            )
        }
    });
    if let Some(it) = &push.retry {
        lines.push(format!("  {}", retry(it, now)));
    }
    if !push.runs.is_empty() {
        lines.push(format!("  {}:", count(push.runs.len(), "run")));
        lines.extend(
            push.runs
                .iter()
                .map(|run| format!("    {} of {}", run.run, run.module)),
        );
    }
    if let Some(why) = &push.stop {
        lines.push(stop(why, paint));
    }
    lines.join("\n")
}

/// The first line of a watched run.
pub fn push_line(began: Timestamp, push: &PushView, paint: Paint) -> String {
    let words = push_words(
        &push.branch,
        &push.repository,
        &push.after,
        push.author.as_deref(),
        push.message.as_deref(),
    );
    line(
        paint,
        &elapsed(began, push.received_at),
        "gateway",
        &words,
        Tone::Plain,
    )
}

/// A push in a sentence.
pub(super) fn push_words(
    branch: &str,
    repository: &str,
    after: &str,
    author: Option<&str>,
    message: Option<&str>,
) -> String {
    let mut words = format!(
        "push to {} of {repository} at {}",
        clean(branch),
        short(after)
    );
    if let Some(author) = author {
        words.push_str(&format!(" by {}", one_line(author, 40)));
    }
    if let Some(message) = message {
        words.push_str(&format!(": {}", one_line(message, 72)));
    }
    words
}
