//! A run whose second wave in prod broke a base that could not be brought back, and what was live before it.
//!
//! In: nothing. Out: the gateway's answers.

use ferry_api::{
    About, CauseView, HistoryView, NotBackView, PeriodEnd, PeriodView, Safety, StopView, TellView,
    TrafficView, TroubleView, WhyView,
};
use ferry_events::{EventId, Reason, Stop};

use super::{BEFORE, COMMIT, VERSION, at, bad_run, cause, good_run, stop};

fn tells(millis: i64, text: &str) -> TellView {
    TellView {
        at: at(millis),
        text: text.into(),
        actor: None,
        why: None,
        run: Some(bad_run()),
        environment: Some("prod".into()),
        bad: false,
        kind: "wave.started".into(),
        event: EventId(super::uuid(1)),
        on: None,
        based_on: None,
    }
}

/// At three in the morning.
pub fn why_view() -> WhyView {
    let bad = |millis, text: &str| TellView {
        bad: true,
        ..tells(millis, text)
    };
    let pushed = TellView {
        actor: Some("dev".into()),
        why: Some("Greet by \u{1b}[31mname".into()),
        ..tells(0, "dev pushed 1a2b3c4d to main of hello")
    };
    let approved = TellView {
        actor: Some("ada".into()),
        why: Some("tried in pre, looks good".into()),
        ..tells(
            60_000,
            "approval passed in prod before the first wave, by ada",
        )
    };
    let stop = Stop::new(Reason::ProbeFailed, cause()).on("prod-3");
    WhyView {
        about: About::Run,
        name: bad_run().to_string(),
        module: Some("hello".into()),
        now: format!(
            "run {} of hello failed in prod, and was not taken back everywhere; not as it should be: prod-3, prod-4",
            bad_run().short()
        ),
        cause: Some(CauseView {
            at: at(95_000),
            environment: Some("prod".into()),
            stop: StopView::from(&stop),
        }),
        troubles: vec![TroubleView {
            environment: "prod".into(),
            wave: 2,
            waves: 3,
            going_back: false,
            live: Some(BEFORE.into()),
            back: vec!["prod-1".into(), "prod-2".into()],
            not_back: vec![
                NotBackView {
                    base: "prod-3".into(),
                    what: "runs none of hello; install-failed: OutOfMemoryError: Metaspace".into(),
                    quarantined: true,
                    lost: false,
                    next: Some(at(600_000)),
                    given_up: false,
                },
                NotBackView {
                    base: "prod-4".into(),
                    what: "it does not answer; base-unreachable: connection refused".into(),
                    quarantined: true,
                    lost: true,
                    next: None,
                    given_up: false,
                },
            ],
            untouched: vec!["prod-5".into(), "prod-6".into()],
            traffic: TrafficView {
                safety: Safety::Reduced,
                text: format!(
                    "yes, with fewer bases: 4 of 6 run {BEFORE}; what is sent to prod-3, prod-4 fails, unless its load balancer has taken it out"
                ),
                serving: 4,
                of: 6,
            },
        }],
        next: vec![
            "ferry pause --env prod --why \"run failed\"    # nothing more comes there until `ferry resume --env prod`".into(),
            "ferry why prod-3    # Ferry tries again at 05:16:07 UTC; look at its log meanwhile".into(),
            "ferry why prod-4    # start it again; it is brought back once it answers".into(),
            "Look at what it answered, mend it and push again.".into(),
        ],
        story: vec![
            pushed,
            approved,
            tells(61_000, "wave 1 of 3 in prod began: prod-1, prod-2"),
            tells(90_000, "wave 1 of 3 in prod was done"),
            tells(90_100, "wave 2 of 3 in prod began: prod-3, prod-4"),
            bad(95_000, "hello was not well on prod-3: probe-failed: no bean PriceList"),
            bad(95_010, "Ferry decided to go back on 4 bases of prod, because of probe-failed on prod-3"),
            bad(99_000, "run failed in prod, and not all is as it was before"),
        ],
        left_out: 0,
        behind: false,
    }
}

/// Two versions: one that is live, one that failed.
pub fn history_view() -> HistoryView {
    let live = PeriodView {
        environment: "prod".into(),
        version: BEFORE.into(),
        packaged: None,
        commit: Some("0badcafe5e6f708192a3b4c5d6e7f80912345678".into()),
        run: good_run(),
        by: Some("dev".into()),
        since: at(-3_600_000),
        verified: Some(at(-3_500_000)),
        until: None,
        end: PeriodEnd::Live,
        ended_by: None,
        stop: None,
    };
    let failed = PeriodView {
        version: VERSION.into(),
        commit: Some(COMMIT.into()),
        run: bad_run(),
        since: at(61_000),
        verified: None,
        until: Some(at(99_000)),
        end: PeriodEnd::Broken,
        stop: Some(StopView::from(&stop())),
        ..live.clone()
    };
    let replaced = PeriodView {
        version: "1.0.0".into(),
        commit: None,
        by: None,
        since: at(-7_200_000),
        until: Some(at(-3_500_000)),
        end: PeriodEnd::Replaced,
        ended_by: Some(good_run()),
        ..live.clone()
    };
    HistoryView {
        module: "hello".into(),
        periods: vec![failed, live, replaced],
        left_out: 3,
    }
}
