//! `ferry-chaos`: kills and freezes processes of a real Ferry while pushes go on, and checks everything after it.
//!
//! In: for how long, a seed. Out: a report on stdout, text or an object; exit code 1 on any violation.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use ferry_rig::chaos::{self, Plan};
use ferry_rig::screen::Screen;
use ferry_rig::tools;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Kill and freeze processes of a real Ferry while pushes go on
#[derive(Parser)]
#[command(version)]
struct Args {
    /// For how long
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// What fixes the schedule; by default another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Three nats-servers with three copies of each stream, instead of one
    #[arg(long)]
    cluster: bool,
    /// Print an object instead
    #[arg(long)]
    json: bool,
    /// Where data and logs go; by default a folder of the seed's below target/chaos
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let screen = if args.json {
        Screen::beside_data()
    } else {
        Screen::new()
    };
    let seed = match args.seed {
        Some(seed) => seed,
        None => chance()?,
    };
    let plan = Plan {
        length: Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is no time")?,
        seed,
        servers: if args.cluster { 3 } else { 1 },
        dir: args.dir.unwrap_or_else(|| {
            tools::target_dir()
                .join("chaos")
                .join(format!("seed-{seed}"))
        }),
    };
    screen.line(&format!(
        "chaos: seed {seed}, {} minutes, {} nats-server(s), two replicas of each service; everything is kept in {}",
        args.minutes,
        plan.servers,
        plan.dir.display()
    ));
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be caught")?;
    let step = screen.step("killing and freezing");
    let run = chaos::run(&plan, |what| step.now(what));
    let report = tokio::select! {
        biased;
        report = run => report?,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    step.done("checked");
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        screen.line(&report.to_string());
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chance() -> Result<u64> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).context("no random bytes")?;
    Ok(u32::from_le_bytes(bytes).into())
}
