//! What a case says of itself. Goes in: `case.toml`. Comes out: [`Case`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ferry_slim::{Outcome, Rules, RulesFile, Versions, Wishes, rules};
use serde::Deserialize;

/// A module of the corpus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Case {
    /// Its folder's name.
    #[serde(skip)]
    pub name: String,
    /// Its folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What is special about it.
    pub what: String,
    /// What the proof must say.
    pub verdict: Outcome,
    /// The error that is foretold, and that the base must show; none where it
    /// links.
    #[serde(default)]
    pub error: Option<String>,
    /// What it says when it ran.
    #[serde(default = "ok")]
    pub answer: String,
    /// Jars of the base that it carries, by file.
    #[serde(default)]
    pub carry: Vec<String>,
    /// Entries that slimming must leave out.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// All entries that must stay, where those that go are many.
    #[serde(default)]
    pub kept: Option<Vec<String>>,
    /// `declared-libraries`.
    #[serde(default)]
    pub declared: Vec<String>,
    /// What happens is not what is foretold, and no proof could know: a limit
    /// that `docs/slimming.md` tells.
    #[serde(default)]
    pub limit: bool,
    /// The class files' version, where it is not the compiler's.
    #[serde(default)]
    pub major: Option<u16>,
    /// Whether the module takes the base's other versions where they link.
    #[serde(default)]
    pub versions: Versions,
    /// Whether its libraries are reduced to the classes that are reached.
    #[serde(default)]
    pub shake: bool,
    /// The project's own rules: each file's name below `conf/ark`, and its text.
    #[serde(default)]
    pub rules: BTreeMap<String, String>,
    /// What is said of them, in part, a line each.
    #[serde(default)]
    pub told: Vec<String>,
    /// Compiled with Lombok.
    #[serde(default)]
    pub lombok: bool,
    /// Not compiled here: it is `demo/hello` with all that it needs, built by
    /// Maven with these further properties, and answers over HTTP.
    #[serde(default)]
    pub demo: Option<Vec<String>>,
    /// Further lines of the manifest.
    #[serde(default)]
    pub manifest: BTreeMap<String, String>,
}

impl Case {
    /// What it wants of its slimming.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        let files: Vec<RulesFile> = self
            .rules
            .iter()
            .map(|(name, text)| RulesFile {
                name: format!("{}/{name}", rules::FOLDER),
                text: Some(text.clone()),
            })
            .collect();
        Wishes {
            versions: self.versions,
            shake: self.shake,
            rules: Rules::read(&files),
        }
    }
}

fn ok() -> String {
    "ok".to_owned()
}

/// Every case, by name.
///
/// # Errors
/// When a folder holds no `case.toml` that can be read.
pub fn cases() -> Result<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let folder = entry?.path();
        let file = folder.join("case.toml");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let case: Case = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        cases.push(Case {
            name: name.into_owned(),
            folder,
            ..case
        });
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}
