//! How long a base may be silent.
//!
//! In: a limit. Out: the runtime's patience with it. A rollout that waits longer for a base is of no use
//! to whoever watches it, so this is no retry of the task: that would be a new attempt on the base.

use std::time::Duration;

use ferry_runtime::{
    Policy,
    retry::{self, Patience},
};

/// How long a base or the store may be silent before a task gives up: a restart of a small JVM takes about
/// as long, and a rollout that waits longer is of no use to whoever watches it.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);

fn policy(limit: Duration) -> Policy {
    Policy {
        tries: u32::MAX,
        time: limit,
        first: Duration::from_millis(50),
        longest: Duration::from_secs(1),
    }
}

/// Patience that runs out after a time without an answer.
pub(super) fn patience(limit: Duration, base: &str) -> Patience {
    Patience::new(policy(limit), base)
}

/// Asks a base until it answers, or patience runs out.
pub(super) async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    limit: Duration,
    base: &str,
    ask: impl FnMut() -> F,
) -> Result<T, E> {
    retry::patiently(policy(limit), base, |_| true, ask).await
}
