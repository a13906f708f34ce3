//! What is decided for a build, without Maven: everything twice, late and out of order.

mod support;

use ferry_builder::{
    BuilderDecide,
    decide::{Outcome, State, build::Built, build_key, settings},
};
use ferry_config::Config;
use ferry_events::{Body, Digest, Reason, RunId, Stop, artifact::Biz, push::ChangeMerged};
use ferry_runtime::{Decide, Input, Key};
use proptest::prelude::*;
use support::{changed, config, context};

const URL: &str = "https://git.example/acme/shop.git";

fn commit(number: usize) -> String {
    format!("{number:040x}")
}

fn biz() -> Biz {
    Biz {
        name: "cart".into(),
        version: "1.0.0".into(),
        web_context_path: Some("/cart".into()),
    }
}

/// A build's aggregate.
struct Build {
    key: Key,
    state: State,
    config: Config,
}

impl Build {
    fn new(config: Config) -> Self {
        let id = settings::build_id(&change(0), settings::of(&config, "cart").as_ref());
        Self {
            key: build_key(id),
            state: State::New,
            config,
        }
    }

    fn tell(&mut self, input: Input<Outcome>) -> Vec<String> {
        let decision = BuilderDecide
            .decide(&self.key, &self.state, &input, &context(&self.config))
            .expect("no fault");
        self.state = decision.state;
        decision.events.iter().map(|say| said(&say.body)).collect()
    }

    fn works(&self) -> bool {
        BuilderDecide.work(&self.key, &self.state).is_some()
    }
}

fn run(number: u64) -> RunId {
    RunId::of("shop", "main", number, "cart")
}

fn change(number: u64) -> ChangeMerged {
    support::change(run(number), ("cart", "shop", "main"), number, commit(7))
}

fn said(body: &Body) -> String {
    let name = |run: &RunId| {
        (0..100)
            .find(|number| self::run(*number) == *run)
            .map_or("?".into(), |n| n.to_string())
    };
    match body {
        Body::BuildQueued(build) => format!("queued {}", name(&build.run)),
        Body::BuildStarted(build) => format!("started {}", name(&build.run)),
        Body::BuildFinished(end) => {
            let stop = end
                .stop
                .as_ref()
                .map_or(String::new(), |stop| format!(" {}", stop.reason));
            let reused = if end.reused { " reused" } else { "" };
            format!("finished {}{stop}{reused}", name(&end.run))
        }
        Body::ArtifactPackaged(jar) => format!("packaged {}", name(&jar.run)),
        other => panic!("unexpected {other:?}"),
    }
}

fn built(result: Result<(), Reason>) -> Input<Outcome> {
    let made = Built {
        rules: Vec::new(),
        own: None,
        digest: Digest::of(b"jar"),
        size: 3,
        biz: biz(),
    };
    let result = result
        .map(|()| made)
        .map_err(|reason| Stop::new(reason, "why"));
    Input::Outcome(Outcome::Built { millis: 12, result })
}

fn began(round: u32) -> Input<Outcome> {
    Input::Report(Outcome::Began { round })
}

#[test]
fn every_run_that_waits_hears_of_its_build() {
    let mut build = Build::new(config(URL, ""));
    assert_eq!(build.tell(changed(change(1))), ["queued 1"]);
    let work = BuilderDecide.work(&build.key, &build.state);
    assert_eq!(build.tell(changed(change(1))), [""; 0], "again");
    assert_eq!(build.tell(began(1)), ["started 1"]);
    assert_eq!(build.tell(began(1)), [""; 0], "again");
    assert_eq!(build.tell(changed(change(2))), ["queued 2", "started 2"]);
    assert_eq!(
        BuilderDecide.work(&build.key, &build.state),
        work,
        "one that joins does not disturb the build"
    );
    let all = ["finished 1", "packaged 1", "finished 2", "packaged 2"];
    assert_eq!(build.tell(built(Ok(()))), all);
    assert!(!build.works());
    assert_eq!(build.tell(began(1)), [""; 0], "late");
    assert_eq!(build.tell(changed(change(2))), [""; 0], "late");
    assert_eq!(
        build.tell(changed(change(3))),
        ["finished 3 reused", "packaged 3"]
    );
    assert!(!build.works());
}

