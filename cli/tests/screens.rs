//! The screens, as they are seen. In: a small world. Out: goldens.

mod world;

use ferry_api::{Action, BaseState, BaseView, CanView, LetterState, LineView, RunState};
use ferry_cli::screen::{self, Paint, Status};
use ferry_cli::timing::Timing;
use ferry_events::{Body, RunId};

fn lines(events: &[ferry_events::Event]) -> String {
    let lines: Vec<String> = events
        .iter()
        .map(|event| screen::event_line(world::began(), event, Paint::Plain))
        .collect();
    lines.join("\n")
}

#[test]
fn a_run_that_goes_live() {
    let push = screen::push_line(world::began(), &world::push_view(), Paint::Plain);
    insta::assert_snapshot!(format!("{push}\n{}", lines(&world::events(false))));
}

#[test]
fn a_run_that_fails() {
    let events = world::events(true);
    let Some(Body::RunFinished(finished)) = events.last().map(|event| &event.body) else {
        panic!("a run ends with its end");
    };
    let end = screen::end_of_run(finished, Paint::Plain);
    insta::assert_snapshot!(format!("{}\n\n{end}", lines(&events)));
}

#[test]
fn what_modules_of_a_release_say() {
    insta::assert_snapshot!(lines(&world::joint_events()));
}

#[test]
fn what_happens_to_bases() {
    insta::assert_snapshot!(lines(&world::base_events()));
}

#[test]
fn what_happens_at_gates() {
    insta::assert_snapshot!(lines(&world::gate_events()));
}

#[test]
fn the_event_stream() {
    let mut events = world::streamed(&world::events(true));
    events[0].event["type"] = "dev.cdeventsx.ferry-moon.landed.9.0.0".into();
    events[0].kind = "moon.landed".into();
    let lines: Vec<String> = events
        .iter()
        .take(4)
        .map(|event| screen::history_line(event, Paint::Plain))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn show_a_run_that_succeeded() {
    insta::assert_snapshot!(screen::run(&world::good_view(), world::now(), Paint::Plain));
}

#[test]
fn show_a_run_that_failed() {
    insta::assert_snapshot!(screen::run(&world::bad_view(), world::now(), Paint::Plain));
}

#[test]
fn show_a_run_that_goes_on() {
    insta::assert_snapshot!(screen::run(
        &world::moving_view(),
        world::now(),
        Paint::Plain
    ));
}

#[test]
fn show_a_run_that_waits_for_approval() {
    let view = world::approval_view();
    insta::assert_snapshot!(screen::run(&view, world::now(), Paint::Plain));
}

#[test]
fn show_a_run_that_is_halted() {
    let view = world::halted_view();
    insta::assert_snapshot!(screen::run(&view, world::now(), Paint::Plain));
}

#[test]
fn show_a_run_that_is_paused() {
    let view = world::paused_view();
    let shown = screen::run(&view, world::now(), Paint::Plain);
    let parts: Vec<&str> = shown.split("\n\n").collect();
    insta::assert_snapshot!(parts[2]);
    // A pause that was not told of: the gate itself says what to do.
    let mut view = view;
    view.paused.clear();
    let shown = screen::run(&view, world::now(), Paint::Plain);
    assert!(
        shown.contains("next lift the pause with `ferry resume`"),
        "{shown}"
    );
}

#[test]
fn status_of_what_stands_still() {
    let status = |line, runs| {
        let status = Status::of(line, runs, Vec::new(), Vec::new(), Vec::new(), world::now());
        screen::status(&status, world::now(), Paint::Plain)
    };
    insta::assert_snapshot!(status(world::line(), Vec::new()));
    let held = |paused| LineView {
        paused,
        waiting: Vec::new(),
    };
    insta::assert_snapshot!(status(held(world::holds()), Vec::new()));
    let both = [world::pauses(), world::holds()].concat();
    assert!(status(held(both), Vec::new()).starts_with("paused, held\n"));
    // What waits has its own deadline: it is not told a second time as stuck.
    let mut run = world::approval_view().summary;
    run.began_at = world::began() - chrono::TimeDelta::hours(3);
    let alone = |run: &ferry_api::RunSummary| {
        let line = LineView {
            paused: Vec::new(),
            waiting: vec![world::line().waiting.remove(0)],
        };
        status(line, vec![run.clone()])
    };
    let told = alone(&run);
    assert!(told.starts_with("1 rollout waits\n"), "{told}");
    assert!(!told.contains("is not over"), "{told}");
    run.id = world::good_run();
    assert!(alone(&run).contains("is not over"), "another one is stuck");
}

#[test]
fn who_may_do_what() {
    let show = |view: &CanView| screen::can(view, Paint::Plain);
    let run = CanView {
        action: Action::Run,
        role: "operate".into(),
        needed_in: vec!["pre".into(), "prod".into()],
        approvers: None,
        not_author: false,
        who: None,
        ..world::can(false)
    };
    let nobody = CanView {
        allowed: false,
        approvers: Some(Vec::new()),
        who: Some(Vec::new()),
        ..world::can(true)
    };
    insta::assert_snapshot!(
        [
            show(&world::can(true)),
            show(&world::can(false)),
            show(&run),
            show(&nobody)
        ]
        .join("\n\n")
    );
}

#[test]
fn what_is_tried_again_says_when() {
    let screens = [
        screen::run(&world::retried_view(184_000), world::now(), Paint::Plain),
        screen::run(&world::retried_view(175_000), world::now(), Paint::Plain),
        screen::push(&world::retried_push(), world::now(), Paint::Plain),
    ];
    let again = screens.iter().flat_map(|screen| screen.lines());
    let again: Vec<&str> = again.filter(|line| line.contains(" again ")).collect();
    insta::assert_snapshot!(again.join("\n"));
}

#[test]
fn dead_letters() {
    let plain = Paint::Plain;
    insta::assert_snapshot!(screen::letters(&world::letters(), world::now(), plain));
    assert_eq!(screen::letters(&[], world::now(), plain), "no dead letters");
}

#[test]
fn show_a_dead_letter() {
    let show = |state| screen::letter(&world::letter(state), world::now(), Paint::Plain);
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        show(LetterState::Open),
        show(LetterState::Replayed)
    ));
}

