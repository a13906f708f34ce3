//! What the verifier decides: observations, liveness, drift. No I/O.

mod support;

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use ferry_bus::Keep;
use ferry_events::{
    Body, Reason, Stop,
    base::{ModuleOnBase, Seen},
    fact::{BaseRecord, Left},
    gate::{Ask, Verdict},
    verify::Answer,
};
use ferry_runtime::{Context, Decide, Decision, Fault, Input, Key};
use ferry_verifier::{
    VerifierDecide,
    decide::{
        Difference, Failure, Judged, Looked, Missed, Outcome, State, Watch, Well, Work, differences,
    },
};
use support::{
    BASE, BIZ, ENVIRONMENT, check, config, event, finished, left, metric, plan, probe, question,
    requested, start,
};

fn context() -> Context {
    Context {
        now: start(),
        config: Arc::new(config(Vec::new())),
        revision: plan("revision"),
    }
}

fn decide(state: &State, input: Input<Outcome>) -> Result<Decision<State>, Fault> {
    VerifierDecide.decide(&Key::new("any", &["one"]), state, &input, &context())
}

fn answer(status: u16) -> Answer {
    Answer {
        status,
        excerpt: format!("answer {status}"),
        millis: 4,
    }
}

fn well(revision: u64) -> Outcome {
    Outcome::Well(Well {
        answer: Some(answer(200)),
        revision,
    })
}

fn failed(reason: Reason, revision: u64) -> Outcome {
    let stop = Stop::new(reason, "as it was seen");
    Outcome::Failed(Failure {
        stop,
        answer: Some(answer(500)),
        revision,
    })
}

fn seen(versions: &[(&str, &str)], metaspace: u64) -> Seen {
    let module = |(version, state): &(&str, &str)| ModuleOnBase {
        name: BIZ.into(),
        version: (*version).into(),
        state: (*state).into(),
    };
    Seen {
        base: BASE.into(),
        pool: "one".into(),
        environment: ENVIRONMENT.into(),
        zone: "default".into(),
        modules: versions.iter().map(module).collect(),
        metaspace_used: Some(metaspace),
        metaspace_committed: Some(metaspace),
        metaspace_max: Some(1000),
        at: start(),
        revisions: Default::default(),
        sighting: 0,
    }
}

fn looked(versions: &[(&str, &str)], metaspace: u64, drift: Option<&[(&str, &[&str])]>) -> Outcome {
    let difference = |(wanted, actual): &(&str, &[&str])| {
        let wanted = (!wanted.is_empty()).then(|| (*wanted).to_owned());
        let actual = actual.iter().map(|version| (*version).to_owned()).collect();
        let difference = Difference {
            wanted,
            actual,
            revision: 5,
        };
        ("hello".to_owned(), difference)
    };
    let drift = drift.map(|all| all.iter().map(difference).collect());
    Outcome::Looked(Box::new(Looked {
        seen: seen(versions, metaspace),
        drift,
    }))
}

fn missed() -> Outcome {
    Outcome::Missed(Box::new(Missed {
        base: BASE.into(),
        pool: "one".into(),
        environment: ENVIRONMENT.into(),
        last_seen: Some(start()),
        why: "no answer within 1s".into(),
    }))
}

fn judged(verdict: Verdict) -> Outcome {
    let seen = "as it was seen".into();
    Outcome::Judged(Judged { verdict, seen })
}

