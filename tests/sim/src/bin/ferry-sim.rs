//! `cargo xtask sim`: seeds one after the other, and every boundary of one run.
//!
//! In: how many seeds, from which. Out: a line of counts; for each seed that fails the command that
//! replays it, and a short story. Exit code 1 when something was broken.

use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Parser;
use ferry_sim::{Outcome, Script, exhaustive, run, script::Wrong, shrink::shrink};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
/// Run the real handlers of all services through seeded faults, under virtual time
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only these parts of the script, such as a0,a2,f1; for one seed
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Instead of seeds: crash, stop and fail at every boundary of one whole run
    #[arg(long)]
    exhaustive: bool,
    /// Every how many seeds; with --exhaustive: boundaries
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// Print the whole story of each seed, also where nothing was broken
    #[arg(long)]
    story: bool,
    /// Stop at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Leave a script that fails as long as it is
    #[arg(long)]
    whole: bool,
    /// Threads
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Stories longer than this are cut in the middle of nowhere otherwise.
const STORY_MAX: usize = 400;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Ok(filter) = std::env::var("FERRY_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(std::io::stderr)
            .without_time()
            .init();
    }
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    if args.exhaustive {
        return every_boundary(&args, threads);
    }
    let failed = Mutex::new(Vec::new());
    let (boundaries, accepted, runs) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let restores = AtomicU64::new(0);
    let every = args.every.max(1);
    let seeds = (0..args.seeds).map(|number| args.from + number * every);
    let seeds: Vec<u64> = seeds.collect();
    each(&seeds, threads, args.first, |seed| {
        let mut script = Script::of_seed(*seed);
        if let Some(only) = &args.only {
            let only: BTreeSet<String> = only.iter().cloned().collect();
            script = script.only(&only);
        }
        let outcome = run(script.clone());
        boundaries.fetch_add(outcome.boundaries, Ordering::Relaxed);
        accepted.fetch_add(outcome.accepted as u64, Ordering::Relaxed);
        runs.fetch_add(outcome.runs as u64, Ordering::Relaxed);
        restores.fetch_add(outcome.restores, Ordering::Relaxed);
        if args.story {
            print!("{}", story(&script, &outcome));
        }
        let well = outcome.broken.is_empty();
        if !well {
            let (script, outcome) = if args.only.is_some() || args.whole {
                (script, outcome)
            } else {
                shrink(&script, &outcome)
            };
            let mut failed = failed.lock().expect("no panic under this lock");
            failed.push((*seed, script, outcome));
        }
        well
    });
    let mut failed = failed.into_inner().expect("no panic under this lock");
    failed.sort_by_key(|(seed, ..)| *seed);
    let counts = json!({
        "seeds": args.seeds, "from": args.from, "failed": failed.len(),
        "accepted": accepted.into_inner(), "runs": runs.into_inner(),
        "boundaries": boundaries.into_inner(), "restores": restores.into_inner(),
    });
    if args.json {
        let each: Vec<_> = failed
            .iter()
            .map(|(seed, script, outcome)| {
                json!({"seed": seed, "broken": outcome.broken, "replay": replay(*seed, script)})
            })
            .collect();
        println!("{}", json!({"counts": counts, "failed": each}));
    } else {
        for (seed, script, outcome) in &failed {
            println!("seed {seed} fails; to replay it: {}", replay(*seed, script));
            if !args.story {
                print!("{}", story(script, outcome));
            }
        }
        println!(
            "{} seeds from {}: {} pushes accepted, {} runs, {} boundaries, {} restores; {} seeds failed",
            counts["seeds"],
            counts["from"],
            counts["accepted"],
            counts["runs"],
            counts["boundaries"],
            counts["restores"],
            failed.len()
        );
    }
    code(failed.is_empty())
}

fn code(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(seed: u64, script: &Script) -> String {
    format!(
        "cargo xtask sim --seeds 1 --from {seed} --only {} --story",
        script.parts().join(",")
    )
}

fn story(script: &Script, outcome: &Outcome) -> String {
    let mut text = format!("  {:?}\n", script.settings);
    for line in outcome.story.iter().take(STORY_MAX) {
        text.push_str(&format!(
            "  {:>9.3} {:<12} {}\n",
            line.at_ms as f64 / 1000.0,
            line.who,
            line.what
        ));
    }
    for (what, times) in &outcome.passed {
        text.push_str(&format!("  {times:>7} times {what}\n"));
    }
    for broken in &outcome.broken {
        text.push_str(&format!("  BROKEN: {broken}\n"));
    }
    text
}

/// Runs all through a few threads, with a bar on a terminal.
fn each<T: Sync>(all: &[T], threads: usize, first: bool, one: impl Fn(&T) -> bool + Sync) {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(all.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(it) = all.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if !one(it) && first {
                        next.store(all.len() as u64, Ordering::Relaxed);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
}

fn every_boundary(args: &Args, threads: usize) -> ExitCode {
    let failed = Mutex::new(Vec::new());
    let mut counts = Vec::new();
    for twice in [false, true] {
        let script = exhaustive::whole(twice);
        let plain = run(script.clone());
        if !plain.broken.is_empty() {
            print!("{}", story(&script, &plain));
        }
        let wrongs = [Wrong::Crash(0), Wrong::PauseTillRest, Wrong::Fail];
        let cases: Vec<(u64, Wrong)> = (0..plain.boundaries)
            .step_by(args.every.max(1) as usize)
            .flat_map(|boundary| wrongs.map(|wrong| (boundary, wrong)))
            .collect();
        each(&cases, threads, args.first, |(boundary, wrong)| {
            let script = exhaustive::with(&script, *boundary, *wrong);
            let outcome = run(script.clone());
            let differs = exhaustive::differs(&plain, &outcome);
            let well = differs.is_none();
            if let Some(why) = differs {
                let mut failed = failed.lock().expect("no panic under this lock");
                failed.push((*boundary, *wrong, twice, why, story(&script, &outcome)));
            }
            well
        });
        counts.push((plain.boundaries, cases.len()));
    }
    let failed = failed.into_inner().expect("no panic under this lock");
    if args.json {
        let all: Vec<_> = failed
            .iter()
            .map(|(boundary, wrong, twice, why, _)| {
                json!({"boundary": boundary, "wrong": format!("{wrong:?}"), "twice": twice, "why": why})
            })
            .collect();
        println!(
            "{}",
            json!({"boundaries": counts[0].0, "boundaries_twice": counts[1].0, "failed": all})
        );
    } else {
        for (boundary, wrong, twice, why, story) in failed.iter().take(5) {
            println!(
                "{wrong:?} at boundary {boundary} (every message twice: {twice}): {why}\n{story}"
            );
        }
        println!(
            "{} boundaries, {} with every message twice: {} runs, {} of them ended otherwise",
            counts[0].0,
            counts[1].0,
            counts[0].1 + counts[1].1,
            failed.len()
        );
    }
    code(failed.is_empty())
}
