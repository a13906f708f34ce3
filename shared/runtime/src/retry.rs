//! Trying again: which failures pass, how often to try, for how long, and with which pauses.
//!
//! In: a [`Policy`] and the name of what is tried. Out: pauses that grow and differ from name to name,
//! so that a whole wave does not come back at once, and that are the same in a replay. Time is tokio's
//! or the caller's, so that a simulation can bend it. The only place that uses `backoff`.

use std::time::Duration;

use backoff::{ExponentialBackoffBuilder, backoff::Backoff};
use ferry_events::{Reason, Stop, ids};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Why work has no result, classed once, where the failure arises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The cause may pass by itself: it is tried again.
    Again(Stop),
    /// It stays until a person does something: it is given up.
    GiveUp(Stop),
    /// Ferry did what it should not: it is given up, and to be reported.
    OurFault(String),
}

impl Failure {
    /// The stop for people.
    pub fn into_stop(self) -> Stop {
        match self {
            Self::Again(stop) | Self::GiveUp(stop) => stop,
            Self::OurFault(detail) => Stop::new(Reason::OurFault, detail),
        }
    }
}

/// What is not known to pass stays.
impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::GiveUp(stop)
    }
}

/// How patiently something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts, the first included.
    pub tries: u32,
    /// The time after the first failure within which the last attempt begins.
    pub time: Duration,
    /// The pause after the first failure; each one after is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Policy {
    /// About a minute and a half: longer than a server's restart takes, short enough that somebody who
    /// watches a run learns why it stopped.
    fn default() -> Self {
        Self {
            tries: 8,
            time: Duration::from_secs(5 * 60),
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

/// Pauses no longer grow after so many doublings, whatever the policy.
const DOUBLINGS: u32 = 40;

impl Policy {
    /// The pause after the attempt number `tries` failed, up to a quarter shorter or longer than the
    /// doubled one. None: it was the last one.
    pub fn pause(&self, name: &str, tries: u32) -> Option<Duration> {
        if tries >= self.tries {
            return None;
        }
        let mut pauses = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.first)
            .with_multiplier(2.0)
            // Chance would make a replay differ.
            .with_randomization_factor(0.0)
            .with_max_interval(self.longest)
            .with_max_elapsed_time(None)
            .build();
        let mut pause = self.first;
        for _ in 0..tries.clamp(1, DOUBLINGS) {
            pause = pauses.next_backoff()?;
        }
        let hash = ids::derive("retry", &[name, &tries.to_string()]).as_u128();
        let share = u32::try_from(hash % 501).unwrap_or_default() + 750;
        Some(
            Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
                .saturating_mul(share)
                / 1000,
        )
    }

    /// The same, `since` after the first failure: none too when the next attempt would come too late.
    pub fn pause_after(&self, name: &str, tries: u32, since: Duration) -> Option<Duration> {
        self.pause(name, tries)
            .filter(|pause| since.saturating_add(*pause) <= self.time)
    }
}

/// A retry as an aggregate's record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Names the work; a retry of other work does not count.
    pub of: String,
    /// Attempts that failed.
    pub tries: u32,
    /// How often the work was begun, by whomever and however it ended.
    pub begun: u32,
    /// When the first one failed.
    pub first_at: ferry_events::Timestamp,
    /// When the next one begins.
    pub next_at: ferry_events::Timestamp,
    /// Why the last one failed.
    pub stop: Stop,
}

/// Patience with something that is tried in place.
#[derive(Clone, Debug)]
pub struct Patience {
    policy: Policy,
    name: String,
    tries: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Patience with what has this name.
    pub fn new(policy: Policy, name: impl Into<String>) -> Self {
        Self {
            policy,
            name: name.into(),
            tries: 0,
            since: None,
        }
    }

    /// There was an answer.
    pub fn renew(&mut self) {
        (self.tries, self.since) = (0, None);
    }

    /// The pause before the next attempt; none: enough.
    pub fn pause(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.tries = self.tries.saturating_add(1);
        self.policy
            .pause_after(&self.name, self.tries, since.elapsed())
    }
}

/// Asks until there is an answer, or an error that does not pass, or patience runs out.
///
/// # Errors
/// The last one.
pub async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    policy: Policy,
    name: &str,
    passes: impl Fn(&E) -> bool,
    mut ask: impl FnMut() -> F,
) -> Result<T, E> {
    let mut patience = Patience::new(policy, name);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !passes(&error) => return Err(error),
            Err(error) => match patience.pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_differ_by_name_and_come_again_the_same() {
        let policy = Policy::default();
        let all = |name: &str| -> Vec<Duration> {
            (1..).map_while(|tries| policy.pause(name, tries)).collect()
        };
        let one = all("builder/build.1");
        assert_eq!(one.len(), 7, "eight tries have seven pauses");
        assert_eq!(one, all("builder/build.1"));
        assert_ne!(one, all("builder/build.2"));
        for (index, pause) in one.iter().enumerate() {
            let doubled = policy.first * 2u32.pow(u32::try_from(index).unwrap());
            let middle = doubled.min(policy.longest);
            assert!(*pause >= middle * 3 / 4 && *pause <= middle * 5 / 4);
        }
    }

    #[test]
    fn time_ends_it_too() {
        let policy = Policy {
            time: Duration::from_secs(2),
            ..Policy::default()
        };
        assert!(policy.pause_after("x", 1, Duration::ZERO).is_some());
        assert!(policy.pause_after("x", 2, Duration::from_secs(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_ends_at_once() {
        let mut asked = 0;
        let answer: Result<(), &str> = patiently(
            Policy::default(),
            "x",
            |error| *error != "no",
            || {
                asked += 1;
                std::future::ready(Err(if asked < 3 { "busy" } else { "no" }))
            },
        )
        .await;
        assert_eq!((answer, asked), (Err("no"), 3));
    }
}
