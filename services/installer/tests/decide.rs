//! What the installer decides: each phase with each outcome, and random bases that lie.

mod support;

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use ferry_ark::BizState;
use ferry_config::{Drain, DrainFor};
use ferry_events::{
    Body, PlanId, Reason, Stop,
    fact::BaseRecord,
    task::{Requested, Want},
};
use ferry_installer::{
    InstallerDecide,
    decide::{
        ActEnd, Acted, Base, Change, Drained, DrainedEnd, INTENTS_MAX, Outcome, Phase, Prepared,
        PreparedEnd, Present, TRIES_MAX, Undrained, Work,
    },
};
use ferry_runtime::{Context, Decide, Decision, Fault, Input, Key};
use proptest::prelude::*;
use support::{MODULE, config, drain, event, plan, start, task, want};
use uuid::Uuid;

const BASE: &str = "pre-1";

fn context() -> Context {
    Context {
        now: start(),
        config: Arc::new(config(&[])),
        revision: plan("revision"),
    }
}

fn key() -> Key {
    Key::new("base", &[BASE])
}

fn decide(state: &Base, input: Input<Outcome>) -> Result<Decision<Base>, Fault> {
    InstallerDecide.decide(&key(), state, &input, &context())
}

/// The same where bases are drained for all changes, or for those of web modules.
fn decide_draining(
    modules: Option<DrainFor>,
    state: &Base,
    input: Input<Outcome>,
) -> Result<Decision<Base>, Fault> {
    let mut config = config(&[(BASE, "http://arklet.example", "http://base.example")]);
    config.pools.get_mut("one").unwrap().drain = modules.map(|modules| Drain {
        modules,
        ..drain("http://balancer.example")
    });
    let context = Context {
        config: Arc::new(config),
        ..context()
    };
    InstallerDecide.decide(&key(), state, &input, &context)
}

fn drained(end: DrainedEnd) -> Outcome {
    Outcome::Drained(Drained { end, millis: 11 })
}

fn undrained(stop: Option<Reason>) -> Outcome {
    Outcome::Undrained(Undrained {
        module: MODULE.into(),
        stop: stop.map(|reason| Stop::new(reason, "as it was seen")),
        millis: 13,
    })
}

fn request(state: &Base, task: &Requested) -> Decision<Base> {
    decide(state, Input::Event(Arc::new(event(1, task.clone())))).unwrap()
}

fn work(state: &Base) -> Option<Work> {
    InstallerDecide.work(&key(), state)
}

fn seen(versions: &[(&str, BizState)]) -> Vec<Present> {
    versions
        .iter()
        .map(|(version, state)| Present {
            version: (*version).into(),
            state: *state,
            web: false,
        })
        .collect()
}

fn ready(seen: Vec<Present>, restorable: bool) -> Outcome {
    prepared(PreparedEnd::Ready { seen, restorable })
}

fn prepared(end: PreparedEnd) -> Outcome {
    // The fence comes before the base is asked anything.
    let settled = !matches!(end, PreparedEnd::Outdated);
    Outcome::Prepared(Prepared {
        end,
        settled,
        observe_ms: 3,
        fetch_ms: Some(5),
    })
}

fn acted(state: &Base, end: ActEnd) -> Outcome {
    let Some(Work::Act { intent, .. }) = work(state) else {
        panic!("no intent in {state:?}")
    };
    Outcome::Acted(Acted {
        growth: None,
        request: intent.request,
        end,
        millis: 7,
    })
}

fn stop(reason: Reason) -> Stop {
    Stop::new(reason, "as it was seen")
}

