//! What is decided for a branch, without git: everything twice, late and out of order.

mod support;

use ferry_builder::{
    BuilderDecide,
    decide::{Outcome, State, Work, head::Found, relate::Ancestry},
};
use ferry_events::{Body, Digest, Reason, RunId, Stop, Verb, artifact::Biz, push::Resolution};
use ferry_runtime::{Decide, Input, Key};
use proptest::prelude::*;
use support::{Branch, command, config, push, pushed, run_commit};

const URL: &str = "https://git.example/acme/shop.git";

fn commit(number: usize) -> String {
    format!("{number:040x}")
}

/// A straight history: every commit follows the one before, and the branch is at `tip`.
fn found(head: Option<usize>, after: usize, tip: usize, path: &str) -> Found {
    Found {
        ancestry: Ancestry {
            after: commit(after),
            tip: Some(commit(tip)),
            head_before_after: head.is_some_and(|head| head <= after),
            after_before_head: head.is_some_and(|head| after <= head),
            after_in_tip: after <= tip,
        },
        changed: vec![path.to_owned()],
        subject: "A change".into(),
        author: "A person".into(),
    }
}

fn answer(branch: &mut Branch, found: Result<Found, Stop>) -> Vec<Body> {
    let Some(Work::Resolve(work)) = BuilderDecide.work(&branch.key, &branch.state) else {
        panic!("no work")
    };
    branch.tell(Input::Outcome(Outcome::Resolved {
        ask: work.ask,
        found: found.map(Box::new),
    }))
}

fn biz() -> Biz {
    Biz {
        name: "cart".into(),
        version: "1.0.0".into(),
        web_context_path: Some("/cart".into()),
    }
}

fn deploy(commit: Option<&str>) -> Verb {
    Verb::Deploy {
        module: "cart".into(),
        digest: Digest::of(b"jar"),
        size: 3,
        biz: biz(),
        commit: commit.map(Into::into),
        force: false,
    }
}

#[test]
fn a_stale_or_repeated_input_changes_and_says_nothing() {
    let mut main = Branch::new(config(URL, ""), "main");
    assert!(main.tell(pushed(push("1", "main", &commit(1)))).is_empty());
    assert!(main.tell(pushed(push("1", "main", &commit(1)))).is_empty());
    let other = Outcome::Resolved {
        ask: uuid::Uuid::nil(),
        found: Ok(Box::new(found(None, 9, 9, "cart/x"))),
    };
    assert!(
        main.tell(Input::Outcome(other)).is_empty(),
        "an answer to another question"
    );
    assert_eq!(answer(&mut main, Ok(found(None, 1, 1, "cart/x"))).len(), 2);
    let settled = main.state.clone();
    assert!(main.tell(pushed(push("1", "main", &commit(1)))).is_empty());
    assert!(
        main.tell(Input::GivenUp {
            tries: 5,
            stop: None,
        })
        .is_empty()
    );
    assert!(main.tell(Input::Due).is_empty());
    assert_eq!(main.state, settled);
}

#[test]
fn a_deployed_jar_needs_no_git_and_takes_its_place_in_the_order() {
    let mut main = Branch::new(config(URL, ""), "main");
    let ask = command("deploy", 1, deploy(None));
    let run = RunId::of_command(ask.id, "cart");
    let said = main.tell(Input::Command(ask.clone().into()));
    let [
        Body::CommandSettled(settled),
        Body::ChangeMerged(change),
        Body::ArtifactPackaged(packaged),
    ] = said.as_slice()
    else {
        panic!("{said:?}")
    };
    assert_eq!(
        (settled.run, settled.actor.as_str()),
        (Some(run), "operator")
    );
    assert_eq!((change.run, change.order, change.uploaded), (run, 1, true));
    assert_eq!(change.commit, Digest::of(b"jar").to_string());
    assert_eq!(
        (packaged.run, packaged.size, packaged.commit.as_deref()),
        (run, 3, None)
    );
    assert!(main.tell(Input::Command(ask.into())).is_empty(), "once");
    let said = main.tell(Input::Command(
        command("second", 2, deploy(Some("abc"))).into(),
    ));
    assert!(
        matches!(&said[1], Body::ChangeMerged(change) if change.order == 2 && change.commit == "abc")
    );
    assert_eq!(BuilderDecide.work(&main.key, &main.state), None);
}

