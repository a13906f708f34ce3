//! The views, told by the events of whole runs, and what the API then shows.

mod common;

use common::story::*;
use ferry_api::{RunState, RunsQuery, TaskState};
use ferry_events::body::*;
use ferry_events::rollout::{Direction, RolloutOutcome};
use ferry_events::run::Outcome;
use ferry_events::{Reason, RunId, Service, Stop, base, work};
use ferry_gateway::decide::views::{Found, Views};

fn goes_live() -> Story {
    let mut story = Story::new(7);
    story.pushed();
    story.built(None);
    story.slimmed();
    story.planned("pre", Direction::Forward, NEW, &[&["pre-1"]]);
    story.say(
        Service::Scheduler,
        Some("pre"),
        WaveStarted(story.wave(1, None)),
    );
    story.changed("pre-1", Some(NEW), None);
    story.watched("pre-1", NEW, None);
    story.say(
        Service::Scheduler,
        Some("pre"),
        WaveFinished(story.wave(1, None)),
    );
    story.live("pre", NEW);
    story.rolled_out("pre", RolloutOutcome::Verified, NEW, None);
    story
}

#[test]
fn a_run_that_goes_live() {
    let mut story = goes_live();
    assert_eq!(story.view().summary.state, RunState::RollingOut);
    story.ended(Outcome::Success, Some("pre"), None);
    insta::assert_json_snapshot!(story.view());
}

/// What is tried again is shown until its service says anything else of the run.
#[test]
fn what_is_tried_again_is_shown_until_it_goes_on() {
    let mut story = Story::new(7);
    story.pushed();
    let at = "2025-06-01T09:31:00Z".parse().unwrap();
    let retried = |service, tries, what: &str, run| work::Retried {
        service,
        work: "build.1".into(),
        what: what.into(),
        push: None,
        command: None,
        run: Some(run),
        module: Some("hello".into()),
        tries,
        most: 6,
        first_at: at,
        next_at: at,
        stop: Stop::new(Reason::DependencyUnreachable, "Connection refused"),
    };
    for tries in 1..3 {
        let it = retried(Service::Builder, tries, "build", story.run);
        story.say(Service::Builder, None, it);
        let retry = story.view().retry.expect("it is tried again");
        assert_eq!((retry.tries, retry.most), (tries, 6));
        assert_eq!(retry.stop.code, Reason::DependencyUnreachable);
    }
    story.built(None);
    assert_eq!(story.view().retry, None, "it went on");
    let it = retried(Service::Slimmer, 1, "slim", story.run);
    story.say(Service::Slimmer, None, it);
    assert!(story.view().retry.is_some());
    story.ended(Outcome::Failure, None, None);
    assert_eq!(story.view().retry, None, "it ended");
}

#[test]
fn a_build_that_fails() {
    let mut story = Story::new(7);
    story.pushed();
    let stop = Stop::new(Reason::DoesNotCompile, "Hello.java:[3,5] ';' expected");
    story.built(Some(stop.clone()));
    assert!(story.views.runs().log_is_complete(story.run));
    story.ended(Outcome::Failure, None, Some(stop));
    insta::assert_json_snapshot!(story.view());
}

#[test]
fn a_rollout_that_fails_and_goes_back() {
    let mut story = goes_live();
    story.planned("prod", Direction::Forward, NEW, &[&["prod-1"], &["prod-2"]]);
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    story.changed("prod-1", Some(NEW), None);
    let stop = Stop::new(Reason::ProbeFailed, "GET /hello answered 500").on("prod-1");
    story.watched("prod-1", NEW, Some(stop.clone()));
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveFinished(story.wave(1, Some(stop.clone()))),
    );
    story.planned("prod", Direction::Back, OLD, &[&["prod-1"]]);
    assert_eq!(
        story.view().environments[1].state,
        ferry_api::EnvironmentState::RollingBack
    );
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    story.changed("prod-1", Some(OLD), None);
    story.watched("prod-1", OLD, None);
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveFinished(story.wave(1, None)),
    );
    story.rolled_out("prod", RolloutOutcome::RolledBack, OLD, Some(stop.clone()));
    story.ended(Outcome::Failure, Some("prod"), Some(stop));

    let view = story.view();
    let states: Vec<_> = view.environments[1]
        .tasks
        .iter()
        .map(|it| (it.base.as_str(), it.state))
        .collect();
    let expected = [
        ("prod-1", TaskState::Failed),
        ("prod-2", TaskState::Waiting),
        ("prod-1", TaskState::Verified),
    ];
    assert_eq!(states, expected);
    insta::assert_json_snapshot!(view);
}

