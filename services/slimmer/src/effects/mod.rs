//! Slimming for real: the jar from the store, against each pool's profile, back into the store.
//!
//! In: a packaged artifact. Out: its release, or the stop with its cause.

mod base;
mod past;
mod profiles;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use ferry_bus::BusError;
use ferry_config::{Config, Pool};
use ferry_events::{
    Digest, Reason, Stop,
    artifact::{Packaged, Proof, Release, Slim, Slimmed},
};
use ferry_runtime::{Done, Effects, Environment, Failure, Feeder, Hands, Job};
use ferry_slim::{
    BaseProfile, Fault, Finding, Growth, Kind, Limits, Past, Report, Rules, SlimError, Stamp,
    Verdict, Versions, Wishes,
};
use serde::Serialize;
use tracing::{info, warn};

use self::profiles::Profiles;
use crate::{
    Slimmer,
    decide::{Outcome, State},
};

/// The slimmer's effects.
pub struct SlimmerEffects {
    hands: Hands,
    folder: PathBuf,
    profiles: Profiles,
}

impl SlimmerEffects {
    /// Effects that work in the service's own folder.
    pub fn new(environment: Environment) -> Self {
        Self {
            hands: environment.hands,
            folder: environment.data_dir,
            profiles: Profiles::default(),
        }
    }

    /// The jar as it was built, in a folder of its own.
    async fn packaged(&self, packaged: &Packaged) -> Result<(tempfile::TempDir, PathBuf), Failure> {
        let folder = tempfile::tempdir_in(&self.folder)
            .map_err(|error| disk("a folder for the jar", &error))?;
        let jar = folder.path().join("packaged.jar");
        self.hands
            .get_jar(&packaged.digest, &jar)
            .await
            .map_err(|error| store(&error))?;
        Ok((folder, jar))
    }

    async fn slim(&self, packaged: &Packaged, config: &Config) -> Result<Release, No> {
        let (fetched, last) = tokio::join!(
            self.packaged(packaged),
            past::reports(&self.hands, &packaged.module),
        );
        let (folder, jar) = fetched?;
        let stamp = match &packaged.commit {
            Some(commit) => Stamp::commit(commit).map_err(|error| refusal(&error))?,
            None => Stamp::packaged(),
        };
        let wishes = wishes(packaged, config);
        let mut pools = BTreeMap::new();
        // Pools of one base build share a profile, and so a jar.
        let mut made: BTreeMap<(Option<&Path>, Option<&str>), Slimmed> = BTreeMap::new();
        for (name, pool) in config.pools_of_module(&packaged.module) {
            let build = (pool.base_jar.as_deref(), pool.base.as_deref());
            let slimmed = match made.get(&build) {
                Some(slimmed) => slimmed.clone(),
                None => {
                    let output = folder.path().join(format!("slimmed-{}.jar", made.len()));
                    let past = async {
                        match last.get(name) {
                            Some(report) => past::read(&self.hands, report, folder.path()).await,
                            None => None,
                        }
                    };
                    let (profile, past) = tokio::join!(self.profile(name, pool), past);
                    let slimmed = self
                        .one(name, (&jar, past), profile?, (&wishes, &stamp), output)
                        .await?;
                    made.insert(build, slimmed.clone());
                    slimmed
                }
            };
            pools.insert(name.to_owned(), slimmed);
        }
        Ok(Release {
            origin: packaged.origin,
            run: packaged.run,
            module: packaged.module.clone(),
            commit: packaged.commit.clone(),
            packaged: packaged.digest.clone(),
            biz: packaged.biz.clone(),
            own: packaged.own.clone(),
            pools,
        })
    }

    /// What the bases of a pool provide; none where nothing is known of them.
    async fn profile(&self, name: &str, pool: &Pool) -> Result<Option<Arc<BaseProfile>>, Failure> {
        let unavailable = |why: String| {
            let stop = Stop::new(Reason::ProfileUnavailable, format!("pool {name}: {why}"));
            Failure::from(stop)
        };
        if let Some(path) = &pool.base_jar {
            let found = self.profiles.get(path).await.map_err(|error| {
                let failure = unavailable(format!("{}: {}", path.display(), chain(&error)));
                match may_pass(&error) {
                    true => Failure::Again(failure.into_stop()),
                    false => failure,
                }
            })?;
            return Ok(Some(found));
        }
        let Some(base) = &pool.base else {
            warn!(pool = name, "no base, no base_jar: nothing is left out");
            return Ok(None);
        };
        let last = past::last(&self.hands, base)
            .await
            .map_err(|error| store(&error))?;
        match last.as_ref().and_then(State::profile) {
            Some(stored) => self.stored(base, stored).await.map(Some),
            None => Err(unavailable(format!(
                "{base} has no profile yet: push to its repository, or `ferry run {base} --commit C`"
            ))),
        }
    }

