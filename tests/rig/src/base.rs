//! A real Koupleless base: a JVM of its own with Tomcat and arklet, built from
//! `demo/base`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::maven;
use crate::process::Process;
use crate::tools;
use crate::wait::until;

/// A base starts in 8 to 10 s alone, in 20 beside a build; three at once on two
/// cores take the rest.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Arklet leaves some requests without a reply: no question waits longer.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Spring closes its contexts when asked to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How to start a base.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it answers on `/`.
    pub name: String,
    /// Where its log, its unpacked modules and its own log files go.
    pub dir: PathBuf,
    /// The heap's limit in MiB.
    pub heap_mib: u32,
    /// The metaspace's limit in MiB.
    pub metaspace_mib: u32,
    /// Further options for the JVM, behind all others.
    pub jvm: Vec<String>,
}

impl Options {
    /// A base that takes some ten modules: 512 MiB of heap, 256 of metaspace.
    pub fn new(name: &str, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_path_buf(),
            heap_mib: 512,
            metaspace_mib: 256,
            jvm: Vec::new(),
        }
    }
}

/// A running base, killed when dropped.
#[derive(Debug)]
pub struct Base {
    options: Options,
    jar: PathBuf,
    process: Process,
    http_port: u16,
    arklet_port: u16,
    client: reqwest::Client,
}

impl Base {
    /// Starts a base on free ports of the loopback and waits until arklet and
    /// Tomcat answer.
    ///
    /// # Errors
    /// When it cannot be built or does not come up, with its log's tail.
    pub async fn start(options: Options) -> Result<Self> {
        let jar = maven::base_jar().await?;
        let client = reqwest::Client::builder().timeout(ASK_LIMIT).build()?;
        let (http_port, arklet_port) = (ferry_ports::port()?, ferry_ports::port()?);
        let mut base = Self {
            process: launch(&options, &jar, http_port, arklet_port)?,
            options,
            jar,
            http_port,
            arklet_port,
            client,
        };
        base.answers().await?;
        Ok(base)
    }

    /// The name it answers with.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where its modules answer: `http://127.0.0.1:PORT`.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Where arklet answers: `http://127.0.0.1:PORT`.
    pub fn arklet_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.arklet_port)
    }

    /// Tomcat's port.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Arklet's port.
    pub fn arklet_port(&self) -> u16 {
        self.arklet_port
    }

    /// The jar it runs: a Spring Boot fat jar.
    pub fn jar(&self) -> &Path {
        &self.jar
    }

    /// The process, to signal it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks arklet: `POST /COMMAND` with a JSON body.
    ///
    /// # Errors
    /// When there is no reply within 5 s, or it is not JSON.
    pub async fn ask(&self, command: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/{command}", self.arklet_url());
        let reply = self
            .client
            .post(&url)
            .json(body)
            .send()
            .await
            .with_context(|| format!("no reply from {url}"))?;
        let bytes = reply
            .bytes()
            .await
            .with_context(|| format!("half a reply from {url}"))?;
        serde_json::from_slice(&bytes).with_context(|| format!("no JSON from {url}"))
    }

    /// The status and body of `GET path` on Tomcat.
    ///
    /// # Errors
    /// When there is no answer within 5 s.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.http_url());
        let answer = self
            .client
            .get(&url)
            .send()
            .await
            .with_context(|| format!("no answer from {url}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Stops it where it stands: connections open and nothing answers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a frozen one go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map(drop)
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).await.map(drop)
    }

    /// Kills it if it still runs, and starts it again on the same ports, empty.
    ///
    /// # Errors
    /// When it does not come up, with its log's tail.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.kill().await?;
        }
        self.process = launch(&self.options, &self.jar, self.http_port, self.arklet_port)?;
        self.answers().await
    }

    /// Waits until Tomcat and arklet answer.
    async fn answers(&mut self) -> Result<()> {
        let name = self.options.name.clone();
        let arklet = format!("{}/health", self.arklet_url());
        let tomcat = format!("{}/", self.http_url());
        let client = self.client.clone();
        let process = std::cell::RefCell::new(&mut self.process);
        let up = until("the base to answer", START_LIMIT, || async {
            if let Some(status) = process.borrow_mut().ended()? {
                bail!("it ended ({status})");
            }
            Ok(
                (arklet_is_up(&client, &arklet).await && tomcat_is_up(&client, &tomcat).await)
                    .then_some(()),
            )
        })
        .await;
        up.with_context(|| format!("base {name} did not come up; {}", self.process.tail()))
    }
}

async fn arklet_is_up(client: &reqwest::Client, url: &str) -> bool {
    let Ok(reply) = client.post(url).json(&json!({})).send().await else {
        return false;
    };
    let Ok(bytes) = reply.bytes().await else {
        return false;
    };
    let health: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let state = &health["data"]["healthData"]["masterBizInfo"]["bizState"];
    state
        .as_str()
        .is_some_and(|state| state.eq_ignore_ascii_case("activated"))
}

async fn tomcat_is_up(client: &reqwest::Client, url: &str) -> bool {
    matches!(client.get(url).send().await, Ok(answer) if answer.status().is_success())
}

/// Builds the jar of `demo/base` unless that was done: see [`maven::base_jar`].
///
/// # Errors
/// As [`maven::base_jar`].
pub async fn ensure_base_jar() -> Result<PathBuf> {
    maven::base_jar().await
}

fn launch(options: &Options, jar: &Path, http_port: u16, arklet_port: u16) -> Result<Process> {
    let temp = options.dir.join("tmp");
    let home = options.dir.join("home");
    for dir in [&temp, &home] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut command = Command::new(tools::jdk()?.java());
    command
        .current_dir(&options.dir)
        .arg(format!("-Xmx{}m", options.heap_mib))
        .arg(format!("-XX:MaxMetaspaceSize={}m", options.metaspace_mib))
        // Out of metaspace, arklet's event loop would die and Tomcat live on.
        .arg("-XX:+ExitOnOutOfMemoryError")
        // Lets go of the class loaders of uninstalled modules.
        .arg("-XX:SoftRefLRUPolicyMSPerMB=0")
        .arg("-Dsofa.ark.telnet.server.enable=false")
        // Ark unpacks modules into the one, and writes logs into the other.
        .arg(format!("-Djava.io.tmpdir={}", temp.display()))
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Dbase.name={}", options.name))
        .arg(format!("-Dserver.port={http_port}"))
        .arg(format!("-Dkoupleless.arklet.http.port={arklet_port}"))
        .args(&options.jvm)
        .arg("-jar")
        .arg(jar);
    Process::spawn(
        &format!("base {}", options.name),
        command,
        &options.dir.join("base.log"),
    )
}
