//! Stories, told from the acts that are kept: of a run that failed halfway through prod, of one that went live, of a
//! base, of a module; what was live where; and all of it over HTTP.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::story::*;
use common::*;
use ferry_api::{About, AuditQuery, HistoryQuery, PeriodEnd, Safety, WhyQuery, WhyView};
use ferry_bus::MemoryBus;
use ferry_config::Config;
use ferry_events::body::*;
use ferry_events::fact::{Owed, Wanted};
use ferry_events::rollout::{self, Direction, Limits, RolloutOutcome, Zone};
use ferry_events::run::{Outcome, RunKind};
use ferry_events::{
    Body, CommandId, Event, Reason, RunId, Scope, Service, Stop, base, command, gate, line,
    restart, run,
};
use ferry_gateway::decide::why::{History, Known, OfBase, OfModule, OfRun};
use futures::StreamExt as _;
use uuid::Uuid;

/// Six bases of prod in two zones.
const PROD: [(&str, &str); 6] = [
    ("prod-1", "east"),
    ("prod-2", "west"),
    ("prod-3", "east"),
    ("prod-4", "west"),
    ("prod-5", "east"),
    ("prod-6", "west"),
];

fn six() -> Config {
    let mut text = toml();
    text.truncate(text.find("[[pools.prod.bases]]").unwrap());
    for (port, (name, zone)) in PROD.iter().enumerate() {
        let (arklet, url) = (7001 + port, 8001 + port);
        writeln!(
            text,
            "[[pools.prod.bases]]\nname = \"{name}\"\nzone = \"{zone}\"\narklet = \"http://127.0.0.1:{arklet}\"\nurl = \"http://127.0.0.1:{url}\""
        )
        .unwrap();
    }
    ferry_config::parse(&[("ferry.toml".into(), text)])
        .unwrap()
        .config
}

/// Everything that a reader sees, line by line.
fn text(view: &WhyView) -> String {
    let mut text = format!("{}\n", view.now);
    if let Some(cause) = &view.cause {
        let at = cause.at.format("%H:%M:%S");
        let stop = &cause.stop;
        writeln!(
            text,
            "cause {at} {:?} {} {:?}: {}",
            cause.environment, stop.code, stop.base, stop.detail
        )
        .unwrap();
    }
    for it in &view.troubles {
        writeln!(
            text,
            "{}: wave {} of {}, going back: {}, live: {:?}",
            it.environment, it.wave, it.waves, it.going_back, it.live
        )
        .unwrap();
        writeln!(
            text,
            "  back: {:?}\n  untouched: {:?}",
            it.back, it.untouched
        )
        .unwrap();
        for one in &it.not_back {
            writeln!(
                text,
                "  not back: {} (quarantined {}, lost {}, given up {}): {}",
                one.base, one.quarantined, one.lost, one.given_up, one.what
            )
            .unwrap();
        }
        writeln!(
            text,
            "  traffic {:?}, {} of {}: {}",
            it.traffic.safety, it.traffic.serving, it.traffic.of, it.traffic.text
        )
        .unwrap();
    }
    for next in &view.next {
        writeln!(text, "next: {next}").unwrap();
    }
    for it in &view.story {
        let bad = if it.bad { "!" } else { " " };
        let why = it
            .why
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        writeln!(text, "{} {bad} {}{why}", it.at.format("%H:%M:%S"), it.text).unwrap();
    }
    text
}

fn joins(story: &mut Story, base: &str, environment: &str, versions: &[&str]) {
    let (pool, zone) = (
        environment,
        PROD.iter()
            .find(|one| one.0 == base)
            .map_or("default", |one| one.1),
    );
    let seen = base::Seen {
        base: base.into(),
        pool: pool.into(),
        environment: environment.into(),
        zone: zone.into(),
        modules: versions
            .iter()
            .map(|version| base::ModuleOnBase {
                name: "hello".into(),
                version: (*version).into(),
                state: "activated".into(),
            })
            .collect(),
        metaspace_used: None,
        metaspace_committed: None,
        metaspace_max: None,
        at: "2025-06-01T09:30:00Z".parse().unwrap(),
        revisions: BTreeMap::new(),
        sighting: u64::from(story.second),
    };
    story.say(Service::Verifier, None, BaseChanged(seen));
}

