//! The whole of Ferry on real parts on one machine: `ferry up` with nats-server
//! and the six services as processes of their own, in one folder, on free ports.
//!
//! In: a [`Setup`]. Out: a running Ferry, its API, pushes into it and its events
//! out of it. Everything that was started is killed when it is dropped.

mod events;
pub(crate) mod setup;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferry_api::{Client, ClientError, CommandState, DeployQuery, HookAnswer, PushState, RunView};
use ferry_events::{PushId, RunId, push::RunOf};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

pub use events::Recorder;
pub use setup::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup};

use crate::git::Push;
use crate::process::Process;
use crate::wait::until;
use crate::{hook, tools};

/// A start takes two seconds; the rest is for a machine that is busy with builds
/// and JVMs.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The services drain for up to 15 s, then nats-server for up to 10.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Git answers within a second; a busy machine may take longer.
const RESOLVE_LIMIT: Duration = Duration::from_secs(60);

/// Between two questions for a run that takes seconds.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Lines of each log that a failure shows.
const TAIL_LINES: usize = 12;

/// A running Ferry, killed when dropped.
#[derive(Debug)]
pub struct Stack {
    up: Process,
    dir: PathBuf,
    data: PathBuf,
    token_file: PathBuf,
    url: String,
    secret: String,
    client: Client,
    http: reqwest::Client,
}

impl Stack {
    /// Writes the configuration, starts `ferry up` and waits until every service
    /// is ready.
    ///
    /// # Errors
    /// When a program is missing or something does not come up, with the ends of
    /// all logs.
    pub async fn start(setup: &Setup) -> Result<Self> {
        let written = setup.write()?;
        let mut command = Command::new(tools::program("ferry")?);
        command
            .current_dir(&setup.dir)
            .arg("up")
            .arg("--config")
            .arg(&written.config)
            .arg("--data")
            .arg(&written.data)
            .arg("--nats-server")
            .arg(tools::nats_server()?)
            .env_remove("FERRY_TOKEN");
        if let Ok(jdk) = tools::jdk() {
            command.env("JAVA_HOME", jdk.home);
        }
        let url = format!("http://{}", written.gateway);
        let mut stack = Self {
            up: Process::spawn("ferry up", command, &setup.dir.join("up.log"))?,
            dir: setup.dir.clone(),
            data: written.data,
            token_file: written.token_file,
            client: Client::new(&url, Some(&written.token))?,
            url,
            secret: written.secret,
            http: reqwest::Client::new(),
        };
        let up = stack
            .up
            .line(START_LIMIT, |line| line.starts_with("ferry is up"))
            .await;
        if let Err(error) = up {
            bail!("{error:#}\n{}", stack.tails());
        }
        Ok(stack)
    }

    /// The API, with a token that may do everything.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The gateway's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with the API's token.
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// The folder with `ferry.toml`, data and logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The secret that webhooks are signed with.
    pub fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// The process of `ferry up`.
    pub fn process(&mut self) -> &mut Process {
        &mut self.up
    }

    /// The process id of `ferry up`, which the services are children of.
    pub fn process_id(&self) -> i32 {
        self.up.id()
    }

