//! The bases of a world: processes, each with its ledger on disk.
//!
//! In: a folder. Out: what each base runs, what it answers, what it was asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ferry_fake_base::Entry;
use serde_json::{Value, json};

use super::world::ENVIRONMENTS;
use crate::simulated::{AnyBase, SimulatedBase};

/// The bases of all environments.
pub struct Bases {
    dir: PathBuf,
    bases: Vec<AnyBase>,
    http: reqwest::Client,
}

impl Bases {
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        let mut bases = Vec::new();
        for name in ENVIRONMENTS.iter().flat_map(|(_, names)| *names) {
            let folder = dir.join(name);
            fs::create_dir_all(&folder)?;
            let base = SimulatedBase::start(name, &folder).await?;
            bases.push(AnyBase::Simulated(Box::new(base)));
        }
        Ok(Self {
            dir: dir.to_owned(),
            bases,
            http: reqwest::Client::new(),
        })
    }

    /// One base.
    pub fn named(&self, name: &str) -> Option<&AnyBase> {
        self.bases.iter().find(|base| base.name() == name)
    }

    /// Every base.
    pub fn all(&self) -> impl Iterator<Item = &AnyBase> {
        self.bases.iter()
    }

    /// The versions of each module on a base, with their states.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn runs(&self, base: &AnyBase) -> Result<BTreeMap<String, Vec<(String, String)>>> {
        let url = format!("{}/queryAllBiz", base.arklet_url());
        let answer = self.http.post(&url).json(&json!({})).send().await;
        let answer: Value = answer
            .with_context(|| format!("no answer from {url}"))?
            .json()
            .await?;
        let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for biz in answer["data"].as_array().into_iter().flatten() {
            let text = |field: &str| biz[field].as_str().unwrap_or_default().to_owned();
            let versions = found.entry(text("bizName")).or_default();
            // 2.1.3 and 2.1.6 write it in different cases.
            versions.push((text("bizVersion"), text("bizState").to_lowercase()));
        }
        Ok(found)
    }

    /// Gives a base a fault, such as `slow_install_ms`.
    ///
    /// # Errors
    /// When it is a real one, or does not know the fault.
    pub async fn fault(&self, base: &AnyBase, fault: &str, value: Value) -> Result<()> {
        let AnyBase::Simulated(base) = base else {
            bail!("a real base has no faults to switch");
        };
        let url = format!("{}/_fake/faults", base.control_url());
        let answer = self
            .http
            .post(&url)
            .json(&json!({ fault: value }))
            .send()
            .await;
        let answer = answer.with_context(|| format!("no answer from {url}"))?;
        answer
            .error_for_status()
            .map(drop)
            .context("the fault is not known")
    }

    /// What a base was asked and what came of it, from its disk.
    ///
    /// # Errors
    /// When its ledger cannot be read.
    pub fn ledger(&self, base: &AnyBase) -> Result<Vec<Entry>> {
        let file = self.dir.join(base.name()).join("ledger.jsonl");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}
