//! Arbitrary text never panics; a valid configuration survives TOML and JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ferry_config::{
    Amount, Approval, At, AtDeadline, Base, Builder, Call, CallMethod, Check, Config, Diagnostic,
    Drain, DrainCheck, DrainFor, Environment, Forge, Freeze, Gateway, Grant, Installer, Metric,
    Module, Percent, Pool, Probe, Reconcile, Repository, Restart, Role, Rollback, Sandbox,
    SecretRef, Supersede, Team, Token, Verifier, Window, hash_token, parse,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const EXAMPLE: &str = include_str!("../../../ferry.example.toml");

fn read(text: &str) -> Result<Config, Vec<Diagnostic>> {
    parse(&[(PathBuf::from("/etc/ferry/ferry.toml"), text.to_owned())]).map(|loaded| loaded.config)
}

/// A value of any kind, for any key.
fn any_value() -> impl Strategy<Value = String> {
    select(vec![
        "0",
        "-1",
        "99999999999999999999",
        "1.5",
        "true",
        "1979-05-27",
        "\"\"",
        "\"5s\"",
        "\"é\"",
        "\"[\"",
        "[]",
        "[[]]",
        "[1, \"a\"]",
        "{}",
        "{ a = 1 }",
        "\"file:x\"",
        "\"http://a\"",
        "\"25MiB\"",
        "\"..\"",
        "\"*\"",
        "0xff",
        "nan",
        "'''\n'''",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*", lines in vec("[\\[\\]a-z.= \"#{}0-9\n]{0,40}", 0..20)) {
        let _ = read(&text);
        let _ = read(&lines.join("\n"));
    }

    #[test]
    fn a_damaged_example_never_panics(cut in 0..EXAMPLE.len(), length in 0usize..200, put in "\\PC{0,12}") {
        let start = (0..=cut).rev().find(|i| EXAMPLE.is_char_boundary(*i)).unwrap_or(0);
        let end = (cut..=EXAMPLE.len()).find(|i| *i >= cut + length && EXAMPLE.is_char_boundary(*i)).unwrap_or(EXAMPLE.len());
        let _ = read(&format!("{}{put}{}", &EXAMPLE[..start], &EXAMPLE[end..]));
    }

    /// Whatever passes the checks is taken by the types: else the error would
    /// have no key, and so no place that helps.
    #[test]
    fn a_wrong_value_is_said_at_its_key(line in any::<prop::sample::Index>(), value in any_value()) {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let keyed: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains(" = ") && !lines[*i].starts_with('#')).collect();
        let at = keyed[line.index(keyed.len())];
        let key = lines[at].split(" = ").next().unwrap();
        let changed = format!("{key} = {value}");
        let text: Vec<&str> = lines.iter().enumerate().map(|(i, line)| if i == at { changed.as_str() } else { line }).collect();
        if let Err(found) = read(&text.join("\n")) {
            for said in found {
                prop_assert!(!said.key.is_empty() && said.line > 0, "no key: {said}");
            }
        }
    }

    #[test]
    fn a_configuration_survives_toml_and_json(config in config()) {
        let json = serde_json::to_string(&config).unwrap();
        let back: Config = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&back, &config);
        prop_assert_eq!(back.revision_digest(), config.revision_digest());
        let text = toml::to_string(&config).unwrap();
        let read = read(&text);
        prop_assert_eq!(read.as_ref(), Ok(&config), "{}", text);
    }

    #[test]
    fn sizes_and_durations_keep_their_value(bytes in any::<u64>(), unit in select(vec![1u64, 1 << 10, 1 << 20, 1 << 30]), nanos in 0u64..u64::MAX / 2) {
        use ferry_config::text::{duration, size};
        let bytes = bytes / unit * unit;
        prop_assert_eq!(size::parse(&size::format(bytes)), Ok(bytes));
        let span = Duration::from_nanos(nanos);
        prop_assert_eq!(duration::parse(&duration::format(span)), Ok(span));
    }
}

fn millis(least: u64, most: u64) -> impl Strategy<Value = Duration> {
    (least..=most).prop_map(Duration::from_millis)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,12}"
}

