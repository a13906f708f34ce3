//! Trying again, for a bounded time.
//!
//! In: something to ask, and which errors may pass. Out: the first answer, or the last error. Pauses grow
//! and are jittered, so that a whole wave does not come back at once. Time is tokio's, so that a
//! simulation can bend it.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};
use tokio::time::Instant;

/// How long a base or the store may be silent before a task gives up: a restart of a small JVM takes about
/// as long, and a rollout that waits longer is of no use to whoever watches it.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// Patience that runs out after a time without an answer.
pub(super) struct Patience {
    limit: Duration,
    pauses: ExponentialBackoff,
    since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        let pauses = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(50))
            .with_max_interval(Duration::from_secs(1))
            .with_max_elapsed_time(None)
            .build();
        Self {
            limit,
            pauses,
            since: None,
        }
    }

    /// There was an answer.
    pub(super) fn renew(&mut self) {
        self.since = None;
        self.pauses.reset();
    }

    /// The pause before the next attempt; none: enough.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.limit {
            return None;
        }
        self.pauses.next_backoff()
    }
}

/// Asks until there is an answer, or an error that does not pass, or patience runs out.
pub(super) async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    limit: Duration,
    passes: impl Fn(&E) -> bool,
    mut ask: impl FnMut() -> F,
) -> Result<T, E> {
    let mut patience = Patience::new(limit);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => match patience.pause().filter(|_| passes(&error)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}