#[test]
fn commands_go_to_their_branch_and_unknown_modules_are_refused() {
    let config = config(URL, "");
    let route = |verb| BuilderDecide.route_command(&command("x", 0, verb), &config);
    assert_eq!(
        route(run_commit("cart", "HEAD", None)),
        [Key::new("head", &["shop", "main"])],
        "no wildcard"
    );
    let named = route(run_commit("cart", "HEAD", Some("release/1")));
    assert_eq!(named, [Key::new("head", &["shop", "release/1"])]);
    let unknown = route(run_commit("nothing", "HEAD", None));
    let mut nobody = Branch::new(config.clone(), "main");
    nobody.key = unknown[0].clone();
    let ask = command("x", 0, run_commit("nothing", "HEAD", None));
    let said = nobody.tell(Input::Command(ask.clone().into()));
    let [Body::CommandSettled(settled)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        settled.stop.as_ref().map(|stop| stop.reason),
        Some(Reason::UnknownModule)
    );
    assert!(nobody.tell(Input::Command(ask.into())).is_empty(), "once");
    // The module is taken out while the command is on its way.
    let mut main = Branch::new(config.clone(), "main");
    main.config.modules.remove("cart");
    let said = main.tell(Input::Command(
        command("x", 0, run_commit("cart", "HEAD", None)).into(),
    ));
    assert!(matches!(&said[..], [Body::CommandSettled(settled)] if settled.stop.is_some()));
}

#[test]
fn what_waits_is_bounded_and_nothing_ends_in_silence() {
    let mut main = Branch::new(config(URL, ""), "main");
    let mut given_way = 0;
    for number in 0..40 {
        for body in main.tell(pushed(push(&number.to_string(), "main", &commit(number)))) {
            assert!(
                matches!(body, Body::PushResolved(resolved) if resolved.resolution == Resolution::Outdated)
            );
            given_way += 1;
        }
    }
    let mut refused = 0;
    for number in 0..40 {
        for body in main.tell(Input::Command(
            command(&number.to_string(), 1, run_commit("cart", "x", None)).into(),
        )) {
            let Body::CommandSettled(settled) = body else {
                panic!("{body:?}")
            };
            assert_eq!(settled.stop.expect("a stop").reason, Reason::TooMany);
            refused += 1;
        }
    }
    let State::Head(head) = &main.state else {
        panic!("no head")
    };
    assert_eq!((given_way, refused, head.asks.len()), (24, 24, 32));
    assert_eq!(
        head.asks[0].id(),
        push("0", "main", "").push.0,
        "the one in hand stays"
    );
    let mut ended = 0;
    while BuilderDecide.work(&main.key, &main.state).is_some() {
        ended += main
            .tell(Input::GivenUp {
                tries: 5,
                stop: None,
            })
            .len();
    }
    assert_eq!(ended, 32);
}

