//! Looks at one module until it is well, or stays well, or time is up.
//!
//! In: a request and a deadline. Out: what was seen, with the revision before and after: where they differ
//! the one that was not asked about, so that the verdict counts as stale.

use std::time::Duration;

use ferry_config::{Base, Config};
use ferry_events::{
    Reason, Stop, Timestamp,
    base::ModuleOnBase,
    verify::{Answer, Requested},
};
use tokio::time::Instant;
use url::Url;

use super::{
    VerifierEffects,
    arklet::{Arklet, Silent},
    fact,
    probe::{Probed, probe},
};
use crate::decide::{Failure, Outcome, Well};

/// The shortest pause between two looks at a module that is not active yet.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// The longest.
const LOOK_LATE: Duration = Duration::from_millis(100);

/// A module on its base, as it can be looked at.
struct Target<'a> {
    arklet: Arklet,
    url: Url,
    requested: &'a Requested,
}

/// What one look at a module showed.
enum Look {
    Well(Option<Answer>),
    /// Not in the state that it must be in; which it is in.
    NotActive(String),
    /// It answered wrongly.
    Wrong(Answer, String),
    /// The module did not answer, though the base does.
    NoAnswer(String),
    /// The base did not answer.
    Silent(String),
}

impl VerifierEffects {
    fn target<'a>(&self, config: &Config, requested: &'a Requested) -> Result<Target<'a>, Stop> {
        let found: Option<(&str, &Base)> = config.base(&requested.base);
        let (_, base) = found.ok_or_else(|| {
            let why = format!("the configuration has no base {} any more", requested.base);
            Stop::new(Reason::BaseUnreachable, why)
        })?;
        let timeout = config.verifier.health_timeout;
        let arklet = Arklet::new(self.web.clone(), base.arklet.clone(), timeout);
        Ok(Target {
            arklet,
            url: base.url.clone(),
            requested,
        })
    }

    /// The state alone.
    async fn is_active(&self, target: &Target<'_>) -> Option<Look> {
        let modules = match target.arklet.modules().await {
            Ok(modules) => modules,
            Err(Silent(why)) => return Some(Look::Silent(why)),
        };
        let requested = target.requested;
        let shown: Vec<&ModuleOnBase> = modules
            .iter()
            .filter(|one| one.name == requested.biz)
            .collect();
        let right = match &requested.version {
            None => shown.is_empty(),
            Some(version) => shown
                .iter()
                .any(|one| one.version == *version && one.state == "activated"),
        };
        (!right).then(|| Look::NotActive(in_words(&shown)))
    }

    /// The answer alone; well without a probe, and for a module that must be gone.
    async fn answers(&self, target: &Target<'_>) -> Look {
        let wanted = target
            .requested
            .probe
            .as_ref()
            .filter(|_| target.requested.version.is_some());
        let Some(wanted) = wanted else {
            return Look::Well(None);
        };
        match probe(&*self.web, &target.url, wanted).await {
            Probed::Well(answer) => Look::Well(Some(answer)),
            Probed::Wrong(answer, why) => Look::Wrong(answer, why),
            Probed::None(why) => Look::NoAnswer(why),
        }
    }

    async fn look(&self, target: &Target<'_>) -> Look {
        match self.is_active(target).await {
            Some(look) => look,
            None => self.answers(target).await,
        }
    }

    /// What was seen, with the revision. `before` is the one that was read first.
    async fn tell(
        &self,
        requested: &Requested,
        before: u64,
        seen: Result<Option<Answer>, (Stop, Option<Answer>)>,
    ) -> Outcome {
        let after = fact::revision(&self.hands, requested).await;
        let revision = if before == requested.revision {
            after
        } else {
            before
        };
        match seen {
            Ok(answer) => Outcome::Well(Well { answer, revision }),
            Err((stop, answer)) => Outcome::Failed(Failure {
                stop,
                answer,
                revision,
            }),
        }
    }

    /// Waits until the module is as it must be and answers well once. The first probe goes out as soon as
    /// the base says that it is active.
    pub(super) async fn await_well(
        &self,
        config: &Config,
        requested: &Requested,
        until: Timestamp,
    ) -> Outcome {
        let before = fact::revision(&self.hands, requested).await;
        let target = match self.target(config, requested) {
            Ok(target) => target,
            Err(stop) => return self.tell(requested, before, Err((stop, None))).await,
        };
        let interval = requested
            .probe
            .as_ref()
            .map(|probe| Duration::from_millis(probe.interval_ms));
        let began = Instant::now();
        let mut last_answer = None;
        loop {
            let last = self.clock.now() >= until;
            let (stop, pause) = match self.look(&target).await {
                Look::Well(answer) => return self.tell(requested, before, Ok(answer)).await,
                look => {
                    let soon = (began.elapsed() / 20).clamp(LOOK_SOON, LOOK_LATE);
                    let asked = matches!(look, Look::Wrong(..) | Look::NoAnswer(_));
                    (
                        stop_of(look, requested, &mut last_answer),
                        interval.filter(|_| asked).unwrap_or(soon),
                    )
                }
            };
            if last {
                return self.tell(requested, before, Err((stop, last_answer))).await;
            }
            tokio::time::sleep(pause.min(self.left(until))).await;
        }
    }

    /// Sees that the module stays well until the end of its soak, with a last look after it. A wrong answer
    /// ends it at once; a missing one has to repeat itself as often as makes a base lost, because a pause for
    /// garbage collection is no failure.
    pub(super) async fn soak(
        &self,
        config: &Config,
        requested: &Requested,
        until: Timestamp,
    ) -> Outcome {
        let before = fact::revision(&self.hands, requested).await;
        let target = match self.target(config, requested) {
            Ok(target) => target,
            Err(stop) => return self.tell(requested, before, Err((stop, None))).await,
        };
        let poll = config.verifier.poll;
        let interval = requested
            .probe
            .as_ref()
            .map_or(poll, |probe| Duration::from_millis(probe.interval_ms));
        let mut state_due = Instant::now();
        let mut misses = 0;
        let mut answer = None;
        loop {
            let last = self.clock.now() >= until;
            let look = if last || Instant::now() >= state_due {
                state_due = Instant::now() + poll;
                self.look(&target).await
            } else {
                self.answers(&target).await
            };
            let failed = match look {
                Look::Well(it) => {
                    misses = 0;
                    answer = it.or(answer);
                    None
                }
                Look::Wrong(it, why) => {
                    answer = Some(it);
                    Some((Reason::SoakFailed, why))
                }
                Look::NotActive(shown) => {
                    Some((Reason::SoakFailed, format!("the base now shows {shown}")))
                }
                Look::NoAnswer(why) => {
                    misses += 1;
                    Some((Reason::SoakFailed, why)).filter(|_| misses >= config.verifier.lost_after)
                }
                Look::Silent(why) => {
                    misses += 1;
                    Some((Reason::BaseLost, why)).filter(|_| misses >= config.verifier.lost_after)
                }
            };
            match failed {
                Some((reason, why)) => {
                    // Whether only the module is silent, or the whole base, its arklet knows.
                    let silent = reason == Reason::SoakFailed
                        && misses > 0
                        && target.arklet.modules().await.is_err();
                    let reason = if silent { Reason::BaseLost } else { reason };
                    return self
                        .tell(requested, before, Err((Stop::new(reason, why), answer)))
                        .await;
                }
                None if last && misses == 0 => {
                    return self.tell(requested, before, Ok(answer)).await;
                }
                None => {}
            }
            let pause = if last {
                LOOK_LATE
            } else {
                interval.min(self.left(until))
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// How long it is until then.
    pub(super) fn left(&self, until: Timestamp) -> Duration {
        (until - self.clock.now()).to_std().unwrap_or_default()
    }
}

/// The stop that a look would give if it were the last.
fn stop_of(look: Look, requested: &Requested, answer: &mut Option<Answer>) -> Stop {
    match look {
        Look::Well(_) => unreachable!("a good look ends the wait"),
        Look::NotActive(shown) => {
            let wanted = match &requested.version {
                Some(version) => format!("{version} is to be active"),
                None => "it is to be gone".to_owned(),
            };
            Stop::new(
                Reason::NotActive,
                format!("{wanted}; the base shows {shown}"),
            )
        }
        Look::Wrong(it, why) => {
            let detail = format!("{why}: {}", it.excerpt);
            *answer = Some(it);
            Stop::new(Reason::ProbeFailed, detail)
        }
        Look::NoAnswer(why) => Stop::new(Reason::ProbeFailed, why),
        Look::Silent(why) => Stop::new(Reason::BaseUnreachable, why),
    }
}

fn in_words(shown: &[&ModuleOnBase]) -> String {
    if shown.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = shown
        .iter()
        .map(|one| format!("{} {}", one.version, one.state))
        .collect();
    each.join(", ")
}