    async fn one(
        &self,
        pool: &str,
        (jar, past): (&Path, Option<Past>),
        profile: Option<Arc<BaseProfile>>,
        (wishes, stamp): (&Wishes, &Stamp),
        output: PathBuf,
    ) -> Result<Slimmed, No> {
        let (input, to) = (jar.to_owned(), output.clone());
        let (wishes, stamp) = (wishes.clone(), stamp.clone());
        let slimming = move || {
            let (profile, limits) = (profile.as_deref(), Limits::default());
            ferry_slim::slim_as(&input, profile, &wishes, &stamp, &to, limits)
        };
        let mut report = tokio::task::spawn_blocking(slimming)
            .await
            .map_err(|error| Failure::OurFault(format!("slimming panicked: {error}")))?
            .map_err(|error| refusal(&error))?;
        report.since = past.map(|past| Growth::of(&past, &report));
        tell(&report);
        let digest: Digest = report
            .digest
            .parse()
            .map_err(|error| Failure::OurFault(format!("{error}")))?;
        let proof = report.proof.as_ref();
        if let Some(verdict) = proof.filter(|it| it.outcome == ferry_slim::Outcome::Refused) {
            // Then the report is all that is kept.
            let kept = self.keep(&report, &output).await?;
            return Err(does_not_link(pool, verdict, kept));
        }
        let proof = proof.map(|verdict| Proof {
            gaps: u32::try_from(verdict.gaps.len()).unwrap_or(u32::MAX),
        });
        let (kept, put) = tokio::join!(
            self.keep(&report, &output),
            self.hands.put_jar(&digest, &output),
        );
        let kept = kept?;
        put.map_err(|error| store(&error))?;
        let profile = report
            .profile
            .as_deref()
            .and_then(|digest| digest.parse().ok());
        Ok(Slimmed {
            digest,
            version: report.version,
            size: report.bytes_after,
            profile,
            left_out: u32::try_from(report.left_out.len()).unwrap_or(u32::MAX),
            kept: u32::try_from(report.kept.len()).unwrap_or(u32::MAX),
            proof,
            report: Some(kept),
            since: report.since.as_ref().map(past::told),
        })
    }

    /// Keeps a report beside the jars.
    async fn keep(&self, report: &impl Serialize, jar: &Path) -> Result<Digest, Failure> {
        let text = serde_json::to_vec(report)
            .map_err(|error| Failure::OurFault(format!("the report: {error}")))?;
        self.put("the report", text, jar.with_extension("report.json"))
            .await
    }

    /// Keeps bytes under their digest.
    async fn put(&self, what: &str, bytes: Vec<u8>, file: PathBuf) -> Result<Digest, Failure> {
        let digest = Digest::of(&bytes);
        tokio::fs::write(&file, &bytes)
            .await
            .map_err(|error| disk(what, &error))?;
        self.hands
            .put_jar(&digest, &file)
            .await
            .map_err(|error| store(&error))?;
        Ok(digest)
    }
}

/// Why there is no slimmed jar.
enum No {
    /// The work failed, and the runtime knows what to do.
    Failed(Failure),
    /// The jar was looked through, and there is a report of it.
    Refused(Outcome),
}