#[test]
fn a_failed_build_is_tried_again_for_a_new_run_only() {
    let mut build = Build::new(config(URL, ""));
    build.tell(changed(change(1)));
    assert_eq!(
        build.tell(built(Err(Reason::DoesNotCompile))),
        ["started 1", "finished 1 does-not-compile"]
    );
    assert_eq!(
        build.tell(changed(change(1))),
        [""; 0],
        "the same run is not built twice"
    );
    assert!(!build.works());
    assert_eq!(build.tell(changed(change(2))), ["queued 2"]);
    assert!(build.works());
    assert_eq!(build.tell(began(1)), [""; 0], "a word of the round before");
    assert_eq!(
        build.tell(Input::GivenUp {
            tries: 5,
            stop: None,
        }),
        ["started 2", "finished 2 build-lost"]
    );
}

#[test]
fn a_build_of_other_settings_is_another_build() {
    let one = config(URL, "");
    let mut other = one.clone();
    other.modules.get_mut("cart").expect("cart").goals = vec!["verify".into()];
    let key = |config: &Config| {
        let Input::Event(event) = changed(change(1)) else {
            panic!("an event")
        };
        BuilderDecide.route(&event, config)
    };
    assert_eq!(key(&one), key(&one.clone()));
    assert_ne!(key(&one), key(&other));
    // Routed before the configuration changed, decided after: it is routed again.
    let mut build = Build::new(one);
    build.config = other;
    let late = BuilderDecide.decide(
        &build.key,
        &build.state,
        &changed(change(1)),
        &context(&build.config),
    );
    assert!(late.is_err());
}

#[test]
fn a_module_that_is_gone_ends_its_run() {
    let mut gone = config(URL, "");
    gone.modules.remove("cart");
    let id = settings::build_id(&change(1), None);
    let mut build = Build {
        key: build_key(id),
        state: State::New,
        config: gone,
    };
    assert_eq!(
        build.tell(changed(change(1))),
        ["finished 1 unknown-module"]
    );
    assert!(!build.works());
}

#[test]
fn runs_beyond_the_limit_end_too() {
    let mut build = Build::new(config(URL, ""));
    let said: Vec<String> = (0..70)
        .flat_map(|number| build.tell(changed(change(number))))
        .collect();
    assert_eq!(
        said.iter()
            .filter(|line| line.starts_with("queued"))
            .count(),
        64
    );
    assert_eq!(
        said.iter()
            .filter(|line| line.ends_with("too-many"))
            .count(),
        6
    );
    let size = serde_json::to_vec(&build.state).expect("JSON").len();
    assert!(size < 16_000, "{size}");
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u64),
    Began(u32),
    Built(bool),
    GivenUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..8).prop_map(Step::Ask),
        2 => (0u32..4).prop_map(Step::Began),
        2 => any::<bool>().prop_map(Step::Built),
        1 => Just(Step::GivenUp),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever comes in whatever order, each run is told: queued, started, and one end; a jar with a good end.
    #[test]
    fn each_run_has_one_end(steps in steps()) {
        let mut build = Build::new(config(URL, ""));
        let mut said: Vec<String> = Vec::new();
        for step in steps {
            let input = match step {
                Step::Ask(number) => changed(change(number)),
                Step::Began(round) => began(round),
                // Outcomes come only from work that was claimed.
                Step::Built(_) | Step::GivenUp if !build.works() => continue,
                Step::Built(good) => built(if good { Ok(()) } else { Err(Reason::BuildFailed) }),
                Step::GivenUp => Input::GivenUp {
 tries: 5,
 stop: None,
 },
            };
            said.extend(build.tell(input));
        }
        if build.works() {
            said.extend(build.tell(built(Ok(()))));
        }
        for number in 0..8 {
            let of: Vec<&str> = said
                .iter()
                .filter(|line| line.split(' ').nth(1) == Some(&number.to_string()))
                .map(|line| line.split(' ').next().unwrap_or_default())
                .collect();
            let good: [&[&str]; 4] = [
                &[],
                &["queued", "started", "finished"],
                &["queued", "started", "finished", "packaged"],
                &["finished", "packaged"],
            ];
            prop_assert!(good.contains(&of.as_slice()), "{number}: {of:?} in {said:?}");
        }
    }
}
