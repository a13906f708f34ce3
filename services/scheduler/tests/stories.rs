//! Golden stories: each file of `tests/stories/` sets up environments and bases, then says act by act what
//! happens; the golden beside it says what the scheduler made of it. How to write one: `tests/stories/README.md`.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use ferry_config::Config;
use ferry_events::{
    Body, Digest, Reason, RunId, Stop, Timestamp, Verb,
    artifact::{Published, Release},
    build,
    command::{OnBase, Rollout},
    gate,
    line::Stretch,
    push::ChangeMerged,
};
use ferry_scheduler::decide::State;
use toml::{Table, Value};
use world::{World, fleet::Base, look_into, release, run, run_of};

/// When a story begins, unless it says otherwise: a Tuesday morning.
const BEGINS: &str = "2026-12-01T10:00:00Z";

#[test]
fn stories() {
    let mut broken = Vec::new();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("stories/*.txt", |path| {
            let text = std::fs::read_to_string(path).expect("a story can be read");
            match std::panic::catch_unwind(|| play(&text)) {
                Ok(told) => insta::assert_snapshot!("story", told),
                Err(_) => broken.push(path.display().to_string()),
            }
        });
    });
    assert!(
        broken.is_empty(),
        "these cannot be told to their end: {broken:#?}"
    );
}

#[test]
fn an_act_that_nobody_knows_names_its_line() {
    let error = std::panic::catch_unwind(|| play("# t\n---\npush 1\n\nbob dances\n")).unwrap_err();
    let error = error.downcast_ref::<String>().expect("a message");
    assert_eq!(error, "line 5: \"bob dances\" is no act");
}

/// Plays a story and tells it.
fn play(text: &str) -> String {
    let (head, acts) = text
        .split_once("\n---\n")
        .expect("a line --- before the acts");
    let (title, setup) = head.split_once('\n').unwrap_or((head, ""));
    let mut world = World::with_fleet(configuration(setup), BEGINS.parse().unwrap());
    world.story.push(title.to_owned());
    let first = head.lines().count() + 2;
    let mut commands = 0;
    for (n, line) in acts.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        // What was before is not told.
        let (given, line) = match line.strip_prefix("given ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let before = world.story.clone();
        world.story.push(format!("\n## {line}"));
        if act(&mut world, line, &mut commands).is_none() {
            panic!("line {}: {line:?} is no act", first + n);
        }
        if given {
            world.story = before;
        }
    }
    world::every_wait_ends_once(&world);
    world.story.push("\n## in the end".to_owned());
    let end = in_the_end(&mut world);
    world.story.extend(end);
    world.story.join("\n") + "\n"
}

/// The world's configuration with the story's own over it. There are three bases in prod and none in pre, where
/// `[fleet]` does not say otherwise: it makes pools of so many bases: a number,
/// or a number for each zone.
fn configuration(setup: &str) -> Config {
    let mut whole: Table = world::CONFIG.parse().expect("the world's own");
    let mut story: Table = setup.parse().expect("a story begins with TOML");
    let pools = whole["pools"].as_table_mut().expect("a table");
    pools.remove("pre");
    if let Some(Value::Table(fleet)) = story.remove("fleet") {
        let mut port = 3000;
        for (environment, bases) in fleet {
            let zones: Vec<(Option<String>, i64)> = match &bases {
                Value::Table(zones) => {
                    let count = |count: &Value| count.as_integer().expect("a number");
                    zones
                        .iter()
                        .map(|(zone, n)| (Some(zone.clone()), count(n)))
                        .collect()
                }
                one => vec![(None, one.as_integer().expect("a number"))],
            };
            let mut pool = Table::new();
            pool.insert("environment".into(), environment.clone().into());
            let mut all = Vec::new();
            for (zone, count) in zones {
                for n in 1..=count {
                    port += 1;
                    let base = base(&environment, zone.as_deref(), n, count, port);
                    all.push(Value::Table(base));
                }
            }
            pool.insert("bases".into(), all.into());
            let pools = whole["pools"].as_table_mut().expect("a table");
            pools.insert(environment, pool.into());
        }
    }
    merge(&mut whole, story);
    let text = toml::to_string(&whole).expect("TOML");
    match ferry_config::parse(&[("story.toml".into(), text)]) {
        Ok(loaded) => loaded.config,
        Err(found) => panic!("{found:#?}"),
    }
}

