//! Asks a metric until so many values in a row were within its bounds, or one was not.
//!
//! In: a gate of a metric. Out: the verdict. What is no value (nothing there, NaN, an error) neither passes
//! nor fails; the row begins again after it.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use ferry_config::Config;
use ferry_events::gate::{Ask as Asks, Requested, Verdict};
use ferry_web::Ask;
use url::Url;

use super::{
    VerifierEffects,
    gate::{ANSWER_MAX, Ongoing, Token, judged, told},
    prometheus::{self, Value},
};
use crate::decide::{Judged, Outcome};

/// The values that are well; both ends are.
#[derive(Clone, Debug, PartialEq)]
struct Bounds {
    min: Option<(f64, String)>,
    max: Option<(f64, String)>,
}

impl Bounds {
    fn read(min: Option<&String>, max: Option<&String>) -> Result<Self, String> {
        let one = |text: Option<&String>| match text {
            None => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some((number, text.clone()))),
                _ => Err(format!("{text:?} is no bound")),
            },
        };
        let bounds = Self {
            min: one(min)?,
            max: one(max)?,
        };
        if bounds.min.is_none() && bounds.max.is_none() {
            return Err("there is no bound".into());
        }
        Ok(bounds)
    }

    /// What is wrong with a value.
    fn wrong(&self, value: &Value) -> Option<String> {
        let of = match value.series.as_str() {
            "" => String::new(),
            series => format!(", {series}"),
        };
        let text = &value.text;
        match (&self.min, &self.max) {
            (Some((min, bound)), _) if value.number < *min => {
                Some(format!("{text} is less than {bound}{of}"))
            }
            (_, Some((max, bound))) if value.number > *max => {
                Some(format!("{text} is more than {bound}{of}"))
            }
            _ => None,
        }
    }
}

struct Metric<'a> {
    effects: &'a VerifierEffects,
    token: Token,
    url: Url,
    query: &'a str,
    bounds: Bounds,
    /// So many in a row.
    count: u32,
    well: u32,
}

impl VerifierEffects {
    pub(super) async fn metric(&self, config: &Config, question: &Requested) -> Outcome {
        let Asks::Metric {
            url,
            query,
            min,
            max,
            interval_ms,
            count,
        } = &question.ask
        else {
            unreachable!("the decision gives metrics only");
        };
        let inconclusive = |seen: String| told(Verdict::Inconclusive, &seen);
        let bounds = match Bounds::read(min.as_ref(), max.as_ref()) {
            Ok(bounds) => bounds,
            Err(why) => return inconclusive(why),
        };
        let Some(address) = address(url, query) else {
            return inconclusive(format!("{url:?} is no address of Prometheus"));
        };
        let asker = Metric {
            effects: self,
            token: Token::of(config, question, url),
            url: address,
            query,
            bounds,
            count: (*count).max(1),
            well: 0,
        };
        self.ask_until_judged(question, *interval_ms, asker).await
    }
}

fn address(url: &str, query: &str) -> Option<Url> {
    let url = format!("{}/api/v1/query", url.trim_end_matches('/'));
    Url::parse_with_params(&url, [("query", query)]).ok()
}

#[async_trait]
impl Ongoing for Metric<'_> {
    async fn ask(&mut self, timeout: Duration) -> ControlFlow<Judged, String> {
        let ask = Ask {
            url: self.url.clone(),
            json: None,
            headers: Default::default(),
            timeout,
            body_max: ANSWER_MAX,
        };
        let answer = self.effects.exchange(&self.token, ask).await;
        let values = match answer.and_then(|answer| prometheus::read(&answer)) {
            Ok(values) => values,
            Err(why) => return self.none(format!("Prometheus {why}")),
        };
        let mut wrong = values.known.iter().filter_map(|it| self.bounds.wrong(it));
        if let Some(first) = wrong.next() {
            let seen = match wrong.count() {
                0 => first,
                more => format!("{first}; and {more} more"),
            };
            return judged(Verdict::Fail, seen);
        }
        let last = match (values.known.first(), values.unknown) {
            (_, Some(why)) => return self.none(format!("no data for {}: {why}", self.query)),
            (None, None) => return self.none(format!("no data for {}", self.query)),
            (Some(first), None) => match values.known.len() - 1 {
                0 => first.text.clone(),
                more => format!("{} and {more} more", first.text),
            },
        };
        self.well += 1;
        if self.well >= self.count {
            let seen = match self.count {
                1 => format!("{last} is well"),
                count => format!("{count} values in a row were well, the last {last}"),
            };
            return judged(Verdict::Pass, seen);
        }
        ControlFlow::Continue(format!(
            "only {} of {} values in a row were well in time, the last {last}",
            self.well, self.count
        ))
    }
}

impl Metric<'_> {
    fn none(&mut self, why: String) -> ControlFlow<Judged, String> {
        self.well = 0;
        ControlFlow::Continue(why)
    }
}
