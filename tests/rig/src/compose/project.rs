//! The containers of `compose.yaml`, under a name of their own.
//!
//! In: an engine. Out: what compose does and what the engine says of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::command::{Ran, must, run};
use super::engine::Engine;
use crate::tools;

/// The project's name, its images' tag and the beginning of its containers' names.
const NAME: &str = "ferry-compose-test";

/// apt fetches some 250 MB into the images, once.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// It waits for the one-shots: 10 s were measured.
const UP_LIMIT: Duration = Duration::from_secs(300);

/// The base takes 10 s alone and some 30 beside a build; health is asked for every 3 s.
const HEALTHY_LIMIT: Duration = Duration::from_secs(180);

/// Between two looks at all containers: each is two calls to the engine.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Services drain within 10 s; the engine kills after 15.
const DOWN_LIMIT: Duration = Duration::from_secs(180);

/// One command in a container.
const EXEC_LIMIT: Duration = Duration::from_secs(60);

/// Lines of its log that tell why a container is not well.
const LOG_LINES: &str = "25";

/// Containers that do their work and end.
const ONCE: [&str; 3] = ["keys", "init", "repository"];

/// Containers that stay.
pub const RUNNING: [&str; 8] = [
    "nats",
    "gateway",
    "builder",
    "slimmer",
    "scheduler",
    "installer",
    "verifier",
    "base",
];

/// A project of compose.
pub struct Project {
    engine: Engine,
    seed: PathBuf,
}

impl Project {
    /// The project on an engine. `seed` is the Maven repository that builds read.
    pub fn new(engine: Engine, seed: &Path) -> Self {
        Self {
            engine,
            seed: seed.to_owned(),
        }
    }

    /// The engine that it is on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes the images.
    pub async fn build(&self) -> Result<()> {
        must(self.compose(["build"]), BUILD_LIMIT).await.map(drop)
    }

    /// Starts everything.
    pub async fn up(&self) -> Result<()> {
        let up = run(self.compose(["up", "--detach", "--no-build"]), UP_LIMIT).await?;
        if up.status.success() {
            return Ok(());
        }
        let logs = run(
            self.compose(["logs", "--no-color", "--tail", LOG_LINES]),
            EXEC_LIMIT,
        )
        .await?;
        bail!("it did not come up:\n{}\n{}", up.said(), logs.said())
    }