#[test]
fn what_became_of_a_dead_letter() {
    let id = world::letter(LetterState::Open).summary.id.to_string();
    let taken = world::taken(world::good_run());
    let waiting = ferry_api::CommandView {
        state: ferry_api::CommandState::Waiting,
        ..taken.clone()
    };
    let closed = |replay, command| screen::closed(&id, replay, command, Paint::Plain);
    insta::assert_snapshot!(
        [
            closed(true, &taken),
            closed(false, &taken),
            closed(true, &waiting),
            closed(true, &world::refused()),
        ]
        .join("\n")
    );
}

#[test]
fn runs() {
    insta::assert_snapshot!(screen::runs(
        &world::summaries(),
        world::now(),
        Paint::Plain
    ));
    assert_eq!(screen::runs(&[], world::now(), Paint::Plain), "no runs");
}

#[test]
fn bases() {
    insta::assert_snapshot!(screen::bases(&world::bases(), world::now(), Paint::Plain));
}

/// `ferry status` where there are bases and nothing else.
fn status_of(bases: Vec<BaseView>) -> String {
    let (line, now) = (LineView::default(), world::now());
    let status = Status::of(line, Vec::new(), bases, Vec::new(), Vec::new(), now);
    screen::status(&status, now, Paint::Plain)
}

#[test]
fn bases_to_be_restarted() {
    let bases = world::restarting_bases();
    insta::assert_snapshot!(screen::bases(&bases, world::now(), Paint::Plain));
    // What a person has to do, what failed and what does not come to its turn is told where one looks first.
    insta::assert_snapshot!(status_of(bases));
}