fn wants(story: &mut Story, owed: BTreeMap<String, Owed>) {
    let wanted = Wanted {
        module: "hello".into(),
        environment: "prod".into(),
        biz: "hello".into(),
        versions: [("prod".to_owned(), OLD.to_owned())].into(),
        rollout: None,
        owed,
    };
    story.second += 1;
    story.views.wants(u64::from(story.second) * 3, wanted);
}

/// Two waves of prod: the second one breaks a base that then cannot be brought back; another one is lost.
fn halfway() -> Story {
    let mut story = Story::new(7);
    for (base, _) in PROD {
        joins(&mut story, base, "prod", &[OLD]);
    }
    story.pushed();
    story.built(None);
    story.slimmed();
    story.planned(
        "prod",
        Direction::Forward,
        NEW,
        &[
            &["prod-1", "prod-2"],
            &["prod-3", "prod-4"],
            &["prod-5", "prod-6"],
        ],
    );
    limits(&mut story);
    story.waits(
        "approval",
        gate::Point::Start,
        gate::Ask::Approval {
            by: vec!["ada".into()],
            count: 1,
            not: vec![],
        },
    );
    story.waited(
        "approval",
        gate::Point::Start,
        gate::Outcome::Passed,
        &["ada"],
        None,
    );
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    for base in ["prod-1", "prod-2"] {
        story.changed(base, Some(NEW), None);
        story.watched(base, NEW, None);
    }
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveFinished(story.wave(1, None)),
    );
    story.line(
        1,
        line::Act::Pause,
        line::Stretch::Environment("pre".into()),
    );
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(2, None)),
    );
    story.changed("prod-4", Some(NEW), None);
    story.changed("prod-3", Some(NEW), None);
    let stop = Stop::new(
        Reason::ProbeFailed,
        "GET /hello/ answered 500\nat acme.Hello",
    )
    .on("prod-3");
    story.watched("prod-3", NEW, Some(stop.clone()));
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveFinished(story.wave(2, Some(stop.clone()))),
    );
    story.planned(
        "prod",
        Direction::Back,
        OLD,
        &[&["prod-1", "prod-2", "prod-3", "prod-4"]],
    );
    because(&mut story, &stop);
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    for base in ["prod-1", "prod-2"] {
        story.changed(base, Some(OLD), None);
        story.watched(base, OLD, None);
    }
    let lost = base::Lost {
        base: "prod-4".into(),
        pool: "prod".into(),
        environment: "prod".into(),
        last_seen: None,
        why: "connection refused".into(),
        sighting: 900,
    };
    story.say(Service::Verifier, None, lost);
    let full = Stop::new(Reason::InstallFailed, "OutOfMemoryError: Metaspace");
    story.changed("prod-3", None, Some(full.clone()));
    let gone = Stop::new(Reason::BaseUnreachable, "connection refused");
    story.changed("prod-4", None, Some(gone.clone()));
    joins(&mut story, "prod-3", "prod", &[]);
    let failed = vec![full.on("prod-3"), gone.on("prod-4")];
    let broken = Stop::new(
        Reason::RollbackFailed,
        format!(
            "{}; {}; it went back because of {stop}",
            failed[0], failed[1]
        ),
    );
    let finished = rollout::Finished {
        run: story.run,
        module: "hello".into(),
        environment: "prod".into(),
        outcome: RolloutOutcome::Broken,
        live: Some(OLD.into()),
        stop: Some(broken.clone()),
        failed: failed.clone(),
    };
    story.say(Service::Scheduler, Some("prod"), finished);
    story.ended(Outcome::Error, Some("prod"), Some(broken));
    let owed = |stop: &Stop, lost| Owed {
        since: "2025-06-01T09:30:50Z".parse().unwrap(),
        repair: None,
        repairs: 1,
        next: Some("2025-06-01T09:40:00Z".parse().unwrap()),
        lost,
        stop: Some(stop.clone()),
    };
    let all = [
        ("prod-3".to_owned(), owed(&failed[0], false)),
        ("prod-4".to_owned(), owed(&failed[1], true)),
    ];
    wants(&mut story, all.into());
    story
}

/// The last plan that was said gets limits of its own.
fn limits(story: &mut Story) {
    let zone = Zone {
        bases: 3,
        max_unavailable: 1,
        min_available: 2,
    };
    let zones = [("east".to_owned(), zone.clone()), ("west".to_owned(), zone)].into();
    if let Some(Body::RolloutPlanned(it)) = story.events.last_mut().map(|event| &mut event.body) {
        it.plan.limits = Limits {
            zones,
            ..Limits::default()
        };
    }
}

