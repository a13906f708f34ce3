//! One module onto many simulated bases, against what their installations alone would take.
//!
//! In: how many bases, how long each takes. Out: for each size the ratio, events, memory and time of each
//! service, and how that grows.
//!
//! The ideal is the sum over the plan's waves of ⌈bases ÷ parallel⌉ × install: nothing but the bases' own work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferry_api::{BaseState, RunState};
use ferry_events::rollout::Plan as Planned;
use ferry_events::{Body, Event, RunId, Timestamp};
use ferry_fake_base::FakeJar;
use procfs::process::Process;
use serde::Serialize;

use super::figures::millis;
use super::herd::{self, Herd};
use super::place::fresh;
use crate::screen::Screen;
use crate::stack::{EnvironmentAt, ModuleAt, ProbeAt, Recorder, RepositoryAt, Setup, Stack};
use crate::wait::until;

/// Bases answer within seconds; ten thousand are asked one after the other.
const JOIN_LIMIT: Duration = Duration::from_secs(600);

/// How long a rollout may say nothing.
const SILENCE: Duration = Duration::from_secs(300);

/// What is rolled out first, and then in its place.
const VERSIONS: [&str; 2] = ["first", "second"];

/// How to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many bases, one size after the other.
    pub bases: Vec<usize>,
    /// Bases in a wave.
    pub parallel: usize,
    /// How long a base takes to install a module.
    pub install: Duration,
}

/// One size. Times in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Size {
    /// How many bases.
    pub bases: usize,
    /// Waves of the plan.
    pub waves: usize,
    /// What their installations alone take.
    pub ideal_ms: f64,
    /// From the plan to the end of the first rollout, onto empty bases.
    pub first_ms: f64,
    /// Of the second, which takes the first one's place: each base uninstalls, too.
    pub second_ms: f64,
    /// `first_ms` ÷ `ideal_ms`.
    pub ratio: f64,
    /// Events of both.
    pub events: usize,
    /// Events in a second, of both.
    pub events_per_s: f64,
    /// What the services and nats-server took, by name.
    pub services: BTreeMap<String, Used>,
}

/// What a process took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Used {
    /// The most memory that it ever had, in MiB.
    pub peak_mib: f64,
    /// Time of processors during both rollouts, in milliseconds.
    pub cpu_ms: f64,
}

/// Measures.
///
/// # Errors
/// When something does not come up, a rollout fails, or a base does not run what was rolled out.
pub async fn measure(plan: &Plan, screen: &Screen) -> Result<Vec<Size>> {
    if plan.bases.contains(&0) || plan.parallel == 0 {
        bail!("--bases and --parallel must be at least 1");
    }
    let mut sizes = Vec::new();
    for bases in &plan.bases {
        let dir = fresh("rollout")?;
        sizes.push(of_size(*bases, plan, &dir, screen).await?);
    }
    Ok(sizes)
}

async fn of_size(bases: usize, plan: &Plan, dir: &Path, screen: &Screen) -> Result<Size> {
    let step = screen.step(&format!("Ferry starts over {bases} simulated bases"));
    let herd = Herd::start(bases).await?;
    let mut stack = Stack::start(&setup(&herd, bases, plan, dir)?).await?;
    until("every base to join", JOIN_LIMIT, || async {
        let seen = stack.client().bases().await?;
        let joined = seen.iter().filter(|base| base.state == BaseState::Joined);
        step.now(&format!(
            "{} of {bases} bases are there",
            joined.clone().count()
        ));
        Ok((joined.count() == bases).then_some(()))
    })
    .await?;
    step.done(&format!("{bases} bases are there"));

    let mut events = stack.record(&dir.join("events.jsonl"))?;
    let before = used(&stack)?;
    let (mut rollouts, mut count) = (Vec::new(), 0);
    for text in VERSIONS {
        let step = screen.step(&format!("{bases} bases: the {text} rollout"));
        let jar = FakeJar::new("cart", "1.0.0")
            .web("/cart")
            .answers("/", 200, text)
            .install_ms(u64::try_from(plan.install.as_millis())?);
        let rolled = roll_out(&stack, &mut events, jar).await?;
        let carried = herd.carry(&rolled.version);
        if carried != bases {
            bail!("{carried} of {bases} bases run {}", rolled.version);
        }
        step.done(&format!(
            "{bases} bases: the {text} rollout in {:.1} s, {} events",
            rolled.ms / 1000.0,
            rolled.events
        ));
        count += rolled.events;
        rollouts.push(rolled);
    }
    let after = used(&stack)?;
    stack.stop().await?;
    let [first, second] = &rollouts[..] else {
        bail!("two rollouts are measured");
    };
    let waves = &first.plan.waves;
    let turns: usize = waves
        .iter()
        .map(|wave| wave.len().div_ceil(plan.parallel))
        .sum();
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    let (ideal, events_f) = (turns as f64 * millis(plan.install), count as f64);
    let services = after.into_iter().map(|(name, used)| {
        let cpu_ms = used.cpu_ms - before.get(&name).map_or(0.0, |before| before.cpu_ms);
        (name, Used { cpu_ms, ..used })
    });
    Ok(Size {
        bases,
        waves: waves.len(),
        ideal_ms: ideal,
        first_ms: first.ms,
        second_ms: second.ms,
        ratio: first.ms / ideal,
        events: count,
        events_per_s: events_f * 1000.0 / (first.ms + second.ms),
        services: services.collect(),
    })
}