fn services() -> impl Strategy<Value = Config> {
    let gateway = (
        any::<u16>(),
        any::<bool>(),
        1024u64..1 << 30,
        1u64 << 20..1 << 50,
    )
        .prop_map(|(port, public, body_limit, inbox_limit)| Gateway {
            listen: ([10, 0, 0, 1], port).into(),
            url: public.then(|| "https://ferry.example/x".parse().unwrap()),
            body_limit,
            inbox_limit,
            min_free_disk: inbox_limit,
        });
    let builder = (
        1u32..256,
        any::<bool>(),
        millis(1000, 86_400_000),
        1u64 << 26..1 << 40,
        option::of(Just(PathBuf::from("/srv/settings.xml"))),
        btree_map(name(), "/[a-z]{1,9}".prop_map(PathBuf::from), 0..3),
    )
        .prop_map(
            |(parallel, none, timeout, memory, maven_settings, jdks)| Builder {
                parallel,
                sandbox: if none {
                    Sandbox::None
                } else {
                    Sandbox::Required
                },
                timeout,
                memory,
                maven_settings,
                jdks,
                ..Builder::default()
            },
        );
    let verifier = (
        millis(50, 9000),
        millis(10, 9000),
        1u32..1000,
        1u32..100_000,
    )
        .prop_map(
            |(poll, health_timeout, lost_after, looks_per_second)| Verifier {
                poll,
                health_timeout,
                lost_after,
                looks_per_second,
            },
        );
    let installer =
        (millis(1000, 3_600_000), 1u32..4096).prop_map(|(url_ttl, parallel)| Installer {
            url_ttl,
            parallel,
            ..Installer::default()
        });
    let reconcile = (
        any::<bool>(),
        1u32..100,
        millis(1000, 86_400_000),
        millis(10, 60_000),
    )
        .prop_map(|(enabled, attempts, window, pause)| Reconcile {
            enabled,
            attempts,
            window,
            pause,
        });
    (gateway, builder, installer, verifier, reconcile).prop_map(
        |(gateway, builder, installer, verifier, reconcile)| Config {
            gateway,
            builder,
            installer,
            verifier,
            reconcile,
            ..Config::default()
        },
    )
}

fn probe() -> impl Strategy<Value = Probe> {
    (100u16..600, option::of("\\PC{0,8}"), millis(10, 60_000)).prop_map(
        |(status, contains, timeout)| Probe {
            path: "/hello/".to_owned(),
            status,
            contains,
            timeout,
            deadline: Duration::from_secs(20),
            interval: Duration::from_millis(100),
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let check = (100u16..600, option::of("\\PC{1,8}"), any::<bool>());
    let method = select(vec![
        CallMethod::Get,
        CallMethod::Post,
        CallMethod::Put,
        CallMethod::Patch,
        CallMethod::Delete,
    ]);
    let body = option::of("\\PC{0,8}");
    (
        method,
        body,
        option::of(100u16..600),
        millis(0, 900),
        option::of(check),
    )
        .prop_map(|(method, body, status, wait, check)| Call {
            url: "http://balancer.example/{zone}/{base}?of={module}".to_owned(),
            method,
            body,
            content_type: "text/plain; charset=utf-8".to_owned(),
            status,
            wait,
            check: check.map(|(status, contains, pattern)| DrainCheck {
                url: "https://balancer.example/{base}".to_owned(),
                status,
                contains,
                matches: pattern.then(|| "(?m)^{base},[0-9]{2}$".to_owned()),
            }),
        })
}

fn drain() -> impl Strategy<Value = Drain> {
    let modules = select(vec![DrainFor::Web, DrainFor::All]);
    let at_deadline = select(vec![AtDeadline::Fail, AtDeadline::Proceed]);
    let times = (millis(1000, 60_000), millis(10, 900), millis(10, 900));
    (modules, at_deadline, times, any::<bool>(), call(), call()).prop_map(
        |(modules, at_deadline, (deadline, timeout, interval), secret, drain, undrain)| Drain {
            modules,
            deadline,
            at_deadline,
            timeout,
            interval,
            secret: secret.then(|| SecretRef::Env("BALANCER".to_owned())),
            header: "x-token".to_owned(),
            drain,
            undrain,
        },
    )
}

/// A number of bases; not none of them, and not all.
fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1u32..10_000).prop_map(Amount::Count),
        (1u8..100).prop_map(|part| Amount::Percent(Percent(part))),
    ]
}