fn because(story: &mut Story, stop: &Stop) {
    if let Some(Body::RolloutPlanned(it)) = story.events.last_mut().map(|event| &mut event.body) {
        it.because = Some(stop.clone());
    }
}

fn of_run(story: &Story, past: &[&str]) -> WhyView {
    let mut told = OfRun::new(story.run, "hello", Some(story.push));
    for event in story
        .events
        .iter()
        .filter(|event| event.body.kind().is_kept())
    {
        assert!(told.take(event).is_continue());
    }
    let (run, bases) = (story.view(), story.views.bases(&six()));
    let past: BTreeSet<String> = past.iter().map(|name| (*name).to_owned()).collect();
    told.told(Known {
        run: Some(&run),
        bases: &bases,
        past: &past,
    })
}

#[test]
fn a_wave_of_prod_that_failed_halfway() {
    let view = of_run(&halfway(), &[]);
    insta::assert_snapshot!(text(&view));
    let trouble = &view.troubles[0];
    assert_eq!(trouble.traffic.safety, Safety::Reduced);
    // Once something else is live there, how its bases stand is another run's story.
    let later = of_run(&halfway(), &["prod"]);
    assert_eq!(later.troubles, []);
    assert_eq!(later.cause, view.cause);
}

/// The stream of acts comes a little later than the views: the story says that its end is missing.
#[test]
fn a_story_without_its_end_says_so() {
    let story = halfway();
    let mut told = OfRun::new(story.run, "hello", None);
    for event in &story.events[..story.events.len() - 1] {
        assert!(told.take(event).is_continue());
    }
    let (run, past) = (story.view(), BTreeSet::new());
    let known = Known {
        run: Some(&run),
        bases: &[],
        past: &past,
    };
    assert!(told.told(known).behind);
    assert!(!of_run(&story, &[]).behind);
}

#[test]
fn traffic_is_not_safe_where_a_zone_has_too_few() {
    let mut story = halfway();
    for base in ["prod-1", "prod-5"] {
        let lost = base::Lost {
            base: base.into(),
            pool: "prod".into(),
            environment: "prod".into(),
            last_seen: None,
            why: "connection refused".into(),
            sighting: 901,
        };
        story.second = story.second.min(50);
        story.views.apply(
            100_000 + u64::from(base.as_bytes()[5]),
            &event(Service::Verifier, Scope::default(), 58, lost),
        );
    }
    let view = of_run(&story, &[]);
    insta::assert_snapshot!(view.troubles[0].traffic.text);
    assert_eq!(view.troubles[0].traffic.safety, Safety::Unsafe);
}

#[test]
fn while_it_goes_back() {
    let mut story = halfway();
    // Up to the wave back.
    let cut = story
        .events
        .iter()
        .rposition(|event| matches!(event.body, Body::WaveStarted(_)))
        .unwrap();
    story.events.truncate(cut + 1);
    let mut told = OfRun::new(story.run, "hello", None);
    for event in &story.events {
        assert!(told.take(event).is_continue());
    }
    let bases = story.views.bases(&six());
    let view = told.told(Known {
        run: None,
        bases: &bases,
        past: &BTreeSet::new(),
    });
    assert!(view.troubles[0].going_back);
    assert!(view.next[0].starts_with("ferry watch"), "{:?}", view.next);
}

#[test]
fn a_base_that_could_not_be_brought_back() {
    let story = halfway();
    let mut told = OfBase::new("prod-3");
    for event in story
        .events
        .iter()
        .filter(|event| event.body.kind().is_kept())
    {
        told.take(event);
    }
    let bases = story.views.bases(&six());
    let view = told.told(bases.iter().find(|base| base.name == "prod-3"));
    insta::assert_snapshot!(text(&view));
}