fn line(before: &State, result: Result<Decision<State>, Fault>) -> String {
    let decision = match result {
        Ok(decision) => decision,
        Err(_) => return "fault".into(),
    };
    assert!(decision.facts.is_empty());
    let key = Key::new("any", &["one"]);
    let mut text = match VerifierDecide.work(&key, &decision.state) {
        Some(Work::Await { until, .. }) => {
            format!("awaits for {} ms", (until - start()).num_milliseconds())
        }
        Some(Work::Soak { until, .. }) => {
            format!("soaks for {} ms", (until - start()).num_milliseconds())
        }
        Some(Work::Metric(question)) => format!("asks {}", question.name),
        Some(Work::Check { question, event }) => {
            format!("asks {} with event {}", question.name, event["id"])
        }
        None => match &decision.state {
            State::Observation(_) | State::Gate(_) => "over".into(),
            State::Base(base) => format!("{:?}", base.status).to_lowercase(),
            State::Unknown => "unknown".into(),
        },
    };
    if decision.state == *before {
        text.push_str(", as before");
    }
    for say in &decision.events {
        let kind = say.body.kind().short_name();
        let about = match &say.body {
            Body::ModuleAnswering(it) => {
                format!("{:?}", it.answer.as_ref().map(|answer| answer.status))
            }
            Body::ObservationFinished(it) => {
                let stop = it
                    .stop
                    .as_ref()
                    .map_or("well".to_owned(), ToString::to_string);
                format!("{stop}, revision {}", it.revision)
            }
            Body::BaseJoined(it) => format!(
                "{} modules, metaspace {:?}, sighting {}",
                it.modules.len(),
                it.metaspace_used,
                it.sighting
            ),
            Body::BaseChanged(it) => format!(
                "{} modules, metaspace {:?}, sighting {}",
                it.modules.len(),
                it.metaspace_used,
                it.sighting
            ),
            Body::BaseLost(it) => format!(
                "{}, last seen {:?}, sighting {}",
                it.why,
                it.last_seen.is_some(),
                it.sighting
            ),
            Body::ModuleDrifted(it) => format!(
                "{} wanted {:?} actual {:?} at revision {}, sighting {}",
                it.module, it.wanted, it.actual, it.revision, it.sighting
            ),
            Body::GateJudged(it) => format!("{} {:?}: {}", it.name, it.verdict, it.seen),
            other => panic!("unexpected {other:?}"),
        };
        write!(text, "; {kind}: {about}").unwrap();
    }
    text
}