fn setup(herd: &Herd, bases: usize, plan: &Plan, dir: &Path) -> Result<Setup> {
    let mut extra = "[pools.bench-all]\nenvironment = \"bench\"\n".to_owned();
    for number in 0..bases {
        let (arklet, url) = herd.addresses(number);
        writeln!(
            extra,
            "[[pools.bench-all.bases]]\nname = \"{}\"\narklet = \"{arklet}\"\nurl = \"{url}\"",
            herd::name(number)
        )?;
    }
    let ferry = dir.join("ferry");
    fs::create_dir_all(ferry.join("conf.d"))?;
    let limits = format!(
        "[environments.bench]\nparallel = {}\n\n[installer]\nparallel = {}\n",
        plan.parallel,
        plan.parallel.max(64)
    );
    fs::write(ferry.join("conf.d").join("limits.toml"), limits)?;
    Ok(Setup {
        repositories: vec![RepositoryAt {
            name: "shop".to_owned(),
            url: "https://git.example/acme/shop.git".to_owned(),
        }],
        modules: vec![ModuleAt {
            name: "cart".to_owned(),
            repository: "shop".to_owned(),
            path: ".".to_owned(),
            soak: "0s".to_owned(),
            probe: Some(ProbeAt {
                path: "/cart/".to_owned(),
                deadline: "20s".to_owned(),
            }),
        }],
        environments: vec![EnvironmentAt {
            name: "bench".to_owned(),
            base_jar: None,
            bases: Vec::new(),
        }],
        extra,
        ..Setup::new(&ferry)
    })
}

/// One rollout.
struct Rolled {
    plan: Planned,
    version: String,
    ms: f64,
    events: usize,
}

async fn roll_out(stack: &Stack, events: &mut Recorder, jar: FakeJar) -> Result<Rolled> {
    let run = stack.upload("cart", jar.bytes(), SILENCE).await?;
    let mut planned: Option<(Timestamp, Planned, String)> = None;
    let mut count = 0;
    let ended = loop {
        let event = events.next(SILENCE).await?;
        if event.run() != Some(run) {
            continue;
        }
        count += 1;
        match &event.body {
            Body::RolloutPlanned(it) => {
                let version = it.version.clone().context("a version")?;
                planned = Some((event.time, it.plan.clone(), version));
            }
            Body::RolloutFinished(_) => break event.time,
            Body::RunFinished(it) => bail!("the run ended: {:?}\n{}", it.stop, stack.tails()),
            _ => {}
        }
    };
    let (began, plan, version) = planned.context("no plan was told")?;
    finished(stack, events, run).await?;
    Ok(Rolled {
        plan,
        version,
        ms: millis((ended - began).to_std().unwrap_or_default()),
        events: count,
    })
}

async fn finished(stack: &Stack, events: &mut Recorder, run: RunId) -> Result<()> {
    let over =
        |event: &Event| event.run() == Some(run) && matches!(event.body, Body::RunFinished(_));
    while !over(&events.next(SILENCE).await?) {}
    let view = stack.wait_run(run, SILENCE).await?;
    match view.summary.state {
        RunState::Succeeded => Ok(()),
        _ => bail!("the run failed: {:?}\n{}", view.summary.stop, stack.tails()),
    }
}

/// What the processes under `ferry up` have taken so far.
pub(super) fn used(stack: &Stack) -> Result<BTreeMap<String, Used>> {
    let parent = stack.process_id();
    let ticks = procfs::ticks_per_second();
    let mut all = BTreeMap::new();
    for process in procfs::process::all_processes()?.flatten() {
        let Ok(stat) = process.stat() else { continue };
        if stat.ppid == parent {
            all.insert(stat.comm.clone(), of_process(&process, ticks)?);
        }
    }
    Ok(all)
}

pub(super) fn of_process(process: &Process, ticks: u64) -> Result<Used> {
    let (stat, status) = (process.stat()?, process.status()?);
    #[allow(clippy::cast_precision_loss, reason = "below 2^52")]
    let used = Used {
        peak_mib: status.vmhwm.unwrap_or_default() as f64 / 1024.0,
        cpu_ms: (stat.utime + stat.stime) as f64 * 1000.0 / ticks as f64,
    };
    Ok(used)
}

/// What a person reads.
pub fn text(sizes: &[Size], plan: &Plan) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header([
            "bases", "waves", "ideal", "first", "ratio", "second", "a base", "events", "events/s",
        ]);
    for size in sizes {
        #[allow(clippy::cast_precision_loss, reason = "some thousands")]
        let each = size.first_ms / size.bases as f64;
        table.add_row([
            size.bases.to_string(),
            size.waves.to_string(),
            format!("{:.1} s", size.ideal_ms / 1000.0),
            format!("{:.1} s", size.first_ms / 1000.0),
            format!("{:.2}", size.ratio),
            format!("{:.1} s", size.second_ms / 1000.0),
            format!("{each:.1} ms"),
            size.events.to_string(),
            format!("{:.0}", size.events_per_s),
        ]);
    }
    let mut took = comfy_table::Table::new();
    took.load_preset(comfy_table::presets::NOTHING);
    let mut header = vec!["memory at most, processor".to_owned()];
    header.extend(sizes.iter().map(|size| format!("{} bases", size.bases)));
    took.set_header(header);
    let names = sizes.first().map(|size| size.services.keys());
    for name in names.into_iter().flatten() {
        let mut row = vec![name.clone()];
        row.extend(sizes.iter().map(|size| match size.services.get(name) {
            Some(used) => format!("{:.0} MiB, {:.1} s", used.peak_mib, used.cpu_ms / 1000.0),
            None => "gone".to_owned(),
        }));
        took.add_row(row);
    }
    let last = sizes
        .iter()
        .map(|size| format!("{:.2} at {}", size.ratio, size.bases));
    format!(
        "\n{table}\n\n{took}\n\nrollout against the ideal (waves of {}, {} an install): {}",
        plan.parallel,
        humantime::format_duration(plan.install),
        last.collect::<Vec<_>>().join(", ")
    )
}
