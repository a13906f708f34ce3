//! When waves may begin: windows, freezes, clocks that are set, and the next opening.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ferry_config::{Config, Environment, Freeze, Window};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const BERLIN: &str = "Europe/Berlin";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn window(opens: &str, hours: u64, zone: &str) -> Window {
    Window {
        opens: opens.to_owned(),
        open_for: Duration::from_secs(hours * 3600),
        time_zone: zone.to_owned(),
    }
}

fn freeze(from: &str, until: &str, zone: &str) -> Freeze {
    Freeze {
        from: from.to_owned(),
        until: until.to_owned(),
        time_zone: zone.to_owned(),
        why: "the shop is full".to_owned(),
        environments: vec!["*".to_owned()],
        modules: vec!["*".to_owned()],
    }
}

fn config(windows: &[Window], freezes: &[Freeze]) -> Config {
    let number = |i: usize| format!("n{i}");
    let windows = windows.iter().cloned().enumerate();
    let environment = Environment {
        windows: windows.map(|(i, window)| (number(i), window)).collect(),
        ..Environment::default()
    };
    let freezes = freezes.iter().cloned().enumerate();
    Config {
        environments: BTreeMap::from([("prod".to_owned(), environment)]),
        freezes: freezes.map(|(i, freeze)| (number(i), freeze)).collect(),
        ..Config::default()
    }
}

/// `open`, or what closes it and when it opens.
fn look(config: &Config, now: &str) -> String {
    match config.closed("hello", "prod", at(now)) {
        None => "open".to_owned(),
        Some(closed) => match closed.opens {
            Some(opens) => format!("{} until {}", closed.by, opens.format("%m-%dT%H:%M:%SZ")),
            None => format!("{} for ever", closed.by),
        },
    }
}

#[test]
fn without_windows_and_freezes_it_is_open() {
    assert_eq!(look(&config(&[], &[]), "2026-03-01T00:00:00Z"), "open");
}

#[test]
fn a_window_is_open_from_its_first_moment_until_before_its_last() {
    let office = config(&[window("0 9 * * mon-fri", 8, "UTC")], &[]);
    for (now, state) in [
        // A Wednesday.
        (
            "2026-03-04T08:59:59.999Z",
            "window n0 until 03-04T09:00:00Z",
        ),
        ("2026-03-04T09:00:00Z", "open"),
        ("2026-03-04T16:59:59.999Z", "open"),
        ("2026-03-04T17:00:00Z", "window n0 until 03-05T09:00:00Z"),
        // From Friday evening to Monday.
        ("2026-03-06T17:00:00Z", "window n0 until 03-09T09:00:00Z"),
    ] {
        assert_eq!(look(&office, now), state, "{now}");
    }
    let closed = office.closed("hello", "prod", at("2026-03-04T08:00:00Z"));
    assert_eq!(
        closed.unwrap().why,
        "open for 8h from \"0 9 * * mon-fri\" (UTC)"
    );
}

#[test]
fn a_window_over_midnight_stays_open() {
    let night = config(&[window("0 22 * * fri", 8, BERLIN)], &[]);
    for (now, state) in [
        ("2026-01-16T20:59:59Z", "window n0 until 01-16T21:00:00Z"),
        ("2026-01-16T23:00:00Z", "open"),
        ("2026-01-17T04:59:59Z", "open"),
        ("2026-01-17T05:00:00Z", "window n0 until 01-23T21:00:00Z"),
    ] {
        assert_eq!(look(&night, now), state, "{now}");
    }
}

#[test]
fn of_two_windows_one_must_be_open() {
    let two = [
        window("0 9 * * *", 2, "UTC"),
        window("0 14 * * *", 2, "UTC"),
    ];
    let two = config(&two, &[]);
    assert_eq!(look(&two, "2026-03-04T10:00:00Z"), "open");
    assert_eq!(
        look(&two, "2026-03-04T12:00:00Z"),
        "window n0, n1 until 03-04T14:00:00Z"
    );
    assert_eq!(look(&two, "2026-03-04T15:00:00Z"), "open");
    assert_eq!(
        look(&two, "2026-03-04T16:00:00Z"),
        "window n0, n1 until 03-05T09:00:00Z"
    );
}

