//! The proof against the Java virtual machine: each case is slimmed, proven,
//! and then installed on a real base, whatever the proof says.

use anyhow::{Context, Result, ensure};
use ferry_corpus::{Case, Judged, build, cases, install, profile, slimmed, table};
use ferry_rig::base::{Base, Options};
use ferry_rig::maven::base_jar;
use ferry_slim::Report;

/// All cases; while one is worked on, those whose names begin as `FERRY_CORPUS` says.
fn wanted() -> Result<Vec<Case>> {
    let mut cases = cases()?;
    if let Ok(start) = std::env::var("FERRY_CORPUS") {
        cases.retain(|case| case.name.starts_with(&start));
    }
    Ok(cases)
}

/// What of a report is not as the case says.
fn wrong_in(report: &Report, case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let entries = |list: &[ferry_slim::Choice]| -> Vec<String> {
        list.iter().map(|it| it.entry.clone()).collect()
    };
    // A module of the demo leaves dozens out.
    let (is, wanted) = match &case.kept {
        Some(kept) => (entries(&report.kept), kept),
        None => (entries(&report.left_out), &case.left_out),
    };
    if is != *wanted {
        wrong.push(format!("{}: {is:#?}", case.name));
    }
    let told: Vec<String> = report.rules.iter().map(ToString::to_string).collect();
    let parts = || told.iter().zip(&case.told);
    if told.len() != case.told.len() || !parts().all(|(told, part)| told.contains(part)) {
        wrong.push(format!("{}: {told:#?}", case.name));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foretold_is_what_happens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let jar = base_jar().await?;
    let at = folder.path().join("base");
    let base = Base::start(Options::new("corpus", &at)).await?;
    let profile = profile().await?;
    let (mut judged, mut wrong) = (Vec::new(), Vec::new());
    for built in build(wanted()?, &jar, folder.path()).await? {
        let slimmed = slimmed(&built.jar, &profile, &built.case.wishes())
            .with_context(|| built.case.name.clone())?;
        wrong.extend(wrong_in(&slimmed.report, &built.case));
        let ran = install(&base, &at, &built.case, &slimmed).await?;
        let verdict = slimmed.report.proof.expect("there is a profile");
        judged.push(Judged {
            case: built.case,
            verdict,
            ran,
        });
    }
    println!("{}", table(&judged));
    for one in &judged {
        let name = &one.case.name;
        let verdict = &one.verdict;
        if !one.as_expected() {
            let found: Vec<String> = verdict
                .faults
                .iter()
                .chain(&verdict.gaps)
                .map(ToString::to_string)
                .collect();
            wrong.push(format!("{name}: {}: {found:#?}", verdict.outcome));
        }
        if one.as_foretold() == one.case.limit {
            let faults: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{name}: {}, {:?}: {faults:#?}",
                verdict.outcome, one.ran
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