#[test]
fn forgotten_commands_are_refused_as_too_old_and_a_record_stays_small() {
    let mut main = Branch::new(config(URL, ""), "main");
    for number in 0..300 {
        let said = main.tell(Input::Command(
            command(&number.to_string(), number, deploy(None)).into(),
        ));
        assert_eq!(said.len(), 3);
    }
    let again = |main: &mut Branch, number: i64| {
        main.tell(Input::Command(
            command(&number.to_string(), number, deploy(None)).into(),
        ))
    };
    assert!(
        again(&mut main, 299).is_empty() && again(&mut main, 44).is_empty(),
        "remembered"
    );
    let said = again(&mut main, 43);
    let [Body::CommandSettled(settled)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        settled.stop.as_ref().expect("a stop").reason,
        Reason::CommandTooOld
    );
    let long = "é".repeat(5000);
    for number in 0..40 {
        let mut received = push(&number.to_string(), "main", &commit(number));
        (received.message, received.author) = (Some(long.clone()), Some(long.clone()));
        main.tell(pushed(received));
        let mut ask = command(
            &format!("run {number}"),
            400,
            run_commit("cart", &"c".repeat(200), None),
        );
        ask.why = Some(long.clone());
        main.tell(Input::Command(ask.into()));
    }
    let size = serde_json::to_vec(&main.state).expect("JSON").len();
    assert!(size < 60_000, "{size}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Pushes of a straight history in any order, some twice, some refused for a moment: every push is
    /// resolved, orders only grow, and the head ends at the last.
    #[test]
    fn every_push_is_resolved_and_the_order_grows(
        order in Just((1usize..9).chain(1..9).collect::<Vec<_>>()).prop_shuffle(),
        failing in prop::collection::vec(any::<bool>(), 16),
    ) {
        let mut main = Branch::new(config(URL, ""), "main");
        let mut head = None;
        for (after, fails) in order.iter().zip(failing).chain((1..9).collect::<Vec<_>>().iter().map(|after| (after, false))) {
            main.tell(pushed(push(&after.to_string(), "main", &commit(*after))));
            if BuilderDecide.work(&main.key, &main.state).is_none() {
                continue;
            }
            let said = if fails {
                answer(&mut main, Err(Stop::new(Reason::FetchFailed, "no network")))
            } else {
                let found = found(head, *after, 8, "cart/x");
                head = head.max(Some(*after));
                answer(&mut main, Ok(found))
            };
            prop_assert!(matches!(said.first(), Some(Body::PushResolved(_))));
        }
        let orders: Vec<u64> = main.said.iter().filter_map(|body| match body {
            Body::ChangeMerged(change) => Some(change.order),
            _ => None,
        }).collect();
        prop_assert!(orders.windows(2).all(|pair| pair[0] < pair[1]), "{orders:?}");
        let State::Head(state) = &main.state else { panic!("no head") };
        prop_assert_eq!(state.present.as_ref().map(|present| present.commit.clone()), Some(commit(8)));
    }
}

/// A push that touches more modules than one write holds is told in parts, each run once, and nothing else of
/// the branch comes between.
#[test]
fn a_push_of_a_thousand_modules_is_told_whole() {
    let modules: String = (0..1000)
        .map(|number| {
            format!("[modules.m{number:04}]\nrepository = \"shop\"\npath = \"m{number:04}\"\npaths = [\"**\"]\n")
        })
        .collect();
    let mut main = Branch::new(config(URL, &modules), "main");
    main.tell(pushed(push("1", "main", &commit(1))));
    let mut said = answer(&mut main, Ok(found(None, 1, 2, "all")));
    assert!(said.len() < 450, "{} in one write", said.len());
    // What comes meanwhile waits; a jar that is uploaded takes a sequence of its own.
    main.tell(pushed(push("2", "main", &commit(2))));
    main.tell(Input::Command(command("jar", 1, deploy(None)).into()));
    let mut parts = 0;
    while let Some(Work::Tell { push, .. }) = BuilderDecide.work(&main.key, &main.state) {
        // Whoever tells may be lost, or come twice.
        let next = match parts {
            0 => Input::GivenUp {
                tries: 5,
                stop: None,
            },
            _ => Input::Outcome(Outcome::Told { push }),
        };
        let part = main.tell(next);
        assert!(part.len() < 450, "{} in one write", part.len());
        said.extend(part);
        parts += 1;
    }
    let late = Outcome::Told {
        push: push("1", "main", "").push,
    };
    assert!(main.tell(Input::Outcome(late)).is_empty());
    let (resolved, changes) = support::split(said);
    let told: Vec<RunId> = changes.iter().map(|change| change.run).collect();
    let runs: Vec<RunId> = resolved.runs.iter().map(|it| it.run).collect();
    assert!(told.len() >= 1000 && told == runs, "each once, in order");
    assert!(changes.iter().all(|it| it.order == 1), "of one head");

    let second = answer(&mut main, Ok(found(Some(1), 2, 2, "all")));
    assert!(matches!(&second[0], Body::PushResolved(it) if it.resolution == Resolution::Started));
}
