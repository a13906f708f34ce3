//! A base that is a process of `ferry-fake-base`, or a real one: the same
//! questions to both.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::base::Base;
use crate::process::Process;
use crate::tools;

/// It listens within milliseconds; the rest is for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// A base without Java, killed when dropped.
#[derive(Debug)]
pub struct SimulatedBase {
    name: String,
    process: Process,
    addresses: Addresses,
    client: reqwest::Client,
}

/// The line that `ferry-fake-base` prints once it listens.
#[derive(Debug, Deserialize)]
struct Addresses {
    arklet_url: String,
    modules_url: String,
    control_url: String,
}

impl SimulatedBase {
    /// Starts one on free ports; its log and its ledger go to `dir`.
    ///
    /// # Errors
    /// When the program is missing or does not come up.
    pub async fn start(name: &str, dir: &Path) -> Result<Self> {
        let mut command = Command::new(tools::program("ferry-fake-base")?);
        command
            .args(["--name", name, "--ledger"])
            .arg(dir.join("ledger.jsonl"));
        let log = dir.join("base.log");
        let mut process = Process::spawn(&format!("simulated base {name}"), command, &log)?;
        let line = process
            .line(START_LIMIT, |line| line.starts_with('{'))
            .await?;
        Ok(Self {
            name: name.to_owned(),
            process,
            addresses: serde_json::from_str(&line).context("the addresses of a simulated base")?,
            client: reqwest::Client::builder().timeout(ASK_LIMIT).build()?,
        })
    }

    /// Its own port for faults and the ledger, which a real base does not have.
    pub fn control_url(&self) -> &str {
        &self.addresses.control_url
    }

    /// The process, to signal it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.addresses.modules_url);
        let answer = self.client.get(&url).send().await;
        let answer = answer.with_context(|| format!("no answer from {url}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

/// A base of either kind.
#[derive(Debug)]
pub enum AnyBase {
    /// A Koupleless JVM.
    Real(Box<Base>),
    /// A process that speaks its protocol.
    Simulated(Box<SimulatedBase>),
}

impl AnyBase {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Real(base) => base.name(),
            Self::Simulated(base) => &base.name,
        }
    }

    /// Where its modules answer.
    pub fn http_url(&self) -> String {
        match self {
            Self::Real(base) => base.http_url(),
            Self::Simulated(base) => base.addresses.modules_url.clone(),
        }
    }

    /// Where arklet answers.
    pub fn arklet_url(&self) -> String {
        match self {
            Self::Real(base) => base.arklet_url(),
            Self::Simulated(base) => base.addresses.arklet_url.clone(),
        }
    }

    /// The status and body of `GET path` where its modules answer.
    ///
    /// # Errors
    /// When there is no answer within 5 s.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        match self {
            Self::Real(base) => base.get(path).await,
            Self::Simulated(base) => base.get(path).await,
        }
    }

    /// The process, to signal it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Real(base) => base.process(),
            Self::Simulated(base) => base.process(),
        }
    }
}