    /// Tells the gateway of a push as GitHub would, signed; 202 is expected.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn deliver(&self, push: &Push) -> Result<PushId> {
        let url = format!("{}/hooks/github", self.url);
        let answer = hook::send(&self.http, &url, self.secret(), push).await?;
        if answer.status != 202 {
            bail!(
                "the gateway answered {} to a push: {}",
                answer.status,
                answer.body
            );
        }
        let answer: HookAnswer = serde_json::from_value(answer.body)?;
        answer.push.context("an accepted push has an id")
    }

    /// The runs that a push caused, once git was asked.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn runs_of(&self, push: PushId) -> Result<Vec<RunOf>> {
        until("the push to be resolved", RESOLVE_LIMIT, || async {
            let view = self.client.push(push).await?;
            Ok((view.state == PushState::Resolved).then_some(view.runs))
        })
        .await
    }

    /// Pushes for one module: the run that it caused.
    ///
    /// # Errors
    /// When it is not accepted, or causes another number of runs than one.
    pub async fn push(&self, push: &Push) -> Result<RunId> {
        let id = self.deliver(push).await?;
        match self.runs_of(id).await?.as_slice() {
            [one] => Ok(one.run),
            others => bail!("push {id} caused {} runs, not one", others.len()),
        }
    }

    /// Uploads a jar for a module: the run that it caused.
    ///
    /// # Errors
    /// When it is refused, or not taken within `limit`.
    pub async fn upload(&self, module: &str, jar: Vec<u8>, limit: Duration) -> Result<RunId> {
        let size = jar.len() as u64;
        let query = DeployQuery::default();
        let asked = self.client.deploy(module, jar, size, &query).await?;
        until("the command to be taken", limit, || async {
            match self.client.command(asked.id).await {
                Ok(view) if view.state == CommandState::Waiting => Ok(None),
                Ok(view) => Ok(Some(view.run.context("the command is refused")?)),
                // The gateway may be starting again.
                Err(error) if error.is_passing() => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The run as it is now, or why that cannot be told yet.
    ///
    /// # Errors
    /// When the gateway refuses to tell.
    pub async fn look(&self, run: RunId) -> Result<Result<RunView, String>> {
        look(&self.client, run).await
    }

    /// The run, once nothing more will happen to it.
    ///
    /// # Errors
    /// At the limit, with where it stands and the ends of all logs.
    pub async fn wait_run(&self, run: RunId, limit: Duration) -> Result<RunView> {
        let deadline = Instant::now() + limit;
        loop {
            let state = match self.look(run).await? {
                Ok(view) if view.summary.state.is_over() => return Ok(view),
                Ok(view) => view.summary.state.to_string(),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                bail!(
                    "run {run} is not over after {limit:?}: {state}\n{}",
                    self.tails()
                );
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Writes every event, from the first on, to `file`, and passes it on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self, file: &Path) -> Result<Recorder> {
        Recorder::start(&self.client, file)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.up.terminate(STOP_LIMIT).await?;
        self.kill_rest();
        Ok(())
    }

    /// The ends of all logs, for an error message.
    pub fn tails(&self) -> String {
        let mut logs: Vec<PathBuf> = fs::read_dir(self.data.join("log"))
            .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        logs.sort();
        let mut text = String::new();
        for log in logs {
            let bytes = fs::read(&log).unwrap_or_default();
            let whole = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = whole.lines().collect();
            let from = lines.len().saturating_sub(TAIL_LINES);
            text += &format!("--- {}\n{}\n", log.display(), lines[from..].join("\n"));
        }
        text
    }

    /// Kills what a killed `ferry up` leaves: its children are in groups of their
    /// own, and it writes them down.
    fn kill_rest(&self) {
        let Ok(text) = fs::read(self.data.join("processes.json")) else {
            return;
        };
        let left: BTreeMap<String, Left> = serde_json::from_slice(&text).unwrap_or_default();
        for process in left.values().filter(|process| process.is_ours()) {
            killpg(Pid::from_raw(process.id), Signal::SIGKILL).ok();
        }
    }
}

/// A process as `ferry up` wrote it down.
#[derive(Deserialize)]
struct Left {
    id: i32,
}

impl Left {
    /// An id alone may be somebody else's by now.
    fn is_ours(&self) -> bool {
        let Ok(program) = fs::read_link(format!("/proc/{}/exe", self.id)) else {
            return false;
        };
        let is_server = tools::nats_server().is_ok_and(|server| program.starts_with(server));
        is_server || tools::programs_dir().is_ok_and(|dir| program.starts_with(dir))
    }
}

/// A run as a gateway tells it now, or why it cannot tell it yet.
///
/// # Errors
/// When the gateway refuses to tell.
pub async fn look(client: &Client, run: RunId) -> Result<Result<RunView, String>> {
    match client.run(&run.to_string()).await {
        Ok(view) => Ok(Ok(view)),
        // The gateway may be starting again.
        Err(error) if error.is_passing() => Ok(Err(error.to_string())),
        // A command or push is known to be taken a moment before its run is.
        Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(Err(problem.to_string())),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // First, so that it starts nothing again.
        if !matches!(self.up.ended(), Ok(Some(_))) {
            self.up.signal(Signal::SIGKILL).ok();
        }
        self.kill_rest();
    }
}