/// A decision in one line.
fn line(decision: &Decision<Base>) -> String {
    let mut text = match work(&decision.state) {
        None => "rests".to_owned(),
        Some(Work::Prepare { unsettled, .. }) if unsettled.is_empty() => "prepare".to_owned(),
        Some(Work::Prepare { unsettled, .. }) => format!("prepare, settling {}", unsettled.len()),
        Some(Work::Drain { .. }) => "drain".to_owned(),
        Some(Work::Restart(restart)) => format!("restart {:?}", restart.stage),
        Some(Work::Undrain { waits: true, .. }) => "undrain".to_owned(),
        Some(Work::Undrain { waits: false, .. }) => "undrain at rest".to_owned(),
        Some(Work::Act { intent, .. }) => {
            let how = match intent.change {
                Change::Explain { .. } => " and wait",
                _ => "",
            };
            format!(
                "{} {} #{}{how}",
                intent.step.as_str(),
                intent.version(),
                intent.attempt
            )
        }
    };
    if let Some(module) = decision.state.out_for() {
        write!(text, " (out for {module})").unwrap();
    }
    if !decision.state.unsettled.is_empty() {
        write!(text, " ({} unsettled)", decision.state.unsettled.len()).unwrap();
    }
    for say in &decision.events {
        match &say.body {
            Body::TaskStarted(_) => text.push_str("; says started"),
            Body::TaskFinished(it) => {
                let stop = it
                    .stop
                    .as_ref()
                    .map_or("well".to_owned(), ToString::to_string);
                let running = it.running.as_deref().unwrap_or("nothing");
                let steps: Vec<String> = it
                    .steps
                    .iter()
                    .map(|step| format!("{} {}", step.step, step.millis))
                    .collect();
                write!(
                    text,
                    "; says finished {stop}; running {running}, revision {}",
                    it.revision
                )
                .unwrap();
                write!(text, " [{}]", steps.join(", ")).unwrap();
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    for (subject, fact) in &decision.facts {
        assert_eq!(subject, "ferry.facts.installer.base.pre-1");
        let fact: BaseRecord = serde_json::from_value(fact.clone()).unwrap();
        let modules: Vec<String> = fact
            .modules
            .values()
            .map(|left| {
                format!(
                    "{}@{}",
                    left.version.as_deref().unwrap_or("none"),
                    left.revision
                )
            })
            .collect();
        write!(
            text,
            "; fact {}[{}]",
            if fact.busy { "busy " } else { "" },
            modules.join(", ")
        )
        .unwrap();
    }
    text
}

/// Every phase, each with a name.
fn phases() -> Vec<(&'static str, Base)> {
    let after = |state: &Base, outcome| decide(state, Input::Outcome(outcome)).unwrap().state;
    let idle = Base::default();
    let prepare = request(
        &idle,
        &task(BASE, &plan("p"), Some(want("2")), Some(want("1"))),
    )
    .state;
    let uninstall = after(&prepare, ready(seen(&[("1", BizState::Activated)]), true));
    let install = after(
        &uninstall,
        acted(&uninstall, ActEnd::Done { seen: Vec::new() }),
    );
    let broken = seen(&[("2", BizState::Broken)]);
    let failed = ActEnd::Failed {
        stop: stop(Reason::InstallFailed),
        seen: broken,
    };
    let clean_up = after(&install, acted(&install, failed));
    let restore = after(
        &clean_up,
        acted(&clean_up, ActEnd::Done { seen: Vec::new() }),
    );
    vec![
        ("idle", idle),
        ("prepare", prepare),
        ("uninstall", uninstall),
        ("install", install),
        ("clean up", clean_up),
        ("restore", restore),
    ]
}

#[test]
fn each_phase_with_each_outcome() {
    let one = seen(&[("1", BizState::Activated)]);
    let two = seen(&[("2", BizState::Activated)]);
    let half = seen(&[("2", BizState::Resolved)]);
    let both = seen(&[("1", BizState::Activated), ("2", BizState::Deactivated)]);
    let shown = [
        ("nothing", Vec::new()),
        ("1", one),
        ("2", two),
        ("2 starting", half),
        ("1 and 2 inactive", both),
    ];
    let mut text = String::new();
    for (phase, state) in phases() {
        let mut outcomes: Vec<(String, Outcome)> = Vec::new();
        for (name, seen) in &shown {
            outcomes.push((format!("ready, sees {name}"), ready(seen.clone(), true)));
        }
        outcomes.push((
            "ready, sees 1, nothing to put back".into(),
            ready(shown[1].1.clone(), false),
        ));
        outcomes.push((
            "outdated before anything".into(),
            prepared(PreparedEnd::Outdated),
        ));
        for (name, seen) in [("", None), (", sees 1", Some(shown[1].1.clone()))] {
            let end = PreparedEnd::Failed {
                stop: stop(Reason::StoreFailed),
                seen,
            };
            outcomes.push((format!("cannot prepare{name}"), prepared(end)));
        }
        if matches!(work(&state), Some(Work::Act { .. })) {
            outcomes.push(("outdated".into(), acted(&state, ActEnd::Outdated)));
            outcomes.push((
                "silent".into(),
                acted(
                    &state,
                    ActEnd::Silent {
                        stop: stop(Reason::BaseTimeout),
                    },
                ),
            ));
            for (name, seen) in &shown {
                let seen = || seen.clone();
                outcomes.push((
                    format!("done, sees {name}"),
                    acted(&state, ActEnd::Done { seen: seen() }),
                ));
                let end = ActEnd::Failed {
                    stop: stop(Reason::InstallFailed),
                    seen: seen(),
                };
                outcomes.push((format!("failed, sees {name}"), acted(&state, end)));
                outcomes.push((
                    format!("untold, sees {name}"),
                    acted(&state, ActEnd::Untold { seen: seen() }),
                ));
                let end = ActEnd::Late {
                    stop: stop(Reason::BaseTimeout),
                    seen: seen(),
                };
                outcomes.push((format!("late, sees {name}"), acted(&state, end)));
                let end = ActEnd::Void {
                    why: "lost".into(),
                    seen: seen(),
                };
                outcomes.push((format!("void, sees {name}"), acted(&state, end)));
            }
        }
        writeln!(text, "== {phase}").unwrap();
        for (name, outcome) in outcomes {
            let result = match decide(&state, Input::Outcome(outcome)) {
                Ok(decision) => line(&decision),
                Err(_) => "fault".into(),
            };
            writeln!(text, "{name} -> {result}").unwrap();
        }
        writeln!(
            text,
            "given up -> {}",
            line(
                &decide(
                    &state,
                    Input::GivenUp {
                        tries: 5,
                        stop: None,
                    }
                )
                .unwrap()
            )
        )
        .unwrap();
        writeln!(
            text,
            "due -> {}",
            line(&decide(&state, Input::Due).unwrap())
        )
        .unwrap();
    }
    insta::assert_snapshot!(text);
}

/// Where a base is drained: each phase of a task with what can come of it.
#[test]
fn a_base_is_drained_before_the_first_change_and_put_back_after_the_last() {
    let go = |state: &Base, input| decide_draining(Some(DrainFor::All), state, input).unwrap();
    let after = |state: &Base, outcome| go(state, Input::Outcome(outcome)).state;
    let one = || seen(&[("1", BizState::Activated)]);
    let two = || seen(&[("2", BizState::Activated)]);
    let wanted = task(BASE, &plan("p"), Some(want("2")), Some(want("1")));
    let prepare = request(&Base::default(), &wanted).state;
    let draining = after(&prepare, ready(one(), true));
    let uninstall = after(&draining, drained(DrainedEnd::Done { seen: one() }));
    let gone = ActEnd::Done { seen: Vec::new() };
    let install = after(&uninstall, acted(&uninstall, gone));
    let back = after(&install, acted(&install, ActEnd::Done { seen: two() }));
    let not_back = undrained(Some(Reason::UndrainFailed));
    let owed = after(&back, not_back.clone());
    let failed = ActEnd::Failed {
        stop: stop(Reason::InstallFailed),
        seen: Vec::new(),
    };
    let restore = after(&install, acted(&install, failed));
    let after_failure = after(&restore, acted(&restore, ActEnd::Done { seen: one() }));
    let next = task(BASE, &plan("q"), Some(want("2")), None);
    let outdated = |state: &Base| acted(state, ActEnd::Outdated);
    let cannot = || {
        drained(DrainedEnd::Failed {
            stop: stop(Reason::DrainFailed),
        })
    };
    let silent = ActEnd::Silent {
        stop: stop(Reason::BaseUnreachable),
    };
    let came = |state: &Base, outcome| (state.clone(), Input::Outcome(outcome));
    let given_up = || Input::GivenUp {
        tries: 5,
        stop: None,
    };
    let done = |seen| drained(DrainedEnd::Done { seen });
    let stories = [
        (
            "prepared, and right already",
            came(&prepare, ready(two(), true)),
        ),
        ("prepared", came(&prepare, ready(one(), true))),
        ("drained", came(&draining, done(one()))),
        ("drained, and right by then", came(&draining, done(two()))),
        (
            "outdated before the drain",
            came(&draining, drained(DrainedEnd::Outdated)),
        ),
        ("cannot be drained", came(&draining, cannot())),
        ("the drain is given up", (draining.clone(), given_up())),
        (
            "outdated before a change",
            came(&uninstall, outdated(&uninstall)),
        ),
        (
            "taken out",
            came(
                &uninstall,
                acted(&uninstall, ActEnd::Done { seen: Vec::new() }),
            ),
        ),
        (
            "put in",
            came(&install, acted(&install, ActEnd::Done { seen: two() })),
        ),
        (
            "the base falls silent",
            came(&install, acted(&install, silent)),
        ),
        ("the change is given up", (install.clone(), given_up())),
        (
            "put back",
            came(&restore, acted(&restore, ActEnd::Done { seen: one() })),
        ),
        ("undrained", came(&back, undrained(None))),
        (
            "undrained after a failure",
            came(&after_failure, undrained(None)),
        ),
        ("cannot be undrained", came(&back, not_back.clone())),
        (
            "cannot be undrained after a failure",
            came(&after_failure, not_back.clone()),
        ),
        ("the undrain is given up", (back.clone(), given_up())),
        ("at rest, undrained", came(&owed, undrained(None))),
        ("at rest, given up", (owed.clone(), given_up())),
        (
            "at rest, a task comes",
            (owed.clone(), Input::Event(Arc::new(event(2, next.clone())))),
        ),
    ];
    let mut text = String::new();
    for (name, (state, input)) in stories {
        writeln!(text, "{name} -> {}", line(&go(&state, input))).unwrap();
    }
    // What is owed is put right by the next task too, though it has nothing to change.
    let owing = request(&owed, &next).state;
    let again = go(&owing, Input::Outcome(ready(two(), false)));
    writeln!(text, "owed, and right already -> {}", line(&again)).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn a_base_is_drained_for_web_modules_only_where_nothing_else_is_said() {
    let first = |modules, wanted: Requested, seen: Vec<Present>| {
        let state = request(&Base::default(), &wanted).state;
        let input = Input::Outcome(ready(seen, true));
        line(&decide_draining(modules, &state, input).unwrap())
    };
    let web = |version: &str| Want {
        web_context_path: Some("/hello".into()),
        ..want(version)
    };
    let to = |want, restore| task(BASE, &plan("p"), want, restore);
    let plain = || to(Some(want("2")), Some(want("1")));
    let is_drained = |text: String| text.starts_with("drain");
    assert!(!is_drained(first(None, plain(), Vec::new())));
    assert!(is_drained(first(Some(DrainFor::All), plain(), Vec::new())));
    let only_web = Some(DrainFor::Web);
    assert!(!is_drained(first(only_web, plain(), Vec::new())));
    assert!(is_drained(first(
        only_web,
        to(Some(web("2")), None),
        Vec::new()
    )));
    let puts_back = to(Some(want("2")), Some(web("1")));
    assert!(is_drained(first(only_web, puts_back, Vec::new())));
    // One that is taken out, whatever it was.
    let running = |web| {
        let mut seen = seen(&[("1", BizState::Activated)]);
        seen[0].web = web;
        seen
    };
    assert!(is_drained(first(only_web, to(None, None), running(true))));
    assert!(!is_drained(first(only_web, to(None, None), running(false))));
}

#[test]
fn a_task_that_comes_again_changes_nothing_and_says_nothing() {
    let first = task(BASE, &plan("p"), Some(want("2")), None);
    let in_hand = request(&Base::default(), &first).state;
    let again = request(&in_hand, &first);
    assert_eq!(again, Decision::to(in_hand.clone()));

    let second = task(BASE, &plan("q"), Some(want("3")), None);
    let queued = request(&in_hand, &second).state;
    assert_eq!(request(&queued, &second), Decision::to(queued.clone()));

    let done = ready(seen(&[("2", BizState::Activated)]), false);
    let finished = decide(&queued, Input::Outcome(done)).unwrap();
    assert_eq!(
        finished.state.in_hand.as_ref().unwrap().task.task,
        second.task,
        "the next is in hand at once"
    );
    assert_eq!(
        request(&finished.state, &first),
        Decision::to(finished.state.clone())
    );
}

#[test]
fn an_intent_of_a_silent_base_is_settled_by_the_next_task() {
    let (_, install) = phases().remove(3);
    let silent = acted(
        &install,
        ActEnd::Silent {
            stop: stop(Reason::BaseUnreachable),
        },
    );
    let rests = decide(&install, Input::Outcome(silent)).unwrap().state;
    let next = request(&rests, &task(BASE, &plan("q"), Some(want("3")), None)).state;
    let Some(Work::Prepare { unsettled, .. }) = work(&next) else {
        panic!()
    };
    assert_eq!(unsettled.len(), 1);
    let unsure = PreparedEnd::Failed {
        stop: stop(Reason::BaseUnreachable),
        seen: None,
    };
    let unsure = Outcome::Prepared(Prepared {
        end: unsure,
        settled: false,
        observe_ms: 1,
        fetch_ms: None,
    });
    assert_eq!(
        decide(&next, Input::Outcome(unsure))
            .unwrap()
            .state
            .unsettled,
        unsettled
    );
    let settled = decide(&next, Input::Outcome(ready(Vec::new(), false)))
        .unwrap()
        .state;
    assert!(settled.unsettled.is_empty());
}

#[test]
fn an_outcome_of_another_intent_is_a_fault() {
    let (_, install) = phases().remove(3);
    let other = Outcome::Acted(Acted {
        growth: None,
        request: uuid::Uuid::nil(),
        end: ActEnd::Done { seen: Vec::new() },
        millis: 1,
    });
    assert!(decide(&install, Input::Outcome(other)).is_err());
    assert!(decide(&install, Input::Report(ready(Vec::new(), false))).is_err());
}

fn states() -> impl Strategy<Value = Vec<Present>> {
    let state = prop_oneof![
        4 => Just(BizState::Activated),
        1 => Just(BizState::Deactivated),
        1 => Just(BizState::Resolved),
        1 => Just(BizState::Broken),
    ];
    proptest::collection::btree_map("[1-4]", state, 0..3).prop_map(|versions| {
        versions
            .into_iter()
            .map(|(version, state)| Present {
                version,
                state,
                web: false,
            })
            .collect()
    })
}

#[derive(Clone, Debug)]
enum Lie {
    /// The base does what it is asked, and shows it.
    Honest,
    /// Whatever it shows and says.
    Done(Vec<Present>),
    Failed(Vec<Present>),
    Untold(Vec<Present>),
    Late(Vec<Present>),
    Void(Vec<Present>),
    Silent,
    Outdated,
    GivenUp,
}

fn lies() -> impl Strategy<Value = Lie> {
    prop_oneof![
        6 => Just(Lie::Honest),
        2 => states().prop_map(Lie::Done),
        3 => states().prop_map(Lie::Failed),
        1 => states().prop_map(Lie::Untold),
        2 => states().prop_map(Lie::Late),
        2 => states().prop_map(Lie::Void),
        1 => Just(Lie::Silent),
        1 => Just(Lie::Outdated),
        1 => Just(Lie::GivenUp),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Requested>> {
    let version = || proptest::option::of("[1-4]");
    proptest::collection::vec((version(), version()), 1..4).prop_map(|wants| {
        let mut number = 0;
        let task = |(wanted, before): (Option<String>, Option<String>)| {
            number += 1;
            let plan: PlanId = plan(&format!("plan {number}"));
            task(
                BASE,
                &plan,
                wanted.as_deref().map(want),
                before.as_deref().map(want),
            )
        };
        wants.into_iter().map(task).collect()
    })
}

fn revision(fact: &BaseRecord) -> u64 {
    fact.modules.get(MODULE).map_or(0, |left| left.revision)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_base_shows_every_task_ends_and_no_request_id_comes_twice(
        tasks in tasks(),
        at_first in states(),
        restorable in any::<bool>(),
        drains in any::<bool>(),
        mut lies in proptest::collection::vec(lies(), 0..60),
    ) {
        let mut state = Base::default();
        for task in &tasks {
            state = request(&state, task).state;
        }
        let mut truth = at_first;
        let (mut told, mut at_taking) = (state.fact(), 0);
        let mut requests = BTreeSet::new();
        let mut outdated = BTreeSet::new();
        let mut ended = Vec::new();
        let mut silent = false;
        let modules = drains.then_some(DrainFor::All);
        let mut at_rest = lies.len() + 1;
        let mut steps = 0;
        while let Some(work) = work(&state) {
            steps += 1;
            // An intent each, and looking, draining and undraining.
            prop_assert!(steps <= tasks.len() * (INTENTS_MAX as usize + 3), "it goes on and on");
            let lie = lies.pop().unwrap_or(Lie::Honest);
            let input = match (&work, lie) {
                (Work::Restart(_), _) => {
                    prop_assert!(false, "nobody asks for a restart");
                    continue;
                }
                (Work::Undrain { waits: false, .. }, Lie::Honest) => Input::Outcome(undrained(None)),
                // It is tried again, however often: no transition.
                (Work::Undrain { waits: false, .. }, _) => {
                    steps -= 1;
                    at_rest -= 1;
                    prop_assert!(at_rest > 0);
                    continue;
                }
                (_, Lie::GivenUp) => {
                    silent |= matches!(work, Work::Act { .. });
                    Input::GivenUp {
 tries: 5,
 stop: None,
 }
                }
                (Work::Prepare { task, .. }, Lie::Outdated) => {
                    outdated.insert(task.task);
                    Input::Outcome(prepared(PreparedEnd::Outdated))
                }
                (Work::Prepare { .. }, Lie::Silent) => {
                    let end = PreparedEnd::Failed { stop: stop(Reason::BaseUnreachable), seen: None };
                    Input::Outcome(Outcome::Prepared(Prepared { end, settled: false, observe_ms: 1, fetch_ms: None }))
                }
                (Work::Prepare { unsettled, .. }, _) => {
                    prop_assert!(!silent || !unsettled.is_empty(), "an intent was forgotten");
                    silent = false;
                    Input::Outcome(ready(truth.clone(), restorable))
                }
                (Work::Drain { .. }, Lie::Honest | Lie::Done(_) | Lie::Void(_)) => {
                    Input::Outcome(drained(DrainedEnd::Done { seen: truth.clone() }))
                }
                (Work::Drain { task }, Lie::Outdated) => {
                    outdated.insert(task.task);
                    Input::Outcome(drained(DrainedEnd::Outdated))
                }
                (Work::Drain { .. }, _) => {
                    Input::Outcome(drained(DrainedEnd::Failed { stop: stop(Reason::DrainFailed) }))
                }
                (Work::Undrain { .. }, Lie::Failed(_) | Lie::Late(_)) => {
                    Input::Outcome(undrained(Some(Reason::UndrainFailed)))
                }
                (Work::Undrain { .. }, _) => Input::Outcome(undrained(None)),
                (Work::Act { task, intent, drained }, lie) => {
                    prop_assert_eq!(*drained, drains);
                    prop_assert_eq!(state.out_for(), drains.then_some(MODULE), "it is changed in service");
                    prop_assert!(!outdated.contains(&task.task), "it changes a base under an outdated plan");
                    prop_assert_eq!(&intent.plan, &task.plan);
                    prop_assert_eq!(intent.request, task.task.request(intent.step.as_str(), intent.attempt));
                    prop_assert!(requests.insert(intent.request), "a request id comes twice");
                    let committed = state.in_hand.as_ref().map(|hand| hand.phase.clone());
                    prop_assert_eq!(committed, Some(Phase::Change(intent.clone())), "no intent stands in the record");
                    let end = match lie {
                        Lie::Honest | Lie::GivenUp => {
                            truth.retain(|present| present.version != intent.version());
                            if let Change::Install { want } | Change::Explain { want } = &intent.change {
                                let state = match truth.is_empty() {
                                    true => BizState::Activated,
                                    false => BizState::Deactivated,
                                };
                                truth.push(Present { version: want.version.clone(), state, web: false });
                            }
                            ActEnd::Done { seen: truth.clone() }
                        }
                        Lie::Done(seen) => ActEnd::Done { seen },
                        Lie::Failed(seen) => ActEnd::Failed { stop: stop(Reason::InstallFailed), seen },
                        Lie::Untold(seen) => ActEnd::Untold { seen },
                        Lie::Late(seen) => {
                            silent = true;
                            ActEnd::Late { stop: stop(Reason::BaseTimeout), seen }
                        }
                        Lie::Void(seen) => ActEnd::Void { why: "lost".into(), seen },
                        Lie::Silent => {
                            silent = true;
                            ActEnd::Silent { stop: stop(Reason::BaseUnreachable) }
                        }
                        Lie::Outdated => {
                            outdated.insert(task.task);
                            ActEnd::Outdated
                        }
                    };
                    Input::Outcome(acted(&state, end))
                }
            };
            let decision = decide_draining(modules, &state, input).unwrap();
            for say in &decision.events {
                if let Body::TaskFinished(it) = &say.body {
                    if outdated.contains(&it.task) {
                        prop_assert_eq!(it.stop.as_ref().map(|stop| stop.reason), Some(Reason::PlanOutdated));
                    }
                    ended.push(it.task);
                }
            }
            let in_hand = |state: &Base| state.in_hand.as_ref().map(|hand| hand.task.task);
            let before = state;
            state = decision.state;
            if in_hand(&before) != in_hand(&state) {
                at_taking = revision(&state.fact());
            }
            if let Some((_, fact)) = decision.facts.last() {
                told = serde_json::from_value(fact.clone()).unwrap();
                prop_assert_eq!(&state.fact(), &told, "the fact differs from the state");
            }
            if state.fact() != told {
                prop_assert!(told.busy && in_hand(&state).is_some(), "it is not told at the end");
                prop_assert!(revision(&told) > at_taking, "a change is not told");
            }
        }
        let wanted: Vec<_> = tasks.iter().map(|task| task.task).collect();
        prop_assert_eq!(ended, wanted, "each task ends once, in its turn");
        prop_assert!(state.drained.is_empty(), "a base is left out");
        let size = serde_json::to_vec(&state).unwrap().len();
        prop_assert!(size < 64 * 1024, "a state of {size} bytes");
    }

    #[test]
    fn an_honest_base_gets_what_is_wanted_in_the_fewest_changes(
        at_first in states(),
        wanted in proptest::option::of("[1-4]"),
    ) {
        let task = task(BASE, &plan("p"), wanted.as_deref().map(want), None);
        let mut state = request(&Base::default(), &task).state;
        let mut truth = at_first.clone();
        let mut changes = 0;
        let mut finished = None;
        while let Some(work) = work(&state) {
            let outcome = match work {
                Work::Prepare { .. } => ready(truth.clone(), false),
                Work::Drain { .. } | Work::Undrain { .. } | Work::Restart(_) => {
                    prop_assert!(false, "nothing says how to drain or restart");
                    continue;
                }
                Work::Act { intent, .. } => {
                    changes += 1;
                    match &intent.change {
                        Change::Uninstall { version } => truth.retain(|present| present.version != *version),
                        Change::Install { want } | Change::Explain { want } => {
                            let there = truth.iter().any(|present| present.version == want.version);
                            prop_assert!(!there, "REPEAT_BIZ");
                            truth.push(Present { version: want.version.clone(), state: BizState::Activated, web: false });
                        }
                    }
                    acted(&state, ActEnd::Done { seen: truth.clone() })
                }
            };
            let decision = decide(&state, Input::Outcome(outcome)).unwrap();
            finished = decision.events.iter().find_map(|say| match &say.body {
                Body::TaskFinished(it) => Some(it.as_ref().clone()),
                _ => None,
            });
            state = decision.state;
        }
        let finished = finished.unwrap();
        prop_assert_eq!(&finished.stop, &None);
        prop_assert_eq!(&finished.running, &wanted);
        let shown: Vec<_> = truth.iter().map(|present| present.version.clone()).collect();
        prop_assert_eq!(shown, wanted.clone().into_iter().collect::<Vec<_>>());
        let right = |present: &&Present| Some(&present.version) == wanted.as_ref() && present.state.is_active();
        let kept = at_first.iter().filter(right).count();
        let installs = usize::from(wanted.is_some() && kept == 0);
        prop_assert_eq!(changes, at_first.len() - kept + installs);
    }
}

#[test]
fn a_base_that_loses_each_request_is_given_up() {
    let (_, mut state) = phases().remove(3);
    let mut asked = 0;
    while let Some(Work::Act { intent, .. }) = work(&state) {
        if intent.step.as_str() == "install" {
            asked += 1;
        }
        let lost = acted(
            &state,
            ActEnd::Void {
                why: "lost".into(),
                seen: Vec::new(),
            },
        );
        state = decide(&state, Input::Outcome(lost)).unwrap().state;
    }
    assert_eq!(asked, TRIES_MAX);
}

/// What came of one push takes turns with what came of others: a lone task does not wait for a thousand.
#[test]
fn a_lone_push_does_not_wait_for_a_thousand_on_a_base() {
    let (thousand, lone) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut number = 0;
    let mut of = |origin| {
        number += 1;
        Requested {
            origin: Some(origin),
            ..task(BASE, &plan(&number.to_string()), Some(want("1")), None)
        }
    };
    let many: Vec<Requested> = (0..20).map(|_| of(thousand)).collect();
    let alone = of(lone);
    let mut state = Base::default();
    for task in many.iter().chain([&alone]) {
        state = request(&state, task).state;
    }
    let mut order = Vec::new();
    while let Some(hand) = state.in_hand.clone() {
        order.push(hand.task.task);
        let outdated = Input::Outcome(prepared(PreparedEnd::Outdated));
        state = decide(&state, outdated).unwrap().state;
    }
    let first = [many[0].task, alone.task, many[1].task];
    assert_eq!(order[..3], first, "its turn is the next");
    let rest: Vec<_> = many[1..].iter().map(|it| it.task).collect();
    assert_eq!(order[2..], rest[..], "the others keep their order");
}
