//! Who is asked outside: a Prometheus, and somebody who says yes or no over HTTP.
//!
//! In: queries and CloudEvents. Out: answers, each question in its own mood, fixed by the seed: well, bad,
//! late, never, now and then; and what was answered to whom, when.

use std::collections::BTreeMap;

use ferry_events::{Body, Event, EventId};
use ferry_web::{Answer, Ask};
use serde_json::json;
use uuid::Uuid;

/// Where Prometheus is.
pub const PROMETHEUS: &str = "prometheus.outside";
/// Where the check is.
pub const CHECK: &str = "check.outside";

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Yes.
    Well,
    /// No.
    Bad,
    /// Nothing that could be told.
    Nothing,
}

/// How a question is answered over time.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Well,
    /// No, from this time on.
    Bad(u32),
    /// Nothing so often, then yes.
    Late(u32),
    Never,
    /// Every second time.
    Flickers,
}

/// One answer.
#[derive(Clone, Debug)]
struct Given {
    at_ms: u64,
    to: String,
    means: Means,
}

/// What was asked and answered so far.
#[derive(Debug, Default)]
pub struct Outside {
    /// By the query, or the gate.
    given: BTreeMap<String, Vec<Given>>,
    /// The event that was posted for each gate.
    posted: BTreeMap<Uuid, EventId>,
}

/// FNV-1a: a question's own chance, the same in every run.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mood(random: &mut fastrand::Rng) -> Mood {
    match random.u8(..16) {
        0..=7 => Mood::Well,
        8 | 9 => Mood::Bad(random.u32(..4)),
        10..=12 => Mood::Late(random.u32(1..6)),
        13 | 14 => Mood::Never,
        _ => Mood::Flickers,
    }
}

impl Outside {
    /// Answers; nothing: it keeps silent. What is broken by the question comes with it.
    pub fn answer(
        &mut self,
        seed: u64,
        ask: &Ask,
        to: &str,
        at_ms: u64,
    ) -> (Option<Answer>, Option<String>) {
        let (key, broken) = match &ask.json {
            None => (ask.url.query().unwrap_or_default().to_owned(), None),
            Some(event) => self.posted(event),
        };
        let mut random = fastrand::Rng::with_seed(seed ^ hash(&key));
        let mood = mood(&mut random);
        let given = self.given.entry(key).or_default();
        let before = given.len() as u32;
        let means = match mood {
            Mood::Well => Means::Well,
            Mood::Bad(from) if before >= from => Means::Bad,
            Mood::Bad(_) if ask.json.is_some() => Means::Nothing,
            Mood::Bad(_) => Means::Well,
            Mood::Late(times) if before >= times => Means::Well,
            Mood::Flickers if before % 2 == 1 => Means::Well,
            Mood::Late(_) | Mood::Never | Mood::Flickers => Means::Nothing,
        };
        let to = to.to_owned();
        given.push(Given { at_ms, to, means });
        // What has no meaning comes in many forms.
        let form = hash(&format!("{}{before}", ask.url)) % 6;
        let (status, body) = match (means, ask.json.is_some()) {
            (Means::Well, false) => (200, vector(Some("0.25"))),
            (Means::Bad, false) => (200, vector(Some("0.75"))),
            (Means::Well, true) => (200, json!({"verdict": "pass"}).to_string()),
            (Means::Bad, true) => (200, json!({"verdict": "fail", "why": "no"}).to_string()),
            (Means::Nothing, _) if form == 0 => return (None, broken),
            (Means::Nothing, _) if form == 1 => (503, "not now".to_owned()),
            (Means::Nothing, _) if form == 2 => (200, "{".to_owned()),
            (Means::Nothing, false) if form == 3 => (200, vector(Some("NaN"))),
            (Means::Nothing, false) => (200, vector(None)),
            (Means::Nothing, true) if form == 3 => (202, String::new()),
            (Means::Nothing, true) => (200, json!({"verdict": "wait"}).to_string()),
        };
        let answer = Answer {
            status,
            location: None,
            body: body.into_bytes(),
            whole: true,
        };
        (Some(answer), broken)
    }

    /// The gate that an event is about; each time it must be the same event.
    fn posted(&mut self, event: &[u8]) -> (String, Option<String>) {
        let event = match Event::decode(event) {
            Ok(event) => event,
            Err(error) => return (String::new(), Some(format!("a check is asked by {error}"))),
        };
        let Body::GateRequested(requested) = &event.body else {
            return (
                String::new(),
                Some("a check is asked by another event".into()),
            );
        };
        let gate = requested.gate;
        let first = *self.posted.entry(gate).or_insert(event.id);
        let broken = (first != event.id).then(|| format!("gate {gate} is asked by two events"));
        (gate.to_string(), broken)
    }

    /// The bus is put back: what was asked before may be asked by another event.
    pub fn forget(&mut self) {
        self.posted.clear();
    }

    /// Whether a check of a gate was answered so.
    pub fn said(&self, gate: Uuid, means: Means) -> bool {
        let given = self.given.get(&gate.to_string());
        given.is_some_and(|given| given.iter().any(|one| one.means == means))
    }

    fn of_query<'a>(&'a self, query: &str, since_ms: u64) -> impl Iterator<Item = &'a Given> {
        let asked = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .finish();
        let given = self.given.get(&asked).into_iter().flatten();
        given.filter(move |one| one.at_ms >= since_ms)
    }

    /// Whether a metric was seen to be bad since a moment.
    pub fn was_bad(&self, query: &str, since_ms: u64) -> bool {
        self.of_query(query, since_ms)
            .any(|one| one.means == Means::Bad)
    }

    /// The most values that one process was given of a metric since a moment that were well: in a row, or
    /// in all, where what it was given for something else may lie between them.
    pub fn well(&self, query: &str, since_ms: u64, in_a_row: bool) -> u32 {
        let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for one in self.of_query(query, since_ms) {
            let (now, most) = counts.entry(&one.to).or_default();
            match one.means {
                Means::Well => *now += 1,
                Means::Bad | Means::Nothing if in_a_row => *now = 0,
                Means::Bad | Means::Nothing => {}
            }
            *most = (*most).max(*now);
        }
        let most = counts.values().map(|(_, most)| *most);
        most.max().unwrap_or_default()
    }
}

fn vector(value: Option<&str>) -> String {
    let result: Vec<_> = value
        .iter()
        .map(|value| json!({"metric": {"__name__": "errors"}, "value": [1.5, value]}))
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
}
