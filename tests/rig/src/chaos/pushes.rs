//! Pushes at a steady rate, told to two gateways as a forge behind a load balancer tells them.
//!
//! In: a seed, repositories, gateways. Out: what was sent, what was accepted, what was sent again.

use std::time::Duration;

use anyhow::Result;
use chrono::Utc;
use fastrand::Rng;
use ferry_api::HookAnswer;
use ferry_events::{PushId, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::world::{Change, Source};
use crate::fleet::Fleet;
use crate::git::Push;
use crate::hook;

/// Between two pushes, in milliseconds. A run takes two to four seconds here; six modules have room.
const BETWEEN: std::ops::Range<u64> = 700..2_300;
/// What a build takes, in milliseconds.
const TAKES: std::ops::Range<u64> = 0..1_200;
/// What a long one takes: long enough to be killed in.
const TAKES_LONG: std::ops::Range<u64> = 2_000..7_000;
/// One build in so many is a long one.
const LONG_ONE_IN: u32 = 8;
/// One push in so many touches both modules.
const BOTH_ONE_IN: u32 = 4;
/// One change in so many answers 500 and has to go back.
const BROKEN_ONE_IN: u32 = 10;
/// After one push in so many an older one is delivered again.
const AGAIN_ONE_IN: u32 = 4;

/// How long one delivery waits for its answer: GitHub waits for 10 s; a load balancer is less patient.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts of one delivery.
const ATTEMPT_EVERY: Duration = Duration::from_millis(300);
/// How long a delivery is tried: both gateways are never down or frozen for so long.
const DELIVER_LIMIT: Duration = Duration::from_secs(120);

/// What knows the gateways and the secret.
#[derive(Clone, Debug)]
pub struct Forge {
    hooks: Vec<String>,
    secret: String,
    http: reqwest::Client,
}

/// One push, and what became of telling it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// As git made it.
    pub push: Push,
    /// The modules that it touches: name, what it answers, with which status.
    pub modules: Vec<(String, String, u16)>,
    /// Its id, once a gateway answered 202, and when.
    pub accepted: Option<(PushId, Timestamp)>,
    /// How often it was told until then.
    pub attempts: usize,
    /// How often it was told again afterwards.
    pub again: usize,
    /// Another id that a gateway gave to the same delivery.
    pub other: Option<PushId>,
}

impl Forge {
    /// For the gateways of a fleet.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn of(fleet: &Fleet) -> Result<Self> {
        let gateways = fleet.gateways();
        Ok(Self {
            hooks: gateways
                .iter()
                .map(|url| format!("{url}/hooks/github"))
                .collect(),
            secret: fleet.secret().to_owned(),
            http: reqwest::Client::builder().timeout(ANSWER_LIMIT).build()?,
        })
    }

    /// Tells one gateway, once: the push's id where it answered 202.
    async fn tell(&self, gateway: usize, push: &Push) -> Option<PushId> {
        let url = &self.hooks[gateway % self.hooks.len()];
        let answer = hook::send(&self.http, url, self.secret.as_bytes(), push)
            .await
            .ok()?;
        if answer.status != 202 {
            return None;
        }
        serde_json::from_value::<HookAnswer>(answer.body).ok()?.push
    }
}

/// Tells the gateways in turn until one accepts; how often it was told.
pub async fn deliver(forge: &Forge, gateway: usize, push: &Push) -> (Option<PushId>, usize) {
    let deadline = Instant::now() + DELIVER_LIMIT;
    for attempt in 1.. {
        if let Some(id) = forge.tell(gateway + attempt, push).await {
            return (Some(id), attempt);
        }
        if Instant::now() >= deadline {
            return (None, attempt);
        }
        sleep(ATTEMPT_EVERY).await;
    }
    unreachable!("a range without an end")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the clock of whoever waits for an answer"
)]
fn now() -> Timestamp {
    Utc::now()
}

enum Answered {
    First(usize, Option<PushId>, usize, Timestamp),
    Again(usize, Option<PushId>),
}

/// Pushes until `ends`, then waits for the answers that are still to come.
pub(super) async fn run(
    seed: u64,
    repositories: &mut [Source],
    forge: &Forge,
    ends: Instant,
) -> Result<Vec<Sent>> {
    let mut rng = Rng::with_seed(seed ^ 0x70_75_73_68);
    let mut sent: Vec<Sent> = Vec::new();
    let mut answers: JoinSet<Answered> = JoinSet::new();
    for source in repositories.iter_mut() {
        if let Some(push) = source.first() {
            let modules = source.modules().iter();
            let modules = modules
                .map(|it| (it.clone(), "the first".to_owned(), 200))
                .collect();
            send(&mut sent, &mut answers, forge, push, modules);
        }
    }
    let mut next = Instant::now();
    loop {
        next += Duration::from_millis(rng.u64(BETWEEN));
        if next >= ends {
            break;
        }
        sleep_until(next).await;
        while let Some(Ok(answered)) = answers.try_join_next() {
            note(&mut sent, answered);
        }
        let source = &repositories[rng.usize(..repositories.len())];
        let changes = changes(&mut rng, source, sent.len());
        let push = source.push(&changes).await?;
        let modules = changes.iter();
        let modules = modules
            .map(|it| {
                (
                    source.modules()[it.module].clone(),
                    it.text.clone(),
                    it.status,
                )
            })
            .collect();
        send(&mut sent, &mut answers, forge, push, modules);
        // Drawn whether it is used or not: the schedule must not hang on answers.
        let (again, which) = (rng.u32(..AGAIN_ONE_IN) == 0, rng.usize(..sent.len()));
        if again && sent[which].accepted.is_some() {
            let (forge, push) = (forge.clone(), sent[which].push.clone());
            answers.spawn(async move { Answered::Again(which, forge.tell(which, &push).await) });
        }
    }
    while let Some(answered) = answers.join_next().await {
        note(&mut sent, answered?);
    }
    Ok(sent)
}

fn changes(rng: &mut Rng, source: &Source, number: usize) -> Vec<Change> {
    let one = rng.usize(..source.modules().len());
    let both = rng.u32(..BOTH_ONE_IN) == 0;
    let touched = (0..source.modules().len()).filter(|module| both || *module == one);
    touched
        .map(|module| Change {
            module,
            text: format!("{} of push {number}", source.modules()[module]),
            status: if rng.u32(..BROKEN_ONE_IN) == 0 {
                500
            } else {
                200
            },
            takes: if rng.u32(..LONG_ONE_IN) == 0 {
                rng.u64(TAKES_LONG)
            } else {
                rng.u64(TAKES)
            },
        })
        .collect()
}

fn send(
    sent: &mut Vec<Sent>,
    answers: &mut JoinSet<Answered>,
    forge: &Forge,
    push: Push,
    modules: Vec<(String, String, u16)>,
) {
    let (index, forge, told) = (sent.len(), forge.clone(), push.clone());
    answers.spawn(async move {
        let (id, attempts) = deliver(&forge, index, &told).await;
        Answered::First(index, id, attempts, now())
    });
    sent.push(Sent {
        push,
        modules,
        accepted: None,
        attempts: 0,
        again: 0,
        other: None,
    });
}

fn note(sent: &mut [Sent], answered: Answered) {
    match answered {
        Answered::First(index, id, attempts, at) => {
            sent[index].accepted = id.map(|id| (id, at));
            sent[index].attempts = attempts;
        }
        Answered::Again(index, id) => {
            let sent = &mut sent[index];
            sent.again += 1;
            sent.other = sent
                .other
                .or(id.filter(|id| sent.accepted.is_none_or(|(first, _)| first != *id)));
        }
    }
}
