//! `ferry-bench`: measures, and prints one line to read or one object.
//!
//! In: what to measure, and how often. Out: figures on stdout; what goes on, on
//! stderr where stdout is for data.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use ferry_rig::bench::{build, push, rollout, slim, snippet, thousand};
use ferry_rig::screen::Screen;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Measure, and print one line to read.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// From a push to the answer: by hand and by Ferry, on one real base
    Push(PushArgs),
    /// One module onto many simulated bases, against what their installations alone take
    Rollout(RolloutArgs),
    /// Slimming jars of some sizes, beside cp, zip -d and Maven
    Slim(SlimArgs),
    /// A build in a Maven that stays, and in one of its own
    Build(BuildArgs),
    /// From a webhook to the base's answer, for a snippet of Java on one real base
    Snippet(SnippetArgs),
    /// One push of a thousand snippets on one real base, and pushes of one module meanwhile
    Thousand(ThousandArgs),
}

#[derive(clap::Args)]
struct PushArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Print an object instead
    #[arg(long)]
    json: bool,
    /// MAVEN_OPTS of the build by hand; by default none, as a person has it
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    hand_maven_opts: Option<String>,
}

#[derive(clap::Args)]
struct RolloutArgs {
    /// How many bases; one size after the other
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    bases: Vec<usize>,
    /// Bases in a wave
    #[arg(long, default_value_t = 64)]
    parallel: usize,
    /// How long a base takes to install a module
    #[arg(long, value_parser = humantime::parse_duration, default_value = "50ms")]
    install: Duration,
    /// Print an array of objects instead
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct SlimArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Sizes of the jars, in MB
    #[arg(long, value_delimiter = ',', default_values_t = [5, 50, 200])]
    sizes: Vec<u64>,
    /// Print an array of objects instead
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct BuildArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Print an object instead
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct SnippetArgs {
    /// How often it is measured
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Print an object instead
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ThousandArgs {
    /// How many modules
    #[arg(long, default_value_t = 1000)]
    modules: usize,
    /// Print an object instead
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let what = Args::parse().what;
    let (What::Push(PushArgs { json, .. })
    | What::Rollout(RolloutArgs { json, .. })
    | What::Slim(SlimArgs { json, .. })
    | What::Build(BuildArgs { json, .. })
    | What::Snippet(SnippetArgs { json, .. })
    | What::Thousand(ThousandArgs { json, .. })) = what;
    let screen = if json {
        Screen::beside_data()
    } else {
        Screen::new()
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be caught")?;
    let (text, object) = tokio::select! {
        biased;
        figures = figures(what, &screen) => figures?,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    if json {
        println!("{object:#}");
    } else {
        screen.line(&text);
    }
    Ok(ExitCode::SUCCESS)
}

/// To read, and for machines.
async fn figures(what: What, screen: &Screen) -> Result<(String, Value)> {
    match what {
        What::Push(args) => {
            let plan = push::Plan {
                runs: args.runs,
                hand_maven_opts: args.hand_maven_opts,
            };
            let figures = push::measure(&plan, screen).await?;
            Ok((push::text(&figures), serde_json::to_value(&figures)?))
        }
        What::Rollout(args) => {
            let plan = rollout::Plan {
                bases: args.bases,
                parallel: args.parallel,
                install: args.install,
            };
            let sizes = rollout::measure(&plan, screen).await?;
            Ok((rollout::text(&sizes, &plan), serde_json::to_value(&sizes)?))
        }
        What::Slim(args) => {
            let plan = slim::Plan {
                runs: args.runs.max(1),
                sizes: args.sizes,
            };
            let rows = slim::measure(&plan, screen).await?;
            Ok((slim::table(&rows), serde_json::to_value(&rows)?))
        }
        What::Build(args) => {
            let measured = build::measure(args.runs, screen).await?;
            let object = serde_json::to_value(&measured)?;
            Ok((build::text(&measured), object))
        }
        What::Snippet(args) => {
            let measured = snippet::measure(args.runs, screen).await?;
            let object = serde_json::to_value(&measured)?;
            Ok((snippet::text(&measured), object))
        }
        What::Thousand(args) => {
            let measured = thousand::measure(args.modules, screen).await?;
            let object = serde_json::to_value(&measured)?;
            Ok((thousand::text(&measured), object))
        }
    }
}
