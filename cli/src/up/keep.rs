//! Keeps a process running: one that dies is started again.
//!
//! In: how to start it. Out: whether it ended in time when it was asked to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::said::Said;

/// First pause before a process is started again; it doubles up to [`PAUSE_MOST`].
/// A crash costs little, a crash loop no more than a start each so often.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(10);

/// A process that ran for so long did not die of its start: the pauses begin anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// How a process is started; each time anew.
pub type Start = Arc<dyn Fn() -> Result<Child> + Send + Sync>;

/// Keeps a process running until `ends`. `first` runs already, where it does.
pub async fn keep(
    name: &str,
    first: Option<Child>,
    start: Start,
    ends: CancellationToken,
    end_within: Duration,
    said: Said,
) -> bool {
    let mut pause = PAUSE_FIRST;
    let mut next = first;
    loop {
        let began = Instant::now();
        let started = next.take().map_or_else(|| start(), Ok);
        let why = match started {
            Ok(mut child) => {
                let ended = tokio::select! {
                biased;
                                    ended = child.wait() => ended,
                                    () = ends.cancelled() => {
                                        let in_time = child.end(end_within).await;
                                        if !in_time {
                                            said.bad(&format!("{name} did not end within {end_within:?} and was killed"));
                                        }
                                        return in_time;
                                    }
                                };
                match ended {
                    // Who is killed has no last words: the log's end is older.
                    Ok(status) if status.code().is_none() => format!("{name} ended ({status})"),
                    Ok(status) => format!(
                        "{name} ended ({status}): {} ({})",
                        child.last_words(),
                        child.log().display()
                    ),
                    Err(error) => format!("{name} cannot be waited for: {error}"),
                }
            }
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() >= STEADY_AFTER {
            pause = PAUSE_FIRST;
        }
        said.bad(&format!("{why}; it starts again in {pause:?}"));
        tokio::select! {
        biased;
                    () = sleep(pause) => {}
                    () = ends.cancelled() => return true,
                }
        pause = (pause * 2).min(PAUSE_MOST);
    }
}