impl<F: Into<Failure>> From<F> for No {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

fn does_not_link(pool: &str, verdict: &Verdict, report: Digest) -> No {
    // Nothing of the base is amiss where a class is broken: the module was built badly.
    let broken = |fault: &Finding| matches!(fault.fault, Fault::Broken { .. });
    let reason = match verdict.faults.iter().any(broken) {
        true => Reason::ClassBroken,
        false => Reason::DoesNotLink,
    };
    let detail = format!("pool {pool}: {}; report {report}", refused(verdict));
    No::Refused(Outcome::Refused {
        stop: Stop::new(reason, detail),
        report: Some((pool.to_owned(), report)),
    })
}

/// What the module wants: what it set at its commit, else what the configuration says of it.
fn wishes(packaged: &Packaged, config: &Config) -> Wishes {
    let own = packaged.own.as_ref().and_then(|own| own.slim);
    let central = || {
        let module = config.modules.get(&packaged.module);
        module.map_or_else(Slim::default, |module| Slim {
            compatible: module.slim.versions == ferry_config::Versions::Compatible,
            shake: module.slim.shake,
        })
    };
    let slim = own.unwrap_or_else(central);
    Wishes {
        versions: match slim.compatible {
            true => Versions::Compatible,
            false => Versions::Same,
        },
        shake: slim.shake,
        rules: Rules::read(&packaged.rules),
    }
}

/// How many faults a stop tells; the report has them all.
const FAULTS_TOLD: usize = 3;

fn refused(verdict: &Verdict) -> String {
    let told = verdict.faults.iter().take(FAULTS_TOLD);
    let mut told: Vec<String> = told
        .map(|fault| format!("{fault}: {}", fault.remedy))
        .collect();
    let more = verdict.faults.len().saturating_sub(FAULTS_TOLD);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

fn tell(report: &Report) {
    info!(
        module = report.name,
        version = report.version,
        before = report.bytes_before,
        after = report.bytes_after,
        left_out = report.left_out.len(),
        kept = report.kept.len(),
        "slimmed"
    );
    for note in &report.notes {
        warn!(module = report.name, "{note}");
    }
    for told in &report.rules {
        warn!(module = report.name, "{told}");
    }
}

#[async_trait]
impl Effects<Slimmer> for SlimmerEffects {
    async fn perform(&self, job: Job<Packaged>) -> Done<Outcome> {
        let result = if job.config.is_base(&job.work.module) {
            let profiled = self.profiled(&job.work).await;
            profiled.map(|profiled| Outcome::Profiled(Box::new(profiled)))
        } else {
            match self.slim(&job.work, &job.config).await {
                Ok(release) => Ok(Outcome::Slimmed(Box::new(release))),
                Err(No::Refused(outcome)) => Ok(outcome),
                Err(No::Failed(failure)) => Err(failure),
            }
        };
        if matches!(result, Err(_) | Ok(Outcome::Refused { .. })) {
            warn!(module = job.work.module, ?result, "not slimmed");
        }
        Done::of(result, |result| result.unwrap_or_else(Outcome::from))
    }

    /// Reads the profiles before the first push needs them.
    async fn watch(&self, mut feeder: Feeder<Slimmer>) {
        loop {
            for path in feeder
                .config()
                .pools
                .values()
                .filter_map(|pool| pool.base_jar.as_ref())
            {
                if let Err(error) = self.profiles.get(path).await {
                    warn!(path = %path.display(), error = chain(&error), "a base profile cannot be read");
                }
            }
            feeder.config_changed().await;
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn refusal(error: &SlimError) -> Failure {
    let reason = match error.kind() {
        Kind::Profile => Reason::ProfileUnavailable,
        Kind::Mismatch => Reason::BaseMismatch,
        Kind::Io => match error {
            SlimError::Io { source, .. } | SlimError::Spool { source, .. } => disk_reason(source),
            _ => Reason::StoreFailed,
        },
        kind => kind.reason().unwrap_or(Reason::OurFault),
    };
    let stop = Stop::new(reason, chain(error));
    match (error.kind(), reason) {
        // A disk that is not full may do better the next time.
        (Kind::Io, Reason::StoreFailed) => Failure::Again(stop),
        _ => stop.into(),
    }
}

fn disk_reason(error: &std::io::Error) -> Reason {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Reason::DiskFull,
        _ => Reason::StoreFailed,
    }
}

fn disk(what: &str, error: &std::io::Error) -> Stop {
    Stop::new(disk_reason(error), format!("{what}: {error}"))
}

fn store(error: &BusError) -> Failure {
    let stop = Stop::new(Reason::StoreFailed, error.to_string());
    match error {
        BusError::Io(what, source) => disk(what, source).into(),
        BusError::Full(_) => Stop::new(Reason::DiskFull, error.to_string()).into(),
        // The hands have been patient with it; the bus may be back in a minute.
        BusError::Unavailable(_) => Failure::Again(stop),
        _ => stop.into(),
    }
}

/// Whether a profile may be readable in a while: its disk is on the network and does not answer.
fn may_pass(error: &SlimError) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotFound, PermissionDenied};
    match error {
        SlimError::Io { source, .. } => {
            !matches!(source.kind(), NotFound | PermissionDenied | IsADirectory)
        }
        _ => false,
    }
}
