//! `cargo xtask mutants`: builds the simulation of each mutant and runs it until it finds something.
//!
//! In: the patches. Out: a line a mutant, and a table: found at which seed, by which broken invariant; or
//! that it survived. Exit code 1 when one did, or could not be tried.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use comfy_table::{ContentArrangement, Table, presets};
use ferry_mutants::{Mutant, Tree, all};
use ferry_tools::{target_dir, workspace_root};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// By then a mutant was found, or its simulation hangs: the seeds of one take a minute or two.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// Characters of what is broken: a line on a screen.
const WORDS_MAX: usize = 80;
/// Of the boundaries of one whole run, every so many one: each kind of boundary is met often.
const EVERY: &str = "3";

#[derive(Parser)]
#[command(name = "cargo xtask mutants", bin_name = "cargo xtask mutants")]
/// Break each invariant on purpose, in a copy, and see whether the simulation finds it
struct Args {
    /// Only these mutants; all without a name
    #[arg(long)]
    only: Vec<String>,
    /// How many seeds a mutant may survive
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What became of a mutant.
#[derive(Serialize)]
struct Tried {
    name: String,
    breaks: String,
    #[serde(flatten)]
    end: End,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "end")]
enum End {
    /// A seed found it.
    Found { seed: u64, after: u64, by: String },
    /// No seed did, but one fault at a boundary of one whole run.
    FoundAtBoundary {
        boundary: u64,
        wrong: String,
        by: String,
    },
    /// Nothing did.
    Survived,
    /// It could not be tried.
    Failed { why: String },
}

/// What `ferry-sim --json` says of seeds.
#[derive(Deserialize)]
struct Seeds {
    failed: Vec<FailedSeed>,
}

#[derive(Deserialize)]
struct FailedSeed {
    seed: u64,
    broken: Vec<String>,
}

/// What `ferry-sim --exhaustive --json` says.
#[derive(Deserialize)]
struct Boundaries {
    failed: Vec<FailedBoundary>,
}

#[derive(Deserialize)]
struct FailedBoundary {
    boundary: u64,
    wrong: String,
    why: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match check(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn check(args: Args) -> Result<bool> {
    let mut mutants = all()?;
    for only in &args.only {
        if !mutants.iter().any(|mutant| mutant.name == *only) {
            let names: Vec<&str> = mutants.iter().map(|mutant| &*mutant.name).collect();
            bail!("no mutant is named {only}; there are {}", names.join(", "));
        }
    }
    mutants.retain(|mutant| args.only.is_empty() || args.only.contains(&mutant.name));
    let copy = Copy::new()?;
    eprintln!(
        "building the simulation without a mutant in {}",
        copy.tree.folder().display()
    );
    copy.tree.renew()?;
    copy.build().await.context("without a mutant")?;
    fs::copy(copy.program(), copy.plain()).context("the simulation without a mutant")?;
    let mut tried = Vec::new();
    for mutant in mutants {
        let end = copy.one(&mutant, &args).await;
        let end = end.unwrap_or_else(|error| End::Failed {
            why: format!("{error:#}"),
        });
        if let End::Failed { why } = &end {
            eprintln!("{}: {why}", mutant.name);
        }
        let one = Tried {
            name: mutant.name,
            breaks: mutant.breaks,
            end,
        };
        if !args.json {
            println!("{}: {}", one.name, said(&one.end));
        }
        tried.push(one);
    }
    copy.tree.renew()?;
    if args.json {
        println!("{}", serde_json::to_string(&tried)?);
    } else {
        println!("{}", table(&tried));
    }
    Ok(tried
        .iter()
        .all(|one| matches!(one.end, End::Found { .. } | End::FoundAtBoundary { .. })))
}

/// The first words of what is broken.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut words: String = line.chars().take(WORDS_MAX).collect();
    if words.len() < line.len() {
        words.push('…');
    }
    words
}

fn said(end: &End) -> String {
    match end {
        End::Found { seed, after, by } => {
            format!("found at seed {seed} after {after} seeds: {}", short(by))
        }
        End::FoundAtBoundary {
            boundary,
            wrong,
            by,
        } => format!("found by {wrong} at boundary {boundary}: {}", short(by)),
        End::Survived => "SURVIVED".into(),
        End::Failed { why } => format!("NOT TRIED: {}", short(why)),
    }
}

fn table(tried: &[Tried]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["mutant", "breaks", "end"]);
    for one in tried {
        table.add_row([&one.name, &one.breaks, &said(&one.end)]);
    }
    table
}

/// The copy that is broken, and what is built of it.
struct Copy {
    tree: Tree,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self> {
        let folder = target_dir().join("mutants");
        let (tree, target) = (folder.join("tree"), folder.join("target"));
        for folder in [&tree, &target] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(Self {
            tree: Tree::new(&workspace_root(), &tree),
            target,
        })
    }

    fn program(&self) -> PathBuf {
        self.target.join("debug").join("ferry-sim")
    }

    fn plain(&self) -> PathBuf {
        self.target.join("ferry-sim-without-a-mutant")
    }

    async fn build(&self) -> Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .current_dir(self.tree.folder())
            .args(["build", "--quiet", "--package", "ferry-sim"])
            .env("CARGO_TARGET_DIR", &self.target)
            // Nobody looks at it with a debugger.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()
            .await
            .context("cargo cannot be run")?;
        if !built.status.success() {
            bail!(
                "it does not compile:\n{}",
                String::from_utf8_lossy(&built.stderr)
            );
        }
        Ok(())
    }

    async fn one(&self, mutant: &Mutant, args: &Args) -> Result<End> {
        self.tree.renew()?;
        self.tree.apply(&mutant.patch)?;
        self.build().await?;
        let (seeds, from) = (args.seeds.to_string(), args.from.to_string());
        let seeds = [
            "--seeds", &seeds, "--from", &from, "--first", "--whole", "--json",
        ];
        let found: Seeds = simulated(&self.program(), &seeds).await?;
        if let Some(first) = found.failed.into_iter().min_by_key(|failed| failed.seed) {
            let seed = first.seed.to_string();
            let one = ["--seeds", "1", "--from", &seed, "--json"];
            let plain: Seeds = simulated(&self.plain(), &one).await?;
            if !plain.failed.is_empty() {
                bail!("seed {seed} finds it, but fails without a mutant, too");
            }
            return Ok(End::Found {
                seed: first.seed,
                after: first.seed - args.from + 1,
                by: first.broken.into_iter().next().unwrap_or_default(),
            });
        }
        let all = ["--exhaustive", "--every", EVERY, "--first", "--json"];
        let found: Boundaries = simulated(&self.program(), &all).await?;
        let first = found
            .failed
            .into_iter()
            .min_by_key(|failed| failed.boundary);
        Ok(first.map_or(End::Survived, |first| End::FoundAtBoundary {
            boundary: first.boundary,
            wrong: first.wrong,
            by: first.why,
        }))
    }
}

/// Runs a simulation; what it says.
async fn simulated<T: for<'de> Deserialize<'de>>(program: &Path, args: &[&str]) -> Result<T> {
    let running = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let out = tokio::time::timeout(PATIENCE, running)
        .await
        .with_context(|| format!("the simulation hangs: {args:?}"))?
        .with_context(|| program.display().to_string())?;
    serde_json::from_slice(&out.stdout).with_context(|| {
        format!(
            "the simulation ended with {} and said {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        )
    })
}