/// One base, all that happened to it: by people, and by Ferry.
#[test]
fn a_base_that_is_restarted_and_held() {
    let mut story = halfway();
    let turn = restart::Turn {
        number: 1,
        base: "prod-2".into(),
        pool: "prod".into(),
        environment: "prod".into(),
    };
    let cause = restart::Cause::Metaspace {
        committed: 246 << 20,
        max: 256 << 20,
        mark: 90,
    };
    let listed = restart::Listed {
        base: "prod-2".into(),
        pool: "prod".into(),
        environment: "prod".into(),
        cause,
        since: "2025-06-01T09:40:00Z".parse().unwrap(),
        driven: true,
    };
    let asked = restart::Asked {
        turn: turn.clone(),
        until: listed.since,
        back_by: listed.since,
    };
    let finished = restart::Finished {
        turn: turn.clone(),
        stop: None,
        ended: listed.since,
        millis: 41_000,
    };
    let stop = Stop::new(Reason::RestartFailed, "it answers, but without hello");
    let over = restart::Over {
        base: "prod-2".into(),
        pool: "prod".into(),
        environment: "prod".into(),
        turn: Some(1),
        outcome: restart::Outcome::Failed,
        stop: Some(stop.on("prod-2")),
    };
    story.say(Service::Scheduler, Some("prod"), listed);
    story.say(Service::Scheduler, Some("prod"), asked);
    story.say(Service::Installer, Some("prod"), finished);
    let now = |story: &Story| {
        let mut told = OfBase::new("prod-2");
        let kept = story.events.iter();
        kept.filter(|event| event.body.kind().is_kept())
            .for_each(|event| told.take(event));
        let bases = story.views.bases(&six());
        told.told(bases.iter().find(|base| base.name == "prod-2"))
    };
    assert!(
        now(&story)
            .now
            .contains("it was restarted, and its modules"),
        "{}",
        now(&story).now
    );
    story.say(Service::Scheduler, Some("prod"), over);
    story.line(2, line::Act::Hold, line::Stretch::of_base("prod-2", "prod"));
    insta::assert_snapshot!(text(&now(&story)));
}

#[test]
fn a_module_with_people() {
    let mut story = halfway();
    story.line(
        2,
        line::Act::Pause,
        line::Stretch::Environment("prod".into()),
    );
    let settled = command::Settled {
        command: CommandId(Uuid::nil()),
        actor: "bob".into(),
        verb: "promote".into(),
        why: Some("I know better".into()),
        based_on: Some(77),
        module: "hello".into(),
        environment: Some("prod".into()),
        run: None,
        stop: Some(Stop::new(
            Reason::NotWaiting,
            "run 1 does not wait for anything in prod",
        )),
    };
    story.say(Service::Scheduler, Some("prod"), settled);
    let queued = run::Queued {
        run: RunId::of_command(CommandId(Uuid::nil()), "hello"),
        module: "hello".into(),
        kind: RunKind::Rollback,
        environments: vec!["prod".into()],
        repository: "hello".into(),
        branch: String::new(),
        commit: None,
        author: Some("bob".into()),
        message: Some("prices are wrong".into()),
        push: None,
        command: Some(CommandId(Uuid::nil())),
    };
    story.say(Service::Scheduler, None, queued);
    let mut told = OfModule::new("hello");
    for event in story
        .events
        .iter()
        .filter(|event| event.body.kind().is_kept())
    {
        told.take(event);
    }
    let config = six();
    let view = story.views.module(&config, "hello");
    let run = story.view();
    let view = told.told(view.as_ref(), Some(&run.summary));
    insta::assert_snapshot!(text(&view));
    assert!(view.story.iter().any(|it| it.based_on == Some(77)));
}

/// A run of another number that goes live, or comes back.
fn rolls_out(head: u64, minute: u32, outcome: RolloutOutcome, events: &mut Vec<Event>) {
    let version = format!("1.0.{head}");
    let mut story = Story::new(head);
    story.pushed();
    story.planned("prod", Direction::Forward, &version, &[&["prod-1"]]);
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    match outcome {
        RolloutOutcome::Verified => {
            story.live("prod", &version);
            story.rolled_out("prod", outcome, &version, None);
        }
        _ => {
            let stop = Stop::new(Reason::ProbeFailed, "it answered 500").on("prod-1");
            story.rolled_out("prod", outcome, "1.0.1", Some(stop));
        }
    }
    for mut event in story.events {
        event.time += chrono::TimeDelta::minutes(i64::from(minute));
        events.push(event);
    }
}

#[test]
fn what_was_live_where() {
    let mut events = Vec::new();
    rolls_out(1, 0, RolloutOutcome::Verified, &mut events);
    rolls_out(2, 10, RolloutOutcome::RolledBack, &mut events);
    rolls_out(3, 20, RolloutOutcome::Verified, &mut events);
    rolls_out(4, 30, RolloutOutcome::Broken, &mut events);
    let told = |environment: Option<&str>| {
        let mut history = History::new("hello", environment);
        events.iter().for_each(|event| history.take(event));
        history.told()
    };
    insta::assert_json_snapshot!(told(None));
    assert_eq!(told(Some("pre")).periods, []);
    let ends: Vec<PeriodEnd> = told(Some("prod")).periods.iter().map(|it| it.end).collect();
    assert_eq!(
        ends,
        [
            PeriodEnd::Broken,
            PeriodEnd::Live,
            PeriodEnd::RolledBack,
            PeriodEnd::Replaced
        ]
    );
}