#[test]
fn observations_in_each_phase_with_each_outcome() {
    let mut text = String::new();
    for soak in [0, 2000] {
        let request = requested(Some("2"), 3, Some(probe()), soak);
        let asked = Input::Event(Arc::new(event(1, request)));
        let awaits = decide(&State::Unknown, asked.clone()).unwrap().state;
        let next = decide(&awaits, Input::Outcome(well(3))).unwrap().state;
        let over = decide(&awaits, Input::Outcome(failed(Reason::NotActive, 3)))
            .unwrap()
            .state;
        for (phase, state) in [
            ("unknown", State::Unknown),
            ("await", awaits),
            ("after answering", next),
            ("over", over),
        ] {
            writeln!(text, "== soak {soak}, {phase}").unwrap();
            let inputs = [
                ("asked", asked.clone()),
                ("well", Input::Outcome(well(3))),
                ("well, changed since", Input::Outcome(well(4))),
                ("failed", Input::Outcome(failed(Reason::ProbeFailed, 3))),
                (
                    "failed, changed since",
                    Input::Outcome(failed(Reason::SoakFailed, 4)),
                ),
                (
                    "given up",
                    Input::GivenUp {
                        tries: 5,
                        stop: None,
                    },
                ),
                ("due", Input::Due),
                ("a base's report", Input::Report(missed())),
            ];
            for (name, input) in inputs {
                writeln!(text, "{name} -> {}", line(&state, decide(&state, input))).unwrap();
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn gates_in_each_phase_with_each_input() {
    let mut text = String::new();
    for question in [
        question("metric errors", metric("http://prometheus")),
        question("check board", check("http://board")),
    ] {
        let asked = Input::Event(Arc::new(event(1, question.clone())));
        let asks = decide(&State::Unknown, asked.clone()).unwrap().state;
        let finished = finished(&question);
        let over = decide(&asks, Input::Outcome(judged(Verdict::Pass)))
            .unwrap()
            .state;
        for (phase, state) in [("unknown", State::Unknown), ("asked", asks), ("over", over)] {
            writeln!(text, "== {}, {phase}", question.name).unwrap();
            let inputs = [
                ("asked", asked.clone()),
                ("passes", Input::Outcome(judged(Verdict::Pass))),
                ("fails", Input::Outcome(judged(Verdict::Fail))),
                (
                    "inconclusive",
                    Input::Outcome(judged(Verdict::Inconclusive)),
                ),
                (
                    "given up",
                    Input::GivenUp {
                        tries: 5,
                        stop: None,
                    },
                ),
                (
                    "ended otherwise",
                    Input::Event(Arc::new(event(2, finished.clone()))),
                ),
                ("due", Input::Due),
                ("a module's outcome", Input::Outcome(well(1))),
                ("a base's report", Input::Report(missed())),
            ];
            for (name, input) in inputs {
                writeln!(text, "{name} -> {}", line(&state, decide(&state, input))).unwrap();
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn only_metrics_and_checks_are_the_verifiers_to_judge() {
    let routed = |body: Body| VerifierDecide.route(&event(1, body), &config(Vec::new()));
    let names = [
        "metric errors",
        "check board",
        "approval",
        "pause",
        "window office",
        "paused everything",
        "metricerrors",
    ];
    let asks = [
        metric("http://prometheus"),
        check("http://board"),
        Ask::Calendar,
        Ask::Pause,
        Ask::Line,
    ];
    let judged = |name: &&&str| {
        let question = question(name, Ask::Calendar);
        !routed(finished(&question).into()).is_empty()
    };
    let finished: Vec<_> = names.iter().filter(judged).collect();
    assert_eq!(finished, [&"metric errors", &"check board"]);
    let asked = asks.map(|ask| routed(question("any", ask).into()).len());
    assert_eq!(asked, [1, 1, 0, 0, 0]);
    // A request and its end meet in one record.
    let one = question("metric errors", metric("http://prometheus"));
    assert_eq!(
        routed(one.clone().into()),
        routed(self::finished(&one).into())
    );
}

#[test]
fn what_is_posted_is_the_event_as_it_stands_on_the_bus() {
    let asked = event(3, question("check board", check("http://board")));
    let state = decide(&State::Unknown, Input::Event(Arc::new(asked.clone())))
        .unwrap()
        .state;
    // Through the record, as after a crash.
    let record = serde_json::to_string(&state).unwrap();
    let state: State = serde_json::from_str(&record).unwrap();
    let Some(Work::Check { event, .. }) = VerifierDecide.work(&Key::new("any", &[]), &state) else {
        panic!()
    };
    let posted = serde_json::to_vec(&event).unwrap();
    assert_eq!(ferry_events::Event::decode(&posted).unwrap(), asked);
    assert_eq!(event["type"], "dev.cdeventsx.ferry-gate.requested.0.1.0");
    assert_eq!(VerifierDecide.keep(&state), Keep::Forever);
}

#[test]
fn a_base_that_passes_its_mark_is_told_at_once() {
    let mut marked = config(Vec::new());
    marked.pools.get_mut("one").unwrap().metaspace_mark = Some(90);
    let decide = |config: &Arc<ferry_config::Config>, state: &State, metaspace: u64| {
        let context = Context {
            config: config.clone(),
            ..context()
        };
        let input = Input::Report(looked(&[], metaspace, None));
        let key = Key::new("base", &["one"]);
        let decided = VerifierDecide.decide(&key, state, &input, &context);
        decided.unwrap()
    };
    let (marked, plain) = (Arc::new(marked), Arc::new(config(Vec::new())));
    let before = decide(&marked, &State::default(), 899).state;
    assert_eq!(decide(&plain, &before, 901).events.len(), 0);
    let over = decide(&marked, &before, 901);
    assert_eq!(over.events.len(), 1);
    // Once: it is over it still.
    assert_eq!(decide(&marked, &over.state, 903).events.len(), 0);
    assert_eq!(decide(&marked, &over.state, 899).events.len(), 1);
}

#[test]
fn a_base_over_time() {
    let drift: &[(&str, &[&str])] = &[("1", &[])];
    let other: &[(&str, &[&str])] = &[("1", &["9"])];
    let story = [
        ("silent from the start", missed()),
        ("still", missed()),
        ("answers", looked(&[], 500, None)),
        ("nothing new", looked(&[], 500, None)),
        ("metaspace moves a little", looked(&[], 560, None)),
        ("metaspace moves a lot", looked(&[], 610, None)),
        ("a module starts", looked(&[("1", "resolved")], 610, None)),
        (
            "and is active",
            looked(&[("1", "activated")], 610, Some(&[])),
        ),
        ("nothing new", looked(&[("1", "activated")], 610, Some(&[]))),
        ("it is gone", looked(&[], 610, None)),
        ("which nobody decided", looked(&[], 610, Some(drift))),
        ("and stays so", looked(&[], 610, Some(drift))),
        ("unread", looked(&[], 610, None)),
        (
            "another one is there",
            looked(&[("9", "activated")], 610, Some(other)),
        ),
        ("frozen", missed()),
        ("still", missed()),
        ("wakes", looked(&[("9", "activated")], 610, Some(other))),
        ("put right", looked(&[("1", "activated")], 610, Some(&[]))),
        ("gone again", looked(&[], 610, Some(drift))),
    ];
    let mut text = String::new();
    let mut state = State::Unknown;
    for (name, report) in story {
        let decision = decide(&state, Input::Report(report));
        writeln!(
            text,
            "{name} -> {}",
            line(
                &state,
                decision
                    .as_ref()
                    .map(Clone::clone)
                    .map_err(|e| Fault(e.0.clone()))
            )
        )
        .unwrap();
        state = decision.unwrap().state;
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_verdict_is_kept_only_as_long_as_its_request_can_come_again() {
    let asked = Input::Event(Arc::new(event(1, requested(Some("2"), 1, None, 0))));
    let awaits = decide(&State::Unknown, asked.clone()).unwrap().state;
    assert_eq!(VerifierDecide.keep(&awaits), Keep::Forever);
    let over = decide(&awaits, Input::Outcome(well(1))).unwrap().state;
    assert_eq!(VerifierDecide.keep(&over), Keep::Stream);
    assert_eq!(
        decide(&over, asked).unwrap(),
        Decision::to(over.clone()),
        "the request comes again"
    );
}

#[test]
fn differences_are_of_modules_that_ferry_knows_there() {
    let module = |name: &str, version: &str, state: &str| ModuleOnBase {
        name: name.into(),
        version: version.into(),
        state: state.into(),
    };
    let fact = left(Some("1"), 4, false);
    let one = [
        module(BIZ, "1", "activated"),
        module("stranger", "7", "activated"),
    ];
    assert!(differences(&fact, &one).is_empty());
    let found = |shown: &[ModuleOnBase]| {
        differences(&fact, shown)
            .remove("hello")
            .map(|it| it.actual)
    };
    assert_eq!(found(&[]), Some(Vec::new()));
    assert_eq!(
        found(&[module(BIZ, "2", "activated")]),
        Some(vec!["2".into()])
    );
    assert_eq!(
        found(&[module(BIZ, "1", "deactivated")]),
        Some(Vec::new()),
        "there, but does not run"
    );
    assert_eq!(
        found(&[
            module(BIZ, "1", "activated"),
            module(BIZ, "2", "deactivated")
        ]),
        Some(vec!["1".into(), "2".into()])
    );
    assert!(differences(&left(None, 4, false), &[]).is_empty());
    assert_eq!(
        differences(&left(None, 4, false), &one).len(),
        1,
        "taken out, and there"
    );
}

#[test]
fn drift_is_seen_twice_against_the_same_record_while_nothing_is_in_hand() {
    let one = seen(&[("1", "activated")], 1).modules;
    let agreed = left(Some("1"), 4, false);
    let mut watch = Watch::default();
    assert!(watch.looked(&one), "the first look reads the record");
    assert_eq!(watch.compare(&agreed), Some(BTreeMap::new()));
    assert!(!watch.looked(&one), "nothing new, nothing read");

    assert!(watch.looked(&[]), "something new");
    assert_eq!(watch.compare(&agreed), None, "once is not enough");
    assert!(watch.looked(&[]));
    assert_eq!(
        watch.compare(&left(Some("1"), 5, false)),
        None,
        "the record changed in between"
    );
    assert!(watch.looked(&[]));
    assert_eq!(
        watch.compare(&left(Some("1"), 5, true)),
        None,
        "a task is in hand"
    );
    assert!(watch.looked(&one) || watch.compare(&agreed).is_some());
    assert!(watch.looked(&[]));
    assert_eq!(watch.compare(&agreed), None);
    watch.missed();
    assert!(watch.looked(&[]));
    assert_eq!(watch.compare(&agreed), None, "a silence lies between");
    assert!(watch.looked(&[]));
    assert_eq!(
        watch.compare(&agreed).unwrap().len(),
        1,
        "twice in a row, and nothing moved"
    );
}

#[test]
fn a_record_that_changes_without_the_base_is_read_in_the_end() {
    let mut watch = Watch::default();
    assert!(watch.looked(&[]));
    assert_eq!(watch.compare(&BaseRecord::default()), Some(BTreeMap::new()));
    let looks = (1..100).find(|_| watch.looked(&[]));
    assert!(looks.is_some());
    let fact = BaseRecord {
        busy: false,
        modules: BTreeMap::from([(
            "m".into(),
            Left {
                biz: "m".into(),
                version: Some("1".into()),
                revision: 1,
            },
        )]),
    };
    assert_eq!(watch.compare(&fact), None);
    assert!(watch.looked(&[]));
    assert_eq!(watch.compare(&fact).unwrap().len(), 1);
}