    /// Waits until every container is well and every one-shot has succeeded.
    pub async fn healthy(&self) -> Result<()> {
        let deadline = Instant::now() + HEALTHY_LIMIT;
        loop {
            let states = self.inspect().await?;
            let well = |service: &str| states.iter().any(|it| is_well(it, service));
            if ONCE.iter().chain(&RUNNING).all(|service| well(service)) {
                return Ok(());
            }
            let failed = |it: &Value| it["State"]["ExitCode"].as_i64() != Some(0);
            if states.iter().any(failed) || Instant::now() >= deadline {
                return self.unwell(&states).await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The error that says which container is not well, and why.
    async fn unwell(&self, states: &[Value]) -> Result<()> {
        let mut why = String::new();
        for service in ONCE.iter().chain(&RUNNING) {
            let state = states.iter().find(|it| service_of(it) == *service);
            if !state.is_some_and(|it| is_well(it, service)) {
                let state = state.map_or("not there".into(), |it| it["State"].to_string());
                why += &format!("{service}: {state}\n{}\n", self.log(service).await?);
            }
        }
        bail!("not every container is well:\n{why}")
    }

    /// What the engine says of each container.
    pub async fn inspect(&self) -> Result<Vec<Value>> {
        let ids = must(self.containers(), EXEC_LIMIT).await?;
        ensure!(!ids.trim().is_empty(), "no container was made");
        let mut inspect = self.engine.docker();
        inspect.arg("inspect").args(ids.split_whitespace());
        let text = must(inspect, EXEC_LIMIT).await?;
        serde_json::from_str(&text).context("what the engine says of its containers")
    }

    /// The end of a container's log.
    pub async fn log(&self, service: &str) -> Result<String> {
        let logs = self.compose(["logs", "--no-color", "--tail", LOG_LINES, service]);
        Ok(run(logs, EXEC_LIMIT).await?.said())
    }

    /// Runs a command in a container that runs, as the user of all services.
    pub async fn exec(&self, service: &str, command: &[&str]) -> Result<Ran> {
        // By docker itself: compose takes a second to begin.
        let mut list = self.containers();
        list.args([
            "--filter",
            &format!("label=com.docker.compose.service={service}"),
        ]);
        let id = must(list, EXEC_LIMIT).await?;
        let mut exec = self.engine.docker();
        exec.args(["exec", "--user", "ferry", id.trim()])
            .args(command);
        run(exec, EXEC_LIMIT).await
    }

    /// Runs a container of its own for a service, and removes it.
    pub async fn once(&self, service: &str, command: &[&str], limit: Duration) -> Result<Ran> {
        // Without -T it would want a terminal.
        let mut once = self.compose(["run", "--rm", "-T", "--no-deps", service]);
        once.args(command);
        run(once, limit).await
    }

    /// As [`Self::once`], with another program than the image's.
    pub async fn once_with(&self, program: &str, service: &str, command: &[&str]) -> Result<Ran> {
        let mut once = self.compose([
            "run",
            "--rm",
            "-T",
            "--no-deps",
            "--entrypoint",
            program,
            service,
        ]);
        once.args(command);
        run(once, EXEC_LIMIT).await
    }

    /// Where a published port is on this machine.
    pub async fn port(&self, service: &str, port: u16) -> Result<SocketAddr> {
        let at = must(
            self.compose(["port", service, &port.to_string()]),
            EXEC_LIMIT,
        )
        .await?;
        at.trim()
            .parse()
            .with_context(|| format!("{service} publishes no port {port}: {at:?}"))
    }

    /// Removes every container, network and volume.
    pub async fn down(&self) -> Result<()> {
        must(
            self.compose(["down", "--volumes", "--remove-orphans"]),
            DOWN_LIMIT,
        )
        .await
        .map(drop)
    }

    /// Ends the engine if it was started here.
    pub async fn stop(self) -> Result<()> {
        self.engine.stop().await
    }

    /// Lists its containers' ids, unless it is given more filters.
    fn containers(&self) -> Command {
        let mut list = self.engine.docker();
        let label = format!("label=com.docker.compose.project={NAME}");
        list.args(["ps", "--all", "--quiet", "--filter", &label]);
        list
    }

    fn compose<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = self.engine.compose();
        command
            // Where paths in the file begin, also that of the seccomp profile.
            .current_dir(tools::workspace_root())
            .env("FERRY_PARTS", "prebuilt")
            .env("FERRY_TAG", NAME)
            // Free ones of the engine's choice.
            .env("FERRY_GATEWAY_PORT", "0")
            .env("FERRY_BASE_PORT", "0")
            .env("FERRY_MAVEN_SEED", &self.seed)
            // The file alone: somebody may have an override beside it.
            .args(["--file", "compose.yaml", "--project-name", NAME])
            .args(args);
        command
    }
}

/// The service that a container is of.
pub fn service_of(state: &Value) -> &str {
    state["Config"]["Labels"]["com.docker.compose.service"]
        .as_str()
        .unwrap_or("a container")
}

fn is_well(state: &Value, service: &str) -> bool {
    let state_is = |wanted: &str| state["State"]["Status"].as_str() == Some(wanted);
    service_of(state) == service
        && if ONCE.contains(&service) {
            state_is("exited") && state["State"]["ExitCode"].as_i64() == Some(0)
        } else {
            state_is("running") && state["State"]["Health"]["Status"].as_str() == Some("healthy")
        }
}
