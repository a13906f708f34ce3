//! Asks somebody outside until there is an answer.
//!
//! In: a gate of a check, and the CloudEvent of its request. Out: the verdict. The event is posted as it
//! stands on the bus, each time with the same id, so that who takes it can tell a repetition.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use ferry_config::Config;
use ferry_events::{
    envelope::CONTENT_TYPE,
    gate::{Ask as Asks, Requested, Verdict},
};
use ferry_web::Ask;
use serde::Deserialize;
use url::Url;

use super::{
    VerifierEffects,
    gate::{ANSWER_MAX, Ongoing, Token, in_words, judged, told},
};
use crate::decide::{Judged, Outcome};

/// What is answered.
#[derive(Debug, Deserialize)]
struct Answered {
    verdict: Said,
    #[serde(default)]
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Pass,
    Fail,
    Wait,
}

struct Check<'a> {
    effects: &'a VerifierEffects,
    token: Token,
    url: Url,
    event: Vec<u8>,
}

impl VerifierEffects {
    pub(super) async fn check(
        &self,
        config: &Config,
        question: &Requested,
        event: &serde_json::Value,
    ) -> Outcome {
        let Asks::Check { url, interval_ms } = &question.ask else {
            unreachable!("the decision gives checks only");
        };
        let Ok(address) = url.parse::<Url>() else {
            let why = format!("{url:?} is no address");
            return told(Verdict::Inconclusive, &why);
        };
        let asker = Check {
            effects: self,
            token: Token::of(config, question, url),
            url: address,
            event: serde_json::to_vec(event).expect("JSON is always JSON"),
        };
        self.ask_until_judged(question, *interval_ms, asker).await
    }
}

#[async_trait]
impl Ongoing for Check<'_> {
    async fn ask(&mut self, timeout: Duration) -> ControlFlow<Judged, String> {
        let ask = Ask {
            url: self.url.clone(),
            json: Some(self.event.clone()),
            headers: Default::default(),
            timeout,
            body_max: ANSWER_MAX,
        };
        let answer = match self
            .effects
            .exchange(&self.token, ask.typed(CONTENT_TYPE))
            .await
        {
            Ok(answer) => answer,
            Err(why) => return ControlFlow::Continue(format!("no answer in time: {why}")),
        };
        let answered = serde_json::from_slice::<Answered>(&answer.body).ok();
        match (answer.status, answered) {
            (200, Some(Answered { verdict, why })) => match verdict {
                Said::Pass => judged(Verdict::Pass, why.unwrap_or("it said pass".into())),
                Said::Fail => judged(Verdict::Fail, why.unwrap_or("it said fail".into())),
                Said::Wait => waits(why),
            },
            (202, answered) => waits(answered.and_then(|it| it.why)),
            (200, None) => {
                let words = in_words(&answer);
                ControlFlow::Continue(format!("no verdict in time: it {words}"))
            }
            (_, _) => ControlFlow::Continue(format!("no answer in time: it {}", in_words(&answer))),
        }
    }
}

fn waits(why: Option<String>) -> ControlFlow<Judged, String> {
    ControlFlow::Continue(match why {
        None => "no answer in time: it said to wait".into(),
        Some(why) => format!("no answer in time: it said to wait: {why}"),
    })
}
