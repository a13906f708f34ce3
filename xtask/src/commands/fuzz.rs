//! `cargo xtask fuzz`: the targets of `fuzz/`, each for a while, by cargo-fuzz on a nightly compiler.
//!
//! In: the seeds in `tests/fuzz/seeds`, which stay as they are. Out: a line for each target, and below
//! `target/fuzz` the inputs that reached something new, the findings, and what libFuzzer said.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};
use ferry_tools::{on_path, target_dir, workspace_root};

use crate::cargo::{exec, succeeds};
use crate::tools::{self, Tool, cargo_command};

/// Knows the flags of today's nightly compilers.
const VERSION: &str = "0.13.2";

/// An input that takes longer is a finding. The slowest seeds take milliseconds, and the machine may be busy.
const INPUT_SECONDS: u32 = 10;

#[derive(clap::Args)]
pub struct Args {
    /// For how long each target runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Run this input alone, as after a finding
    #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
    replay: Option<PathBuf>,
    /// Only these; all without a name
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let targets = chosen(args.targets)?;
    if let Some(input) = args.replay {
        let [target] = &*targets else {
            bail!("--replay wants one target: cargo xtask fuzz TARGET --replay FILE");
        };
        let input =
            fs::canonicalize(&input).with_context(|| format!("cannot read {}", input.display()))?;
        return exec(Fuzz::prepare()?.cargo_fuzz("run").arg(target).arg(input));
    }
    let fuzz = Fuzz::prepare()?;
    for target in &targets {
        if !succeeds(fuzz.cargo_fuzz("build").arg(target))? {
            bail!("the build of {target} failed");
        }
    }
    let mut found = false;
    for target in &targets {
        let Outcome { runs, finding } = fuzz.run(target, args.seconds)?;
        let Some(Finding { input, panic }) = finding else {
            println!("{target}: {runs} runs in {} s, no finding", args.seconds);
            continue;
        };
        found = true;
        println!("{target}: a finding after {runs} runs");
        for line in panic {
            println!("  {line}");
        }
        println!(
            "  replay: cargo xtask fuzz {target} --replay {}",
            input.display()
        );
    }
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The targets with these names, or all.
fn chosen(names: Vec<String>) -> Result<Vec<String>> {
    let folder = workspace_root().join("fuzz/fuzz_targets");
    let known: BTreeSet<String> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    if let Some(name) = names.iter().find(|name| !known.contains(*name)) {
        let known = Vec::from_iter(known).join(", ");
        bail!("there is no target {name}; there are: {known}");
    }
    Ok(if names.is_empty() {
        known.into_iter().collect()
    } else {
        names
    })
}

/// What came of one target.
struct Outcome {
    runs: u64,
    finding: Option<Finding>,
}

/// What a target stops for.
struct Finding {
    input: PathBuf,
    /// Where it panicked and why; empty where it was too slow or too large.
    panic: Vec<String>,
}

struct Fuzz {
    rustup: PathBuf,
    cargo_fuzz: PathBuf,
}

impl Fuzz {
    /// Gets what is missing.
    fn prepare() -> Result<Self> {
        let install = "rustup toolchain install nightly --profile minimal";
        let Some(rustup) = on_path("rustup") else {
            bail!(
                "missing: rustup with a nightly compiler. See https://rustup.rs, then: {install}"
            );
        };
        let nightly = Command::new(&rustup)
            .args(["run", "nightly", "rustc", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run rustup")?;
        if !nightly.success() {
            bail!("missing: a nightly compiler. Install it: {install}");
        }
        tools::ensure(&[Tool::Cxx])?;
        Ok(Self {
            rustup,
            cargo_fuzz: cargo_command("cargo-fuzz", VERSION)?,
        })
    }

    fn cargo_fuzz(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.rustup);
        command
            .current_dir(workspace_root())
            // The cargo that runs this is not a nightly one.
            .env_remove("CARGO")
            .args(["run", "nightly"])
            .arg(&self.cargo_fuzz)
            .args([verb, "--fuzz-dir", "fuzz", "--target-dir"])
            .arg(folder());
        command
    }

    fn run(&self, target: &str, seconds: u32) -> Result<Outcome> {
        let (corpus, findings) = (
            folder().join("corpus").join(target),
            folder().join("findings").join(target),
        );
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let log = folder().join(format!("{target}.log"));
        let said = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let status = self
            .cargo_fuzz("run")
            .arg(target)
            // libFuzzer writes into the first folder alone.
            .arg(&corpus)
            .arg(workspace_root().join("tests/fuzz/seeds").join(target))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={INPUT_SECONDS}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg("-print_final_stats=1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .status()
            .context("cannot run rustup")?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let Some(runs) = runs(&said) else {
            bail!("{target} did not run; what it said is in {}", log.display());
        };
        if status.success() {
            return Ok(Outcome {
                runs,
                finding: None,
            });
        }
        let Some(input) = input(&said) else {
            bail!("{target} ended with {status}; see {}", log.display());
        };
        let panic = panic(&said);
        Ok(Outcome {
            runs,
            finding: Some(Finding { input, panic }),
        })
    }
}

/// Where all of it is, apart from the rest of `target`: other compiler, other flags.
fn folder() -> PathBuf {
    target_dir().join("fuzz")
}

/// How many inputs were run, which libFuzzer says at the end, also at that of a crash.
fn runs(said: &str) -> Option<u64> {
    let line = |line: &str| {
        let (name, number) = line.split_once(": ")?;
        (name == "stat::number_of_executed_units").then(|| number.trim().parse().ok())?
    };
    said.lines().rev().find_map(line)
}

/// The file into which the input was written that it ended with.
fn input(said: &str) -> Option<PathBuf> {
    let line = |line: &str| Some(line.split_once("Test unit written to ")?.1.trim().into());
    said.lines().rev().find_map(line)
}

/// `thread … panicked at FILE:LINE:` and its message.
fn panic(said: &str) -> Vec<String> {
    let lines = said.lines();
    let lines = lines.skip_while(|line| !line.contains(" panicked at "));
    lines.take(2).map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{input, panic, runs};

    const SAID: &str = "\
INFO: seed corpus: files: 3 min: 41b max: 423b total: 800b rss: 60Mb
#5\tINITED cov: 300 ft: 400 corp: 3/800b exec/s: 0 rss: 61Mb

thread '<unnamed>' (27353) panicked at tests/fuzz/src/lib.rs:196:5:
a success is no refusal
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
==27353== ERROR: libFuzzer: deadly signal
artifact_prefix='/f/manifest/'; Test unit written to /f/manifest/crash-d232f5
stat::number_of_executed_units: 27
stat::average_exec_per_sec:     0
";

    #[test]
    fn a_finding_is_read_from_what_libfuzzer_says() {
        assert_eq!(runs(SAID), Some(27));
        assert_eq!(input(SAID), Some("/f/manifest/crash-d232f5".into()));
        let panicked = "thread '<unnamed>' (27353) panicked at tests/fuzz/src/lib.rs:196:5:";
        assert_eq!(panic(SAID), [panicked, "a success is no refusal"]);
    }

    #[test]
    fn a_target_that_did_not_start_has_no_runs() {
        assert_eq!(runs("error: could not compile `ferry-fuzz`"), None);
    }
}