/// On 2026-03-29 clocks in Berlin went from 02:00 to 03:00, which is 01:00 UTC.
#[test]
fn clocks_that_are_set_forward() {
    let office = config(&[window("0 9 * * *", 1, BERLIN)], &[]);
    assert_eq!(
        look(&office, "2026-03-28T07:59:00Z"),
        "window n0 until 03-28T08:00:00Z"
    );
    assert_eq!(
        look(&office, "2026-03-28T09:00:00Z"),
        "window n0 until 03-29T07:00:00Z"
    );

    // 02:30 does not come that night: the window opens when the clocks are past it.
    let skipped = config(&[window("30 2 * * *", 1, BERLIN)], &[]);
    assert_eq!(
        look(&skipped, "2026-03-29T00:45:00Z"),
        "window n0 until 03-29T01:00:00Z"
    );
    assert_eq!(look(&skipped, "2026-03-29T01:00:00Z"), "open");
    assert_eq!(look(&skipped, "2026-03-29T01:59:59Z"), "open");
    assert_eq!(
        look(&skipped, "2026-03-29T02:00:00Z"),
        "window n0 until 03-30T00:30:00Z"
    );

    // A length is time that passes, not what clocks show.
    let over = config(&[window("0 1 * * *", 3, BERLIN)], &[]);
    assert_eq!(look(&over, "2026-03-29T02:59:59Z"), "open");
    assert_eq!(
        look(&over, "2026-03-29T03:00:00Z"),
        "window n0 until 03-29T23:00:00Z"
    );

    // A freeze that begins in the hour that is left out begins when it is over.
    let freeze = config(
        &[],
        &[freeze("2026-03-29T02:30", "2026-03-29T06:00", BERLIN)],
    );
    assert_eq!(look(&freeze, "2026-03-29T01:29:59Z"), "open");
    assert_eq!(
        look(&freeze, "2026-03-29T01:30:00Z"),
        "freeze n0 until 03-29T04:00:00Z"
    );
}

/// On 2026-10-25 clocks in Berlin go from 03:00 back to 02:00, which is 01:00 UTC.
#[test]
fn clocks_that_are_set_back() {
    let office = config(&[window("0 9 * * *", 1, BERLIN)], &[]);
    assert_eq!(
        look(&office, "2026-10-24T08:00:00Z"),
        "window n0 until 10-25T08:00:00Z"
    );

    // 02:30 comes twice; the window opens once, at the first.
    let twice = config(&[window("30 2 * * *", 1, BERLIN)], &[]);
    assert_eq!(
        look(&twice, "2026-10-25T00:29:59Z"),
        "window n0 until 10-25T00:30:00Z"
    );
    assert_eq!(look(&twice, "2026-10-25T00:30:00Z"), "open");
    assert_eq!(look(&twice, "2026-10-25T01:29:59Z"), "open");
    assert_eq!(
        look(&twice, "2026-10-25T01:30:00Z"),
        "window n0 until 10-26T01:30:00Z"
    );

    // Of a moment that comes twice, a freeze begins and ends at the first.
    let freeze = config(
        &[],
        &[freeze("2026-10-25T00:00", "2026-10-25T02:30", BERLIN)],
    );
    assert_eq!(
        look(&freeze, "2026-10-25T00:29:59Z"),
        "freeze n0 until 10-25T00:30:00Z"
    );
    assert_eq!(look(&freeze, "2026-10-25T00:30:00Z"), "open");
}

#[test]
fn a_freeze_inside_a_window() {
    let noon = freeze("2026-03-04T12:00", "2026-03-04T13:00", "UTC");
    let config = config(&[window("0 9 * * *", 8, "UTC")], &[noon]);
    for (now, state) in [
        ("2026-03-04T11:59:59Z", "open"),
        ("2026-03-04T12:00:00Z", "freeze n0 until 03-04T13:00:00Z"),
        ("2026-03-04T13:00:00Z", "open"),
    ] {
        assert_eq!(look(&config, now), state, "{now}");
    }
    let closed = config.closed("hello", "prod", at("2026-03-04T12:30:00Z"));
    assert_eq!(closed.unwrap().why, "the shop is full");
}

#[test]
fn a_freeze_that_ends_outside_of_the_window_lasts_until_that_opens() {
    let days = freeze("2026-03-04", "2026-03-06", "UTC");
    let config = config(&[window("0 9 * * *", 8, "UTC")], &[days]);
    assert_eq!(look(&config, "2026-03-03T16:00:00Z"), "open");
    assert_eq!(
        look(&config, "2026-03-03T18:00:00Z"),
        "window n0 until 03-06T09:00:00Z"
    );
    assert_eq!(
        look(&config, "2026-03-05T12:00:00Z"),
        "freeze n0 until 03-06T09:00:00Z"
    );
}

