//! What a base does with a case. Goes in: a slimmed jar, a running base. Comes
//! out: [`Judged`], and the table of all.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ferry_rig::{base::Base, maven::base_jar, tools};
use ferry_slim::{BaseProfile, Limits, Outcome, Report, Stamp, Verdict, Wishes, read_jdk, slim_as};
use serde_json::json;

use crate::case::Case;

/// A case, what was foretold and what happened.
#[derive(Debug)]
pub struct Judged {
    /// The case.
    pub case: Case,
    /// What the proof said.
    pub verdict: Verdict,
    /// What the module said; else what the base said of it.
    pub ran: Result<String, String>,
}

impl Judged {
    /// Whether the base did what was foretold: it ran and answered, or failed
    /// with an error that the proof named.
    #[must_use]
    pub fn as_foretold(&self) -> bool {
        match (&self.ran, self.verdict.outcome) {
            (Ok(answer), Outcome::Links | Outcome::LinksWithGaps) => *answer == self.case.answer,
            (Err(said), Outcome::Refused) => {
                let mut faults = self.verdict.faults.iter();
                faults.any(|fault| said.contains(&fault.error))
            }
            _ => false,
        }
    }

    /// Whether the proof said what the case says that it must.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        let errors: Vec<&str> = self
            .verdict
            .faults
            .iter()
            .map(|it| it.error.as_str())
            .collect();
        self.verdict.outcome == self.case.verdict
            && match &self.case.error {
                Some(error) => errors.contains(&error.as_str()),
                None => errors.is_empty(),
            }
    }
}

/// A slimmed jar.
pub struct Slimmed {
    /// Where it lies.
    pub jar: PathBuf,
    /// What slimming did.
    pub report: Report,
}

/// What the demo's base holds, and its Java.
///
/// # Errors
/// When there is no JDK, or the base cannot be built or read.
pub async fn profile() -> Result<BaseProfile> {
    let java = read_jdk(&tools::jdk()?.home)?;
    Ok(BaseProfile::load(&base_jar().await?, Limits::default())?.with_java(java))
}

/// Slims a jar to beside it.
///
/// # Errors
/// As [`slim_as`].
pub fn slimmed(jar: &Path, profile: &BaseProfile, wishes: &Wishes) -> Result<Slimmed> {
    let (to, limits) = (jar.with_extension("slimmed.jar"), Limits::default());
    let report = slim_as(jar, Some(profile), wishes, &Stamp::packaged(), &to, limits)?;
    Ok(Slimmed { jar: to, report })
}

/// Installs a slimmed jar on a base whose files are in `folder`, and takes it
/// away again.
///
/// # Errors
/// When the base does not answer.
pub async fn install(
    base: &Base,
    folder: &Path,
    case: &Case,
    Slimmed { jar, report }: &Slimmed,
) -> Result<Result<String, String>> {
    let (name, version) = (&report.name, &report.version);
    let answer = folder.join("tmp").join(&case.name);
    fs::remove_file(&answer).ok();
    let biz = json!({
        "bizName": name,
        "bizVersion": version,
        "bizUrl": format!("file://{}", jar.display()),
    });
    let reply = base.ask("installBiz", &biz).await?;
    let said = match &case.demo {
        Some(_) => match base.get(&format!("/{name}/")).await? {
            (200, text) => Some(text.trim().to_owned()),
            _ => None,
        },
        None => fs::read_to_string(&answer).ok(),
    };
    let ran = match said {
        Some(text) if reply["code"] == "SUCCESS" => Ok(text),
        _ => Err(reply.to_string()),
    };
    let gone = json!({ "bizName": name, "bizVersion": version });
    base.ask("uninstallBiz", &gone).await?;
    Ok(ran)
}

/// All cases in a table, and the confusion table below.
#[must_use]
pub fn table(judged: &[Judged]) -> String {
    let mut text = String::new();
    let mut counts = [[0; 2]; 2];
    for one in judged {
        let ran = one.ran.is_ok();
        let refused = one.verdict.outcome == Outcome::Refused;
        counts[usize::from(refused)][usize::from(!ran)] += 1;
        let mark = match one.as_foretold() {
            true => "  ",
            false => "! ",
        };
        let what = match ran {
            true => "runs",
            false => "fails",
        };
        let outcome = one.verdict.outcome.to_string();
        writeln!(text, "{mark}{:26} {outcome:24} {what}", one.case.name).ok();
    }
    let [[links, false_links], [false_refused, refused]] = counts;
    write!(
        text,
        "\n                        it runs   it fails\n  links, with gaps or not {links:>5}   {false_links:>8}\n  refused                 {false_refused:>5}   {refused:>8}\n"
    )
    .ok();
    text
}
