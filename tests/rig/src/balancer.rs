//! A real HAProxy before real bases, set up as docs/operations.md says.
//!
//! In: servers. Out: one address for all of them, and the `[pools.prod.drain]` that drains them, both made
//! from the recipe in the docs, so that the recipe is what is tested.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::tools;
use crate::wait::until;

/// It starts in milliseconds; the rest is for a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(20);

/// `ferry:drain` as the recipe has it, for HTTP's basic authentication.
pub const SECRET: &str = "Basic ZmVycnk6ZHJhaW4=";

/// Where the recipe's HAProxy listens for requests, and for Ferry.
const FRONT: &str = "127.0.0.1:8000";
const ADMIN: &str = "127.0.0.1:8404";

/// A running HAProxy, killed when dropped.
#[derive(Debug)]
pub struct HaProxy {
    process: Process,
    front: u16,
    admin: u16,
}

impl HaProxy {
    /// Starts one before these servers: name and port.
    ///
    /// # Errors
    /// When HAProxy is missing or does not come up.
    pub async fn start(dir: &Path, servers: &[(&str, u16)]) -> Result<Self> {
        let (front, admin) = (ferry_ports::port()?, ferry_ports::port()?);
        let mut text = recipe("haproxy")?
            .replace(FRONT, &format!("127.0.0.1:{front}"))
            .replace(ADMIN, &format!("127.0.0.1:{admin}"));
        let lines = text.lines().filter(|line| !line.contains("server prod-"));
        text = lines.map(|line| format!("{line}\n")).collect();
        for (name, port) in servers {
            // The recipe's backend stands last.
            text.push_str(&format!("    server {name} 127.0.0.1:{port} check\n"));
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let file = dir.join("haproxy.cfg");
        fs::write(&file, text)?;
        let mut command = Command::new(tools::haproxy()?);
        command.arg("-db").arg("-f").arg(&file);
        let mut started = Self {
            process: Process::spawn("haproxy", command, &dir.join("haproxy.log"))?,
            front,
            admin,
        };
        let http = reqwest::Client::new();
        let stats = format!("http://127.0.0.1:{admin}/stats");
        let process = std::cell::RefCell::new(&mut started.process);
        until("HAProxy to answer", START_LIMIT, || async {
            if let Some(status) = process.borrow_mut().ended()? {
                let tail = process.borrow().tail();
                bail!("HAProxy ended ({status}); {tail}");
            }
            let asked = http.get(&stats).header("authorization", SECRET);
            Ok(asked
                .send()
                .await
                .is_ok_and(|it| it.status().is_success())
                .then_some(()))
        })
        .await?;
        Ok(started)
    }

    /// Where requests go: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front)
    }

    /// What HAProxy says of its servers, as CSV.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn stats(&self, http: &reqwest::Client) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/stats;csv", self.admin);
        let asked = http.get(url).header("authorization", SECRET);
        Ok(asked.send().await?.error_for_status()?.text().await?)
    }

    /// The recipe's `[pools.prod.drain]`, for this one. Its secret is `file:secrets/balancer`.
    ///
    /// # Errors
    /// When the docs have none.
    pub fn drain(&self) -> Result<String> {
        let admin = format!("127.0.0.1:{}", self.admin);
        Ok(recipe("toml")?.replace(ADMIN, &admin))
    }
}

/// The block of HAProxy's recipe in this language.
fn recipe(language: &str) -> Result<String> {
    let file = tools::workspace_root().join("docs/operations.md");
    let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
    let after = text
        .split_once("### HAProxy")
        .context("docs/operations.md has no recipe for HAProxy")?
        .1;
    let block = after
        .split_once(&format!("```{language}\n"))
        .and_then(|(_, rest)| rest.split_once("```"))
        .with_context(|| format!("the recipe for HAProxy has no block of {language}"))?;
    Ok(block.0.to_owned())
}