#[test]
fn freezes_that_adjoin_or_overlap_are_one() {
    let freezes = [
        freeze("2026-12-20", "2026-12-27", BERLIN),
        freeze("2026-12-27", "2027-01-02T12:00", BERLIN),
        freeze("2026-12-31", "2027-01-01", BERLIN),
    ];
    let config = config(&[], &freezes);
    assert_eq!(look(&config, "2026-12-19T22:59:59Z"), "open");
    assert_eq!(
        look(&config, "2026-12-19T23:00:00Z"),
        "freeze n0 until 01-02T11:00:00Z"
    );
    assert_eq!(
        look(&config, "2026-12-26T23:00:00Z"),
        "freeze n1 until 01-02T11:00:00Z"
    );
    assert_eq!(look(&config, "2027-01-02T11:00:00Z"), "open");
}

#[test]
fn a_long_freeze_over_a_window_that_opens_often_ends() {
    let config = config(
        &[Window {
            open_for: Duration::from_secs(600),
            ..window("15 * * * *", 0, "UTC")
        }],
        &[freeze("2026-06-01", "2026-09-01", "UTC")],
    );
    assert_eq!(
        look(&config, "2026-06-01T00:00:00Z"),
        "freeze n0 until 09-01T00:15:00Z"
    );
}

#[test]
fn a_freeze_concerns_the_modules_and_environments_that_it_names() {
    let one = Freeze {
        environments: vec!["p*".to_owned()],
        modules: vec!["hello".to_owned()],
        ..freeze("2026-03-04", "2026-03-06", "UTC")
    };
    let mut config = config(&[], &[one]);
    config
        .environments
        .insert("gray".to_owned(), Environment::default());
    let now = at("2026-03-05T00:00:00Z");
    let closed = |module, environment| config.closed(module, environment, now).is_some();
    assert!(closed("hello", "prod"));
    assert!(!closed("cart", "prod"));
    assert!(!closed("hello", "gray"));
}

/// Days around both changes of Berlin's clocks, and some others.
fn day() -> impl Strategy<Value = DateTime<Utc>> {
    let days = [
        "2026-03-28T12:00:00Z",
        "2026-10-24T12:00:00Z",
        "2026-06-10T00:00:00Z",
    ];
    (select(days.to_vec()), 0i64..172_800)
        .prop_map(|(day, seconds)| at(day) + TimeDelta::seconds(seconds))
}

fn any_window() -> impl Strategy<Value = Window> {
    let opens = [
        "0 9 * * *",
        "30 2 * * *",
        "0 2 * * *",
        "0 3 * * *",
        "0 1 * * *",
        "*/30 2 * * *",
        "15 * * * *",
        "0 22 * * *",
        "0 0 * * sun",
        "0 4 * * mon-fri",
        "59 23 * * *",
    ];
    let zone = select(vec!["UTC", BERLIN, "America/St_Johns"]);
    (select(opens.to_vec()), 1u64..600, zone).prop_map(|(opens, minutes, zone)| Window {
        open_for: Duration::from_secs(minutes * 60),
        ..window(opens, 0, zone)
    })
}

fn any_freeze() -> impl Strategy<Value = Freeze> {
    let zone = select(vec!["UTC", BERLIN]);
    (day(), 1i64..1800, zone).prop_map(|(from, minutes, zone)| {
        let text = |moment: DateTime<Utc>| moment.format("%Y-%m-%dT%H:%M").to_string();
        freeze(&text(from), &text(from + TimeDelta::minutes(minutes)), zone)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_next_opening_is_the_first(
        now in day(),
        windows in vec(any_window(), 0..3),
        freezes in vec(any_freeze(), 0..4),
    ) {
        let config = config(&windows, &freezes);
        let is_open = |at| config.closed("hello", "prod", at).is_none();
        let Some(closed) = config.closed("hello", "prod", now) else {
            return Ok(());
        };
        let opens = closed.opens.expect("every one of these windows opens some day");
        prop_assert!(opens > now);
        prop_assert!(is_open(opens), "not open at {opens}");
        prop_assert!(!is_open(opens - TimeDelta::milliseconds(1)), "open just before {opens}");
        // Minute by minute, for three days at most.
        let minutes = (0..3 * 1440).map(|minute| now + TimeDelta::minutes(minute));
        for minute in minutes.take_while(|minute| *minute < opens) {
            prop_assert!(!is_open(minute), "open at {minute}, before {opens}");
        }
    }
}