#[test]
fn what_is_live_is_told_with_its_commit_and_drift() {
    let mut story = goes_live();
    let text = common::toml();
    let config = ferry_config::parse(&[("ferry.toml".into(), text)])
        .unwrap()
        .config;
    let live = |story: &Story| {
        let module = story.views.module(&config, "hello").unwrap();
        module.environments.into_iter().next().unwrap()
    };
    let pre = live(&story);
    assert_eq!(
        (pre.version.as_deref(), pre.commit.as_deref()),
        (Some(NEW), Some(COMMIT))
    );
    assert!(pre.verified && pre.changing.is_none() && pre.drifted.is_empty());

    let drifted = base::Drifted {
        base: "pre-1".into(),
        environment: "pre".into(),
        module: "hello".into(),
        wanted: Some(NEW.into()),
        actual: vec![OLD.into()],
        revision: 3,
        sighting: 2,
    };
    story.say(Service::Verifier, Some("pre"), drifted.clone());
    assert_eq!(live(&story).drifted, [drifted]);

    let seen = base::Seen {
        base: "pre-1".into(),
        pool: "pre".into(),
        environment: "pre".into(),
        zone: "default".into(),
        modules: vec![base::ModuleOnBase {
            name: "hello".into(),
            version: NEW.into(),
            state: "activated".into(),
        }],
        metaspace_used: Some(1000),
        metaspace_committed: None,
        metaspace_max: None,
        at: "2025-06-01T09:31:00Z".parse().unwrap(),
        revisions: Default::default(),
        sighting: 3,
    };
    story.say(Service::Verifier, Some("pre"), BaseChanged(seen));
    assert!(live(&story).drifted.is_empty());
    let lost = base::Lost {
        base: "pre-1".into(),
        pool: "pre".into(),
        environment: "pre".into(),
        last_seen: None,
        why: "connection refused".into(),
        sighting: 4,
    };
    story.say(Service::Verifier, Some("pre"), lost);
    insta::assert_json_snapshot!(story.views.bases(&config));
}

#[test]
fn the_same_events_again_change_nothing() {
    let story = goes_live();
    let mut again = goes_live();
    let before = again.view();
    // A watch that begins anew delivers the whole stream again.
    again.second = 0;
    again.pushed();
    again.built(None);
    assert_eq!(again.view(), before);
    assert_eq!(again.view(), story.view());
    assert_eq!(again.views.head(), story.views.head());
}

#[test]
fn runs_are_found_by_their_first_digits_and_listed_newest_first() {
    let mut story = Story::new(7);
    let mut ids = Vec::new();
    for head in 1..=40 {
        story.run = RunId::of("hello", "main", head, "hello");
        story.second = u32::try_from(head).unwrap();
        story.ended(
            if head % 2 == 0 {
                Outcome::Success
            } else {
                Outcome::Failure
            },
            None,
            None,
        );
        ids.push(story.run);
    }
    let runs = story.views.runs();
    let id = ids[3].to_string();
    assert!(matches!(runs.find(&id, |_| true), Found::One(run) if run.summary.id == ids[3]));
    assert!(matches!(runs.find(&id[..13], |_| true), Found::One(run) if run.summary.id == ids[3]));
    assert!(matches!(runs.find("", |_| true), Found::Several(all) if all.len() == 40));
    assert!(matches!(runs.find("zzz", |_| true), Found::None));
    assert!(matches!(runs.find(&id, |_| false), Found::None));

    let query = RunsQuery {
        state: Some(RunState::Failed),
        limit: Some(3),
        module: None,
    };
    let listed: Vec<RunId> = runs
        .list(&query, |_| true)
        .iter()
        .map(|run| run.id)
        .collect();
    assert_eq!(listed, [ids[38], ids[36], ids[34]]);
    let query = RunsQuery {
        module: Some("other".into()),
        ..RunsQuery::default()
    };
    assert!(runs.list(&query, |_| true).is_empty());
}

#[test]
fn what_was_kept_counts_until_an_event_says_otherwise() {
    let config = ferry_config::parse(&[("ferry.toml".into(), common::toml())])
        .unwrap()
        .config;
    let kept: Vec<_> = goes_live().views.records().cloned().collect();
    assert_eq!(kept.len(), 1);
    let live = |views: &Views| {
        let module = views.module(&config, "hello").unwrap();
        let pre = module.environments.into_iter().next().unwrap();
        (pre.version, pre.commit, pre.verified)
    };
    // A month later: the events are gone, the record is not.
    let mut story = Story::new(8);
    kept.into_iter()
        .for_each(|record| story.views.recall(record));
    let commit = Some(COMMIT.to_owned());
    assert_eq!(
        live(&story.views),
        (Some(NEW.to_owned()), commit.clone(), true)
    );
    // The same artifact again: its build is not told any more.
    story.live("pre", OLD);
    assert_eq!(live(&story.views), (Some(OLD.to_owned()), commit, true));
}
