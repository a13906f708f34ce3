//! Asks until a gate is judged or time is up: the same for metrics and checks.
//!
//! In: a question and what it may cost. Out: the verdict; inconclusive, with what was met last, where there
//! was none in time. Also the token of a question, which never leaves this folder.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;
use ferry_config::{Config, Secret, SecretRef};
use ferry_events::{
    Timestamp,
    gate::{Requested, Verdict},
};
use ferry_web::{Answer, Ask};
use url::Url;

use super::{VerifierEffects, probe::excerpt};
use crate::decide::{Judged, Judges, Outcome, judges};

/// How long one question may take: longer than any query that a rollout should wait for.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// The least that a question is given when time is already up.
const ASK_TIMEOUT_LEAST: Duration = Duration::from_millis(100);
/// The last question is asked so long before the deadline, so that the verdict is there when the scheduler
/// looks.
const BEFORE: TimeDelta = TimeDelta::seconds(5);
/// The same as a share of the whole time, as a divisor, where that is less.
const BEFORE_SHARE: i32 = 10;
/// How much of an answer is read: thousands of series are a few hundred KiB.
pub(super) const ANSWER_MAX: usize = 4 << 20;
/// How much of what was seen is told, in characters: a few lines on a screen.
const SEEN_MAX: usize = 1000;

/// One question, asked again and again.
#[async_trait]
pub(super) trait Ongoing: Send {
    /// Asks once. Breaks off with a verdict, or goes on with what the verdict would be if there were no more
    /// time: inconclusive, because of this.
    async fn ask(&mut self, timeout: Duration) -> ControlFlow<Judged, String>;
}

pub(super) fn judged(verdict: Verdict, seen: impl Into<String>) -> ControlFlow<Judged, String> {
    let seen = seen.into();
    ControlFlow::Break(Judged { verdict, seen })
}

/// A verdict with what was seen, on one line.
pub(super) fn told(verdict: Verdict, seen: &str) -> Outcome {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let seen = seen.chars().take(SEEN_MAX).map(one_line).collect();
    Outcome::Judged(Judged { verdict, seen })
}

/// When it is asked for the last time.
fn closes(question: &Requested) -> Timestamp {
    let whole = question.until - question.since;
    question.until - BEFORE.min(whole / BEFORE_SHARE).max(TimeDelta::zero())
}

impl VerifierEffects {
    pub(super) async fn ask_until_judged(
        &self,
        question: &Requested,
        interval_ms: u64,
        mut asker: impl Ongoing,
    ) -> Outcome {
        let interval = Duration::from_millis(interval_ms);
        let closes = closes(question);
        loop {
            let last = self.clock.now() >= closes;
            let left = match last {
                // Half of it: the verdict has a way to go.
                true => self.left(question.until) / 2,
                false => self.left(closes),
            };
            let timeout = left.clamp(ASK_TIMEOUT_LEAST, ASK_TIMEOUT);
            match asker.ask(timeout).await {
                ControlFlow::Break(judged) => return told(judged.verdict, &judged.seen),
                ControlFlow::Continue(seen) if last => {
                    return told(Verdict::Inconclusive, &seen);
                }
                ControlFlow::Continue(_) => {}
            }
            tokio::time::sleep(interval.min(self.left(closes))).await;
        }
    }

    /// One exchange, with the question's token where it has one. An error says why there is no answer;
    /// neither it nor an answer's text shows the token.
    pub(super) async fn exchange(&self, token: &Token, ask: Ask) -> Result<Answer, String> {
        let Some(reference) = &token.0 else {
            return self.web.ask(ask).await.map_err(|why| why.to_string());
        };
        let secret = reference
            .resolve(&self.secrets)
            .map_err(|error| format!("the token cannot be had: {}", with_source(&error)))?;
        let ask = ask
            .bearing(secret.bytes())
            .map_err(|why| format!("the token cannot be sent: {why}"))?;
        let answer = self.web.ask(ask).await.map_err(|why| why.to_string())?;
        Ok(Answer {
            body: without(answer.body, &secret),
            location: None,
            ..answer
        })
    }
}

/// Where a question's token is, if it has one.
pub(super) struct Token(Option<SecretRef>);

impl Token {
    /// The token that the configuration has for this gate. It goes only to the address that stands beside it:
    /// the plan's may be another by now, and somebody else's.
    pub(super) fn of(config: &Config, question: &Requested, url: &str) -> Self {
        let Some(environment) = config.environments.get(&question.environment) else {
            return Self(None);
        };
        let found = match judges(&question.name) {
            Some(Judges::Metric(name)) => {
                let metric = environment.metrics.get(name);
                metric.map(|metric| (&metric.url, &metric.token))
            }
            Some(Judges::Check(name)) => {
                let check = environment.checks.get(name);
                check.map(|check| (&check.url, &check.token))
            }
            None => None,
        };
        let same = |configured: &Url| url.parse::<Url>().is_ok_and(|url| url == *configured);
        Self(found.and_then(|(url, token)| token.clone().filter(|_| same(url))))
    }
}

/// A body without the secret, should it come back.
fn without(body: Vec<u8>, secret: &Secret) -> Vec<u8> {
    let Some(secret) = secret.text() else {
        return body;
    };
    match String::from_utf8(body) {
        Ok(text) => text.replace(secret, "[token]").into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The status of an answer and the beginning of its body.
pub(super) fn in_words(answer: &Answer) -> String {
    let body = excerpt(&String::from_utf8_lossy(&answer.body));
    match body.trim() {
        "" => format!("answered {}", answer.status),
        body => format!("answered {}: {body}", answer.status),
    }
}
