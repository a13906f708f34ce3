//! The HTTP probe of a module.
//!
//! In: a base's address and what the module must answer. Out: what it answered, and whether that is well.

use std::time::Duration;

use ferry_events::verify::{Answer, Probe};
use ferry_web::{Ask, Web};
use tokio::time::Instant;
use url::Url;

/// How much of a body is read: what a probe looks for stands near the beginning.
const BODY_MAX: usize = 1 << 20;
/// How much of it is shown.
const EXCERPT_MAX: usize = 200;

/// What became of one probe.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Probed {
    /// It answered as it must.
    Well(Answer),
    /// It answered otherwise; what was expected, in words.
    Wrong(Answer, String),
    /// It did not answer; why.
    None(String),
}

pub(super) async fn probe(web: &dyn Web, base: &Url, probe: &Probe) -> Probed {
    let timeout = Duration::from_millis(probe.timeout_ms);
    let Ok(url) = format!("{}{}", base.as_str().trim_end_matches('/'), probe.path).parse::<Url>()
    else {
        return Probed::None(format!("{}{} is no address", base, probe.path));
    };
    let began = Instant::now();
    let ask = Ask {
        url,
        json: None,
        headers: Default::default(),
        timeout,
        body_max: BODY_MAX,
    };
    let answer = match web.ask(ask).await {
        Ok(answer) => answer,
        Err(why) => return Probed::None(format!("GET {}: {why}", probe.path)),
    };
    let ferry_web::Answer {
        status,
        location,
        body,
        ..
    } = answer;
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let text = String::from_utf8_lossy(&body);
    let answer = Answer {
        status,
        excerpt: excerpt(&text),
        millis,
    };
    let contains = |wanted: &String| {
        body.windows(wanted.len().max(1))
            .any(|part| part == wanted.as_bytes())
    };
    if status != probe.status {
        let to = location.map(|to| format!(" (to {to})")).unwrap_or_default();
        let wrong = format!(
            "GET {} answered {status}{to}, not {}",
            probe.path, probe.status
        );
        return Probed::Wrong(answer, wrong);
    }
    match probe
        .contains
        .as_ref()
        .filter(|wanted| !wanted.is_empty() && !contains(wanted))
    {
        None => Probed::Well(answer),
        Some(wanted) => {
            let wrong = format!("GET {} answered {status}, without {wanted:?}", probe.path);
            Probed::Wrong(answer, wrong)
        }
    }
}

/// The beginning of a body, on one line.
pub(super) fn excerpt(text: &str) -> String {
    text.chars()
        .take(EXCERPT_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
