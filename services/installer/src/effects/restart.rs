//! Restarts a base: out of its load balancer, its pool's driver, back.
//!
//! In: a restart that stands in the committed record, `[pools.X.restart]`. Out: what came of one stage. The
//! driver is called only by whom the record names, and not after the moment from which modules count on the base
//! again.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    process::Stdio,
    time::Duration,
};

use ferry_config::{Config, Names};
use ferry_events::{Reason, Stop, Timestamp};
use tokio::{process::Command, time::Instant};
use tracing::{info, warn};

use super::{Arklet, InstallerEffects, drain::Way, fence};
use crate::decide::{Restart, RestartStage};

/// Between two looks at a base that starts.
const LOOK: Duration = Duration::from_millis(500);
/// So much of what a driver printed last stands in a reason, in bytes.
const SAID_MAX: u64 = 400;

/// A driver's command, as it is to be run.
struct Driver {
    argv: Vec<String>,
    timeout: Duration,
    ready: Duration,
}

impl Driver {
    fn of(config: &Config, restart: &Restart) -> Result<Self, Stop> {
        let turn = &restart.turn;
        let driver = config
            .pools
            .get(&turn.pool)
            .and_then(|pool| pool.restart.as_ref());
        let Some(driver) = driver else {
            let why = format!("[pools.{}.restart] is not set any more", turn.pool);
            return Err(Stop::new(Reason::NoRestartDriver, why));
        };
        let zone = config.base(&turn.base).map(|(_, base)| base.zone.as_str());
        let names = Names {
            base: &turn.base,
            zone: zone.unwrap_or_default(),
            module: "",
        };
        Ok(Self {
            argv: driver.exec.iter().map(|word| names.fill(word)).collect(),
            timeout: driver.timeout,
            ready: driver.ready,
        })
    }

    /// Runs it to its end.
    async fn run(&self) -> Result<(), String> {
        let Some((program, arguments)) = self.argv.split_first() else {
            return Err("it has no command".to_owned());
        };
        // A file, not a pipe: what the command leaves running may hold it open.
        let said =
            tempfile::tempfile().map_err(|error| format!("no file for its output: {error}"))?;
        let files = said
            .try_clone()
            .and_then(|out| Ok((out, said.try_clone()?)));
        let (out, err) = files.map_err(|error| format!("no file for its output: {error}"))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| format!("{program} cannot be run: {error}"))?;
        let ended = tokio::time::timeout(self.timeout, child.wait()).await;
        let what = match ended {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => format!("{program} ended with {status}"),
            Ok(Err(error)) => format!("{program} was lost: {error}"),
            Err(_) => {
                let limit = humantime::format_duration(self.timeout);
                if let Err(error) = child.kill().await {
                    warn!(program, %error, "the driver cannot be killed");
                }
                format!("{program} had not ended after {limit}, and was killed")
            }
        };
        match last_words(said) {
            words if words.is_empty() => Err(what),
            words => Err(format!("{what}: {words}")),
        }
    }
}

/// What a command printed last, in one line.
fn last_words(mut said: std::fs::File) -> String {
    let mut bytes = Vec::new();
    let length = said.seek(SeekFrom::End(0)).unwrap_or_default();
    let from = SeekFrom::Start(length.saturating_sub(SAID_MAX));
    if said.seek(from).is_err() || said.read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl InstallerEffects {
    /// Carries out a stage. The moment is when the driver's command had ended.
    pub(super) async fn restart(
        &self,
        config: &Config,
        restart: &Restart,
        arklet: Result<Arklet, Stop>,
    ) -> Result<Option<Timestamp>, Stop> {
        match restart.stage {
            RestartStage::Drain => self.balance(config, restart, Way::Out).await?,
            RestartStage::Undrain => self.balance(config, restart, Way::Back).await?,
            RestartStage::Drive => return self.drive(config, restart, &arklet?).await.map(Some),
            RestartStage::Settle => {}
        }
        Ok(None)
    }

    /// Tells the load balancer, for each module where it knows the base by those.
    async fn balance(&self, config: &Config, restart: &Restart, way: Way) -> Result<(), Stop> {
        let base = &restart.turn.base;
        let reason = match way {
            Way::Out => Reason::DrainFailed,
            Way::Back => Reason::UndrainFailed,
        };
        for module in &restart.out {
            let told = self.tell(config, base, module, way).await;
            told.map_err(|why| Stop::new(reason, why).on(base))?;
        }
        Ok(())
    }

    async fn drive(
        &self,
        config: &Config,
        restart: &Restart,
        arklet: &Arklet,
    ) -> Result<Timestamp, Stop> {
        let base = &restart.turn.base;
        let driver = Driver::of(config, restart)?;
        let failed = |why: String| Stop::new(Reason::RestartFailed, why).on(base);
        if !self.is_asked_for(restart).await {
            return Err(failed("it is not asked for any more".to_owned()));
        }
        if self.clock.now() > restart.begin_by {
            let why = "its moment is past: the modules count on the base again";
            return Err(failed(why.to_owned()));
        }
        info!(base, command = ?driver.argv, "restarting");
        driver.run().await.map_err(failed)?;
        let ended = self.clock.now();
        let began = Instant::now();
        loop {
            match arklet.observe("").await {
                Ok(_) => return Ok(ended),
                Err(error) if began.elapsed() >= driver.ready => {
                    let limit = humantime::format_duration(driver.ready);
                    let why = format!("it does not answer {limit} after its driver: {error}");
                    return Err(failed(why));
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Whether the committed record has it in this stage.
    async fn is_asked_for(&self, restart: &Restart) -> bool {
        let base = fence::wait_record(&self.hands, &restart.turn.base).await;
        let now = base.and_then(|base| base.restart);
        now.is_some_and(|now| now.turn == restart.turn && now.stage == restart.stage)
    }
}