#[tokio::test]
async fn it_is_told_over_http() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let story = halfway();
    for event in &story.events {
        say(&bus, event).await;
    }
    let client = gateway.client(ADMIN);
    let short = story.run.short();
    let ended = || async {
        let view = client.run(&short).await.ok()?;
        view.summary.state.is_over().then_some(())
    };
    until("the run to be over", ended).await;
    let any = WhyQuery::default();
    let view = client.why(&short, &any).await.unwrap();
    assert_eq!(
        (view.about, view.name.as_str()),
        (About::Run, story.run.to_string().as_str())
    );
    assert_eq!(view.cause.unwrap().stop.code, Reason::ProbeFailed);
    let first = &view.story[0];
    assert_eq!(first.actor.as_deref(), Some("dev <dev@git.example>"));
    // A decision names the event that it was made on, where there was one.
    assert!(
        view.story
            .iter()
            .any(|it| it.kind == "rollout.planned" && it.bad)
    );
    let since = WhyQuery {
        since: Some("2025-01-01T00:00:00Z".parse().unwrap()),
        ..any.clone()
    };
    assert_eq!(
        client.why("hello", &since).await.unwrap().about,
        About::Module
    );
    let of_base = client.why("prod-1", &since).await.unwrap();
    assert_eq!(of_base.about, About::Base);
    assert!(
        of_base
            .story
            .iter()
            .any(|it| it.text.contains("prod-1 was changed")),
        "{of_base:?}"
    );
    let as_base = WhyQuery {
        about: Some(About::Base),
        since: None,
    };
    let error = client.why("hello", &as_base).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 404);
    let error = client.why("0000", &any).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 404);
    let error = gateway.client(OTHER).why(&short, &any).await.unwrap_err();
    assert_eq!(
        error.problem().unwrap().status,
        404,
        "it must not see that module"
    );

    let history = client
        .history("hello", &HistoryQuery::default())
        .await
        .unwrap();
    assert_eq!(history.periods.len(), 1);
    assert_eq!(history.periods[0].end, PeriodEnd::Broken);
    assert_eq!(
        history.periods[0].by.as_deref(),
        Some("dev <dev@git.example>")
    );

    let acts = |token: &str, query: AuditQuery| {
        let acts = gateway.client(token).audit(&query);
        acts.map(|act| act.unwrap()).collect::<Vec<_>>()
    };
    let all = acts(ADMIN, AuditQuery::default()).await;
    let kept: Vec<&Event> = story
        .events
        .iter()
        .filter(|it| it.body.kind().is_kept())
        .collect();
    assert_eq!(all.len(), kept.len());
    for (act, event) in all.iter().zip(&kept) {
        assert_eq!(act.decode().unwrap(), **event);
    }
    let later = story.events.last().unwrap().time;
    let query = AuditQuery {
        since: Some(later),
        module: Some("hello".into()),
    };
    let last = acts(ADMIN, query).await;
    assert!(!last.is_empty() && last.len() < 3, "{}", last.len());
    assert_eq!(
        acts(
            OTHER,
            AuditQuery {
                module: Some("hello".into()),
                since: None
            }
        )
        .await,
        []
    );
    gateway.stop().await;
}

/// Events are gone from the stream, and from the views of a gateway that starts: what is kept tells it all the same.
#[tokio::test]
async fn a_run_of_long_ago_is_told() {
    let bus = MemoryBus::default();
    let story = halfway();
    for event in &story.events {
        say(&bus, event).await;
    }
    let fresh = bus.save();
    let empty = MemoryBus::default().save();
    bus.restore(&empty, &["FERRY"]).unwrap();
    bus.restore(&fresh, &["FERRY_AUDIT"]).unwrap();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(ADMIN);
    assert!(client.run(&story.run.to_string()).await.is_err());
    let view = client
        .why(&story.run.short(), &WhyQuery::default())
        .await
        .unwrap();
    assert_eq!(view.cause.unwrap().stop.code, Reason::ProbeFailed);
    assert!(
        view.now.contains("was not taken back everywhere"),
        "{}",
        view.now
    );
    assert_eq!(
        view.troubles,
        [],
        "how its bases stand now is not its story"
    );
    gateway.stop().await;
}