fn places() -> impl Strategy<Value = Vec<At>> {
    select(vec![
        vec![At::Start],
        vec![At::Wave, At::End],
        vec![At::Start, At::Wave, At::End],
    ])
}

fn secret() -> impl Strategy<Value = Option<SecretRef>> {
    option::of(select(vec![
        SecretRef::File("/run/secrets/x".into()),
        SecretRef::Env("X".to_owned()),
    ]))
}

fn metric() -> impl Strategy<Value = Metric> {
    let bounds = select(vec![
        (Some("0.5"), None),
        (None, Some("-1e3")),
        (Some("0"), Some("0")),
    ]);
    let times = (millis(100, 3_600_000), millis(1000, 86_400_000));
    ("\\PC{1,20}", bounds, times, 1u32..1000, places(), secret()).prop_map(
        |(query, (min, max), (interval, deadline), count, at, token)| Metric {
            url: "http://prometheus.example:9090/x".parse().unwrap(),
            query,
            min: min.map(str::to_owned),
            max: max.map(str::to_owned),
            interval,
            count,
            deadline,
            at,
            token,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    let times = (millis(100, 3_600_000), millis(1000, 86_400_000));
    (times, places(), secret()).prop_map(|((interval, deadline), at, token)| Check {
        url: "https://board.example/ferry".parse().unwrap(),
        interval,
        deadline,
        at,
        token,
    })
}

fn window() -> impl Strategy<Value = Window> {
    let opens = select(vec!["0 9 * * mon-thu", "*/15 * 1,15 jan *", "0 0 29 2 *"]);
    let zone = select(vec!["UTC", "Europe/Berlin"]);
    (opens, zone, millis(60_000, 86_400_000)).prop_map(|(opens, zone, open_for)| Window {
        opens: opens.to_owned(),
        open_for,
        time_zone: zone.to_owned(),
    })
}

fn freeze() -> impl Strategy<Value = Freeze> {
    ("\\PC{1,12}", 1u32..28, 29u32..31, any::<bool>()).prop_map(|(why, from, until, hours)| {
        let text = |day| match hours {
            true => format!("2026-12-{day:02}T18:30"),
            false => format!("2026-12-{day:02}"),
        };
        Freeze {
            from: text(from),
            until: text(until),
            time_zone: "Europe/Berlin".to_owned(),
            why,
            environments: vec!["p*".to_owned()],
            modules: vec!["*".to_owned()],
        }
    })
}

/// An environment at the chain's beginning, without an approval: that names tokens.
fn environment() -> impl Strategy<Value = Environment> {
    let limits = (
        amount(),
        amount(),
        option::of(amount()),
        amount(),
        0u32..10_000,
    );
    let times = (
        millis(0, 604_800_000),
        millis(0, 604_800_000),
        millis(1000, 604_800_000),
        millis(1000, 604_800_000),
    );
    let ways = (
        select(vec![Rollback::AtOnce, Rollback::ReverseWaves]),
        select(vec![Supersede::Finish, Supersede::CutShort]),
        1u32..1000,
    );
    let gates = (
        btree_map(name(), metric(), 0..3),
        btree_map(name(), window(), 0..3),
        btree_map(name(), check(), 0..3),
    );
    (limits, times, ways, gates).prop_map(
        |(
            (canary, parallel, max_unavailable, min_available, max_failures),
            (pause, soak, live_after, wait),
            (rollback, supersede, live_every),
            (metrics, windows, checks),
        )| Environment {
            after: None,
            canary,
            parallel,
            max_unavailable,
            min_available,
            max_failures,
            pause,
            soak,
            rollback,
            supersede,
            live_every,
            live_after,
            wait,
            approval: None,
            metrics,
            windows,
            checks,
        },
    )
}

/// Configurations that pass every check: environments in a chain, every pool
/// with a base, every module from a repository that is there.
fn config() -> impl Strategy<Value = Config> {
    let environments = btree_map(name(), environment(), 1..4);
    let approval = option::of((any::<bool>(), any::<bool>(), millis(1000, 86_400_000)));
    let careful = (approval, btree_map(name(), freeze(), 0..3));
    let pool = (any::<prop::sample::Index>(), 1usize..4, option::of(drain()));
    let pools = btree_map(name(), pool, 1..4);
    let repositories = btree_map(name(), (select(Forge::ALL.to_vec()), any::<bool>()), 1..4);
    let module = (
        any::<prop::sample::Index>(),
        millis(0, 10_000),
        option::of(probe()),
        any::<bool>(),
    );
    let modules = btree_map(name(), module, 0..4);
    let tokens = btree_map(
        name(),
        select(vec![Role::View, Role::Operate, Role::Approve, Role::Admin]),
        0..3,
    );
    (
        services(),
        environments,
        careful,
        pools,
        repositories,
        modules,
        tokens,
    )
        .prop_map(
            |(mut config, environments, careful, pools, repositories, modules, tokens)| {
                let (approval, freezes) = careful;
                config.freezes = freezes;
                let mut before = None;
                for (name, environment) in environments {
                    let after = before.replace(name.clone());
                    let environment = Environment {
                        after,
                        ..environment
                    };
                    config.environments.insert(name, environment);
                }
                let places: Vec<String> = config.environments.keys().cloned().collect();
                let mut port = 1000;
                for (name, (place, count, drain)) in pools {
                    let bases = (0..count).map(|_| {
                        port += 1;
                        Base {
                            name: format!("base-{port}"),
                            arklet: format!("http://127.0.0.1:{port}").parse().unwrap(),
                            url: "http://127.0.0.1:8080".parse().unwrap(),
                            zone: "default".to_owned(),
                        }
                    });
                    config.pools.insert(
                        name,
                        Pool {
                            environment: places[place.index(places.len())].clone(),
                            base_jar: None,
                            base: None,
                            bases_file: None,
                            drain,
                            metaspace_growth: u64::from(count as u32 % 3) * (8 << 20),
                            metaspace_mark: (count % 2 == 0).then_some(80 + count as u8),
                            restart: (count % 3 == 0).then(|| Restart {
                                exec: vec!["restart".into(), "{base}".into()],
                                timeout: Duration::from_secs(60 * count as u64),
                                ready: Duration::from_secs(30),
                                settle: Duration::from_secs(90),
                                wait: Duration::from_secs(600),
                                every: Duration::from_secs(3600),
                            }),
                            bases: bases.collect(),
                        },
                    );
                }
                for (name, (forge, file)) in repositories {
                    let secret = if file {
                        SecretRef::File("/run/secrets/x".into())
                    } else {
                        SecretRef::Env("X".to_owned())
                    };
                    config.repositories.insert(
                        name.clone(),
                        Repository {
                            url: format!("https://git.example/acme/{name}"),
                            forge,
                            full_name: None,
                            secret,
                            branches: vec!["main".to_owned(), "release/*".to_owned()],
                            team: None,
                            ignore: vec![],
                            credentials: None,
                        },
                    );
                }
                let from: Vec<String> = config.repositories.keys().cloned().collect();
                for (name, (repository, soak, probe, all)) in modules {
                    let pools = (!all).then(|| config.pools.keys().cloned().collect());
                    let module: BTreeMap<&str, &str> = BTreeMap::from([(
                        "repository",
                        from[repository.index(from.len())].as_str(),
                    )]);
                    let module: Module =
                        serde_json::from_value(serde_json::to_value(module).unwrap()).unwrap();
                    config.modules.insert(
                        name,
                        Module {
                            soak,
                            probe,
                            pools,
                            ..module
                        },
                    );
                }
                for (name, role) in tokens {
                    let grants = vec![Grant {
                        role,
                        modules: vec!["*".to_owned()],
                        environments: vec!["pre*".to_owned()],
                    }];
                    config.tokens.insert(
                        name.clone(),
                        Token {
                            hash: hash_token(&name),
                            grants,
                        },
                    );
                }
                let people: Vec<String> = config.tokens.keys().cloned().collect();
                if let (Some(first), Some((team, not_author, deadline))) =
                    (people.first(), approval)
                {
                    let core = Team {
                        name: None,
                        members: people.clone(),
                    };
                    let by = match team {
                        true => "team:core".to_owned(),
                        false => first.clone(),
                    };
                    config.teams.insert("core".to_owned(), core);
                    for environment in config.environments.values_mut() {
                        environment.approval = Some(Approval {
                            by: vec![by.clone()],
                            count: 1,
                            not_author,
                            deadline,
                        });
                    }
                }
                config
            },
        )
}
