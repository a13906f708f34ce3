//! One replica of a service: a process that is started again with the same arguments.
//!
//! In: its service and arguments. Out: a process, its readiness, its end.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferry_events::Service;
use tokio::time::{Instant, sleep};

use crate::process::Process;
use crate::tools;
use crate::wait::LOOK_EVERY;

/// How long one question for its readiness may take; a frozen one never answers.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// A replica.
#[derive(Debug)]
pub struct Member {
    service: Service,
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    tools: Option<PathBuf>,
    log: PathBuf,
    url: String,
    http: reqwest::Client,
    process: Option<Process>,
}

impl Member {
    /// One that does not run yet. `url` is where it answers `/readyz`.
    pub(super) fn new(
        service: Service,
        name: String,
        arguments: Vec<String>,
        url: &str,
        log: PathBuf,
        tools: Option<&Path>,
    ) -> Result<Self> {
        Ok(Self {
            service,
            name,
            program: tools::program(&format!("ferry-{service}"))?,
            arguments,
            tools: tools.map(Path::to_owned),
            log,
            url: url.to_owned(),
            http: reqwest::Client::builder().timeout(ASK_LIMIT).build()?,
            process: None,
        })
    }

    /// Whose replica it is.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Its name: `scheduler-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers: a gateway's API; of the others `/healthz` and `/readyz`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it. One that runs is killed first.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_remove("FERRY_TOKEN")
            .env_remove("FERRY_LISTEN")
            .env_remove("FERRY_HEALTH");
        if let Some(folder) = &self.tools {
            let mut path = vec![folder.join("bin")];
            path.extend(std::env::split_paths(
                &std::env::var_os("PATH").unwrap_or_default(),
            ));
            command
                .env("PATH", std::env::join_paths(path)?)
                .env("JAVA_HOME", folder);
        }
        self.process = None;
        self.process = Some(Process::spawn(&self.name, command, &self.log)?);
        Ok(())
    }

    /// Its process, once it was started.
    ///
    /// # Errors
    /// When it was not.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process
            .as_mut()
            .with_context(|| format!("{} was not started", self.name))
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        self.process()?.kill().await.map(drop)
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.process()?.freeze()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.process()?.thaw()
    }

    /// SIGTERM, and its exit status; killed at the limit.
    ///
    /// # Errors
    /// When it does not end even so.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process()?.terminate(limit).await
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.process {
            Some(process) => process.ended(),
            None => Ok(None),
        }
    }

    /// The status and text of its `/readyz`; none: it does not answer.
    pub async fn readyz(&self) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
        let answer = answer.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends, or at the limit, with what it said last.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let said = self.readyz().await;
            if said.as_ref().is_some_and(|(status, _)| *status == 200) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                let tail = self.process()?.tail();
                bail!("{} ended ({status}); {tail}", self.name);
            }
            if Instant::now() >= deadline {
                let said = said.map_or("nothing".to_owned(), |(status, text)| {
                    format!("{status} {text}")
                });
                let tail = self.process()?.tail();
                bail!(
                    "{} is not ready after {limit:?}, it says {said}; {tail}",
                    self.name
                );
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