fn base(environment: &str, zone: Option<&str>, n: i64, of: i64, port: i64) -> Table {
    let number = if of > 9 {
        format!("{n:02}")
    } else {
        n.to_string()
    };
    let name = match zone {
        Some(zone) => format!("{environment}-{zone}-{number}"),
        None => format!("{environment}-{number}"),
    };
    let mut base = Table::new();
    base.insert("name".into(), name.into());
    base.insert("arklet".into(), format!("http://127.0.0.1:{port}").into());
    base.insert("url".into(), format!("http://127.0.0.2:{port}").into());
    if let Some(zone) = zone {
        base.insert("zone".into(), zone.into());
    }
    base
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// One act. None: there is no such act.
fn act(world: &mut World, line: &str, commands: &mut u128) -> Option<()> {
    let (act, why) = match line.split_once(": ") {
        Some((act, why)) => (act, Some(why)),
        None => (line, None),
    };
    let words: Vec<&str> = act.split(' ').collect();
    let version = |n: &str| Some(format!("1.0.0-{}", n.parse::<u64>().ok()?));
    let known = |world: &World, base: &str| world.config.base(base).is_some().then_some(());
    let mut command = |world: &mut World, actor: &str, verb: Verb| {
        *commands += 1;
        let command = world.command(*commands, actor, why, verb);
        world.order(command);
    };
    match words.as_slice() {
        ["push", n, "of", rest @ ..] => push_of(world, n.parse().ok()?, rest)?,
        ["push", n, rest @ ..] => push(world, n.parse().ok()?, rest)?,
        ["it", "is", moment] => {
            let moment = moment.strip_suffix('Z')?;
            let moment = format!("{moment}:00Z").parse::<Timestamp>().ok()?;
            world.live_until(moment);
        }
        [time, "pass" | "passes"] => {
            let time = humantime::parse_duration(time).ok()?;
            world.live_until(world.now + TimeDelta::from_std(time).ok()?);
        }
        ["an", "install", "takes", size] => {
            let mib: u64 = size.strip_suffix("MiB")?.parse().ok()?;
            world.fleet.as_mut()?.growth = Some(mib << 20);
        }
        ["the", "line", "is", "silent"] => world.line_is_silent = true,
        ["the", "line", "answers", "again"] => world.line_is_silent = false,
        [kind @ ("metric" | "check"), name, "is", "inconclusive"] => {
            judge(world, kind, name, gate::Verdict::Inconclusive, why?)?;
        }
        [kind @ ("metric" | "check"), name, "passes"] => {
            judge(world, kind, name, gate::Verdict::Pass, why?)?;
        }
        [kind @ ("metric" | "check"), name, "fails"] => {
            judge(world, kind, name, gate::Verdict::Fail, why?)?;
        }
        [base, "is", "added"] => add(world, base)?,
        [actor, "approves", n, "of", module, "in", environment] => {
            let rollout = Rollout {
                run: run_of(module, n.parse().ok()?),
                module: (*module).to_owned(),
                environment: (*environment).to_owned(),
            };
            command(world, actor, Verb::Approve(rollout));
        }
        [actor, "approves", n, "in", environment] => {
            let rollout = rollout(n, environment)?;
            command(world, actor, Verb::Approve(rollout));
        }
        [actor, "promotes", n, "in", environment] => {
            let rollout = rollout(n, environment)?;
            command(world, actor, Verb::Promote(rollout));
        }
        [actor, "pauses", what @ ..] => {
            let stretch = stretch(world, what)?;
            command(world, actor, Verb::Pause(stretch));
        }
        [actor, "resumes", what @ ..] => {
            let stretch = stretch(world, what)?;
            command(world, actor, Verb::Resume(stretch));
        }
        [actor, "holds", base] => {
            let verb = Verb::Hold(on_base(world, base)?);
            command(world, actor, verb);
        }
        [actor, "releases", base] => {
            let verb = Verb::Release(on_base(world, base)?);
            command(world, actor, verb);
        }
        [actor, "restarts", base] => {
            let verb = Verb::Restart(on_base(world, base)?);
            command(world, actor, verb);
        }
        [actor, "aborts", what @ ..] => {
            let stretch = stretch(world, what)?;
            command(world, actor, Verb::Abort(stretch));
        }
        [actor, "rolls", environment, "back", rest @ ..] => {
            let to = match rest {
                [] => None,
                ["to", n] => Some(version(n)?),
                _ => return None,
            };
            let verb = Verb::Rollback {
                module: "cart".into(),
                environment: (*environment).to_owned(),
                to,
            };
            command(world, actor, verb);
        }
        [base, rest @ ..] => {
            known(world, base)?;
            of_base(world, base, rest)?;
        }
        [] => return None,
    }
    Some(())
}

/// What happens to a base.
fn of_base(world: &mut World, name: &str, rest: &[&str]) -> Option<()> {
    let version = |n: &str| Some(format!("1.0.0-{}", n.parse::<u64>().ok()?));
    let sight = |world: &mut World, body: Body| world.feed(body);
    let base = world.fleet.as_mut()?.base(name);
    match rest {
        ["refuses", n] => {
            base.refuses.insert(version(n)?);
        }
        ["answers", "badly", "with", n] => {
            base.answers_badly.insert(version(n)?);
        }
        ["falls", "over", "in", "the", "soak", "with", n] => {
            base.falls_over.insert(version(n)?);
        }
        ["is", "silent"] => base.silent = true,
        ["does", "not", "restart"] => base.stuck = true,
        ["is", "seen"] => {
            let body = world.is_seen(name);
            sight(world, body);
        }
        ["has", left, "left"] => {
            let left: u64 = left.strip_suffix("MiB")?.parse().ok()?;
            let body = world.has_left(name, left << 20);
            sight(world, body);
        }
        ["works", "again"] => {
            let runs = base.runs.take();
            *base = Base {
                runs,
                ..Base::default()
            };
            for body in world.fleet.as_mut()?.take_held(name) {
                if let Some(reply) = reply(world, &body) {
                    world.feed(reply);
                }
            }
        }
        ["is", "lost"] => {
            let watched = world.fleet.as_mut()?.lose(name);
            let lost = world.lost(name);
            sight(world, lost);
            for body in watched {
                world.feed(body);
            }
        }
        ["joins", "with", what] => {
            let runs = match *what {
                "nothing" => None,
                n => Some(version(n)?),
            };
            base.lost = false;
            base.runs = runs.clone();
            let body = world.join(name, runs.as_deref());
            sight(world, body);
        }
        ["shows", what] => {
            let runs = match *what {
                "nothing" => None,
                n => Some(version(n)?),
            };
            base.runs = runs.clone();
            let actual: Vec<&str> = runs.as_deref().into_iter().collect();
            let body = world.drift(name, &actual);
            sight(world, body);
        }
        _ => return None,
    }
    Some(())
}

fn reply(world: &mut World, body: &Body) -> Option<Body> {
    let now = world.now;
    let in_force = match body {
        Body::TaskRequested(p) => world.in_force(&p.module, &p.environment),
        _ => None,
    };
    let fleet = world.fleet.as_mut()?;
    fleet.answer(body, in_force.as_ref(), now, &mut world.revisions)
}

/// A push that builds. `by WHO`, `as N` (the same jar as the N-th push built), `forced`.
fn push(world: &mut World, n: u64, mut rest: &[&str]) -> Option<()> {
    let (mut author, mut forced, mut built) = (None, false, n);
    loop {
        rest = match rest {
            [] => break,
            ["by", who, rest @ ..] => {
                author = Some((*who).to_owned());
                rest
            }
            ["as", earlier, rest @ ..] => {
                built = earlier.parse().ok()?;
                rest
            }
            ["forced", rest @ ..] => {
                forced = true;
                rest
            }
            _ => return None,
        };
    }
    world.name(run(n), n.to_string());
    let Body::ChangeMerged(change) = World::change(n) else {
        return None;
    };
    world.feed(
        ChangeMerged {
            author,
            force: forced,
            ..*change
        }
        .into(),
    );
    let earlier = release(built);
    let slimmed = earlier.pools["prod"].clone();
    let jar = |pool: &String| {
        let mut slimmed = slimmed.clone();
        slimmed.digest = Digest::of(format!("{built}{pool}").as_bytes());
        (pool.clone(), slimmed)
    };
    let release = Release {
        origin: None,
        own: None,
        run: run(n),
        pools: world.config.pools.keys().map(jar).collect(),
        ..earlier
    };
    world.feed(Published { release }.into());
    Some(())
}

/// A push that moves several modules: `cart, prices`, with `but prices does not compile`.
fn push_of(world: &mut World, n: u64, words: &[&str]) -> Option<()> {
    let (modules, broken) = match words {
        [modules @ .., "but", broken, "does", "not", "compile"] => (modules, Some(*broken)),
        modules => (modules, None),
    };
    let names = modules.iter().map(|name| name.trim_end_matches(','));
    let modules: Vec<&str> = names.collect();
    let joint = world::joint(&world.config, n, &modules);
    for module in &modules {
        world.config.module(module)?;
        let run = run_of(module, n);
        let name = match *module {
            "cart" => n.to_string(),
            module => format!("{n}-{module}"),
        };
        world.name(run, name);
        let Body::ChangeMerged(change) = World::change(n) else {
            return None;
        };
        world.feed(
            ChangeMerged {
                run,
                module: (*module).to_owned(),
                joint: joint.clone(),
                ..*change
            }
            .into(),
        );
    }
    for module in modules {
        let run = run_of(module, n);
        if broken == Some(module) {
            let stop = Stop::new(Reason::DoesNotCompile, "cannot find symbol");
            world.feed(
                build::Finished {
                    run,
                    module: module.to_owned(),
                    build: uuid::Uuid::nil(),
                    stop: Some(stop),
                    millis: 1,
                    reused: false,
                }
                .into(),
            );
            continue;
        }
        let earlier = release(n);
        let slimmed = earlier.pools["prod"].clone();
        let jar = |pool: &String| {
            let mut slimmed = slimmed.clone();
            slimmed.digest = Digest::of(format!("{module}{n}{pool}").as_bytes());
            (pool.clone(), slimmed)
        };
        let release = Release {
            origin: None,
            run,
            module: module.to_owned(),
            packaged: Digest::of(format!("{module}{n}").as_bytes()),
            pools: world.config.pools.keys().map(jar).collect(),
            ..earlier
        };
        world.feed(Published { release }.into());
    }
    Some(())
}

fn rollout(n: &str, environment: &str) -> Option<Rollout> {
    Some(Rollout {
        run: run(n.parse().ok()?),
        module: "cart".into(),
        environment: environment.into(),
    })
}

fn on_base(world: &World, base: &str) -> Option<OnBase> {
    world.config.base(base)?;
    Some(OnBase {
        base: base.to_owned(),
        environment: world::environment_of(base).to_owned(),
    })
}

fn stretch(world: &World, words: &[&str]) -> Option<Stretch> {
    Some(match words {
        ["everything"] => Stretch::Everything,
        ["module", name] => Stretch::Module((*name).to_owned()),
        ["run", n, "of", module] => Stretch::Run {
            run: run_of(module, n.parse().ok()?),
            module: (*module).to_owned(),
        },
        ["run", n] => Stretch::Run {
            run: run(n.parse().ok()?),
            module: "cart".into(),
        },
        [name] if world.config.environments.contains_key(*name) => {
            Stretch::Environment((*name).to_owned())
        }
        _ => return None,
    })
}

/// The verifier judges the gate of this name that was asked for last.
fn judge(
    world: &mut World,
    kind: &str,
    name: &str,
    verdict: gate::Verdict,
    seen: &str,
) -> Option<()> {
    let name = format!("{kind} {name}");
    let asked = world.said.iter().rev().find_map(|body| match body {
        Body::GateRequested(p) if p.name == name && p.ask.is_judged() => Some(p.clone()),
        _ => None,
    })?;
    world.feed(
        gate::Judged {
            gate: asked.gate,
            run: asked.run,
            plan: asked.plan,
            module: asked.module,
            environment: asked.environment,
            name,
            verdict,
            seen: seen.to_owned(),
        }
        .into(),
    );
    Some(())
}

/// A base comes to the pool of its environment, empty.
fn add(world: &mut World, name: &str) -> Option<()> {
    let environment = world::environment_of(name).to_owned();
    let pool = world.config.pools.get_mut(&environment)?;
    let mut base = pool.bases.first()?.clone();
    base.name = name.to_owned();
    if let [_, zone, _] = name.split('-').collect::<Vec<_>>().as_slice() {
        base.zone = (*zone).to_owned();
    }
    pool.bases.push(base);
    let joined = world.join(name, None);
    world.feed(joined);
    Some(())
}

/// What each base runs, and what is live, in hand, waiting or owed.
fn in_the_end(world: &mut World) -> Vec<String> {
    let modules: Vec<String> = world.config.modules.keys().cloned().collect();
    let all = modules.iter().flat_map(|module| {
        let told = of_module_in_the_end(world, module);
        let whose = match module.as_str() {
            "cart" => String::new(),
            module => format!("{module} in "),
        };
        told.into_iter().map(move |line| format!("{whose}{line}"))
    });
    all.collect()
}

fn of_module_in_the_end(world: &mut World, module: &str) -> Vec<String> {
    let mut told = Vec::new();
    let environments = world.config.environments_of_module(module);
    let environments: Vec<String> = environments.into_iter().map(str::to_owned).collect();
    for environment in environments {
        let bases: Vec<String> = world
            .config
            .bases_of(module, &environment)
            .into_iter()
            .map(|(_, base)| base.name.clone())
            .collect();
        let mut by_version: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for base in bases {
            let fleet = world.fleet.as_mut().expect("there is one");
            let Base { runs, lost, .. } = fleet.base(&base);
            let runs = runs.clone().unwrap_or_else(|| "nothing".to_owned());
            let lost = if *lost { ", lost" } else { "" };
            by_version.entry(runs + lost).or_default().push(base);
        }
        for (version, bases) in by_version {
            told.push(format!("{environment}: {} on {}", version, bases.join(" ")));
        }
        let unit = world.states.iter().find_map(|(key, state)| {
            let unit = matches!(state, State::Unit(_)).then(|| look_into(state))?;
            (key == &ferry_scheduler::decide::unit_key(module, &environment)).then_some(unit)
        });
        let Some(unit) = unit else {
            continue;
        };
        for held in unit["line"]["standing"].as_array().into_iter().flatten() {
            if let Some(base) = held["stretch"]["base"]["base"].as_str() {
                told.push(format!("{environment}: {base} is held"));
            }
        }
        for place in ["active", "gated", "queued", "later"] {
            let one = &unit[place];
            let run = one["requested"]["run"].as_str().or(one["run"].as_str());
            let Some(run) = run.and_then(|run| run.parse::<RunId>().ok()) else {
                continue;
            };
            let stage = match &one["stage"] {
                serde_json::Value::Null => "waits for its turn".to_owned(),
                serde_json::Value::String(stage) => format!("in its {stage}"),
                halt => {
                    let waits = halt["halt"]["waits"].as_object().expect("waits");
                    let open = waits.iter().filter(|(_, wait)| wait["passed"] != true);
                    let open: Vec<&str> = open.map(|(name, _)| name.as_str()).collect();
                    format!("waits for {}", open.join(", "))
                }
            };
            let run = world.named(&run.short());
            told.push(format!("{environment}: run {run} {stage}"));
        }
        if let Some(fact) = world
            .facts
            .get(&ferry_events::subject::wanted_fact(module, &environment))
        {
            let wanted: ferry_events::fact::Wanted = serde_json::from_value(fact.clone()).unwrap();
            for (base, owed) in wanted.owed {
                let stop = owed
                    .stop
                    .map(|stop| format!(", {stop}"))
                    .unwrap_or_default();
                let next = match (owed.lost, owed.next) {
                    (true, _) => "once it answers".to_owned(),
                    (false, Some(next)) => format!("at {}", next.format("%m-%d %H:%M:%S")),
                    (false, None) => "not any more by itself".to_owned(),
                };
                told.push(format!(
                    "{environment}: {base} is owed a repair, {next}{stop}"
                ));
            }
        }
        let banned = unit["banned"].as_array().into_iter().flatten();
        for banned in banned {
            let run = banned["run"]
                .as_str()
                .and_then(|run| run.parse::<RunId>().ok());
            let run = world.named(&run.expect("a run").short());
            told.push(format!(
                "{environment}: what run {run} brought is not tried again"
            ));
        }
    }
    told
}
