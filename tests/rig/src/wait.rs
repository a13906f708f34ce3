//! Waits for a state, with a deadline.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Between two looks: short against what is waited for (a process, a reply),
/// long enough to leave the processor to it.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it wants, or fails, or `limit` is over.
///
/// `what` ends the sentence "waited 5s for …". `look` returns `Ok(None)` to be
/// asked again.
///
/// # Errors
/// At the limit, and whenever `look` fails.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} for {what}, in vain");
        }
        sleep(LOOK_EVERY).await;
    }
}