#[test]
fn bases_that_differ() {
    let bases = world::differing_bases();
    insta::assert_snapshot!(screen::bases(&bases, world::now(), Paint::Plain));
    insta::assert_snapshot!(status_of(bases));
}

#[test]
fn modules() {
    insta::assert_snapshot!(screen::modules(
        &world::modules(),
        world::now(),
        Paint::Plain
    ));
}

#[test]
fn where_the_time_of_a_run_went() {
    let timing = |fails: bool, run| {
        let timing = Timing::of(run, world::began(), &world::events(fails));
        screen::timing(&timing, Paint::Plain)
    };
    insta::assert_snapshot!(timing(false, world::good_run()));
    insta::assert_snapshot!(timing(true, world::bad_run()));
    let nothing = timing(true, RunId::of("hello", "main", 9, "hello"));
    assert!(nothing.contains("past their time"), "{nothing}");
}

#[test]
fn a_plan_before_it_runs() {
    insta::assert_snapshot!(screen::plan(&world::plan_view(), Paint::Plain));
}

#[test]
fn a_push() {
    insta::assert_snapshot!(screen::push(
        &world::push_view(),
        world::now(),
        Paint::Plain
    ));
}

#[test]
fn what_became_of_a_wish() {
    let paint = Paint::Plain;
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n{}",
        screen::asked(&world::answer()),
        screen::settled(&world::taken(world::good_run()), paint),
        screen::settled(&world::refused(), paint),
        screen::settled(&world::not_allowed(), paint)
    ));
}

#[test]
fn status_with_troubles() {
    let status = Status::of(
        LineView::default(),
        world::summaries(),
        world::bases(),
        world::modules(),
        world::letters()
            .into_iter()
            .filter(|letter| letter.state == LetterState::Open)
            .collect(),
        world::now(),
    );
    insta::assert_snapshot!(screen::status(&status, world::now(), Paint::Plain));
}

#[test]
fn status_without_troubles() {
    let (mut bases, mut modules) = (world::bases(), world::modules());
    bases
        .iter_mut()
        .for_each(|base| base.state = BaseState::Joined);
    modules[0].environments[1].drifted.clear();
    let runs = world::summaries()
        .into_iter()
        .filter(|run| run.state == RunState::Succeeded)
        .collect();
    let status = Status::of(
        LineView::default(),
        runs,
        bases,
        modules,
        Vec::new(),
        world::now(),
    );
    assert_eq!(status.attention, []);
    insta::assert_snapshot!(screen::status(&status, world::now(), Paint::Plain));
}

#[test]
fn a_failure_is_past_once_a_newer_run_succeeded() {
    let mut runs = world::summaries();
    let good = runs.remove(2);
    runs.insert(0, good);
    let status = Status::of(
        LineView::default(),
        runs,
        Vec::new(),
        Vec::new(),
        Vec::new(),
        world::now(),
    );
    let kinds: Vec<&str> = status.attention.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["run-stuck"]);
}

#[test]
fn colours_are_escape_codes_around_the_same_words() {
    let view = world::bad_view();
    let plain = screen::run(&view, world::now(), Paint::Plain);
    let painted = screen::run(&view, world::now(), Paint::Colour);
    assert!(
        !plain.contains('\u{1b}'),
        "what comes from outside paints nothing"
    );
    assert!(painted.contains('\u{1b}'));
    let mut bare = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    bare.push_str(rest);
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&bare), words(&plain));
}

#[test]
fn why_a_wave_of_prod_failed_halfway() {
    let screen = screen::why(&world::why_view(), Paint::Plain);
    insta::assert_snapshot!(screen);
    assert!(
        !screen.contains('\u{1b}'),
        "words from outside do not paint"
    );
    let mut early = world::why_view();
    early.behind = true;
    assert!(screen::why(&early, Paint::Plain).ends_with("ask again in a moment"));
}

#[test]
fn what_was_live_where_and_when() {
    insta::assert_snapshot!(screen::history(&world::history_view(), Paint::Plain));
}
