//! The proof against the Java virtual machine: each case is slimmed, proven,
//! and then installed on a real base, whatever the proof says.

use anyhow::{Context, Result};
use ferry_corpus::{Judged, build, cases, install, table};
use ferry_rig::base::{Base, Options};
use ferry_rig::maven::base_jar;
use ferry_slim::{BaseProfile, Limits, Stamp, read_jdk, slim};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foretold_is_what_happens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let jar = base_jar().await?;
    let at = folder.path().join("base");
    let base = Base::start(Options::new("corpus", &at)).await?;
    let java = read_jdk(&ferry_rig::tools::jdk()?.home)?;
    let profile = BaseProfile::load(&jar, Limits::default())?.with_java(java);
    let mut judged = Vec::new();
    for built in build(cases()?, &jar, folder.path())? {
        let slimmed = built.jar.with_extension("slimmed.jar");
        let stamp = Stamp::packaged();
        let report = slim(
            &built.jar,
            Some(&profile),
            &stamp,
            &slimmed,
            Limits::default(),
        )
        .with_context(|| built.case.name.clone())?;
        let gone: Vec<String> = report.left_out.into_iter().map(|it| it.entry).collect();
        assert_eq!(gone, built.case.left_out, "{}", built.case.name);
        let verdict = report.proof.expect("there is a profile");
        let ran = install(&base, &at, &built.case, &slimmed, &report.version).await?;
        judged.push(Judged {
            case: built.case,
            verdict,
            ran,
        });
    }
    println!("{}", table(&judged));
    for one in &judged {
        assert!(
            one.as_expected(),
            "{}: {}: {:#?} {:#?}",
            one.case.name,
            one.verdict.outcome,
            one.verdict.faults,
            one.verdict.gaps
        );
        assert_eq!(
            one.as_foretold(),
            !one.case.limit,
            "{}: {}, {:?}: {:#?}",
            one.case.name,
            one.verdict.outcome,
            one.ran,
            one.verdict.faults
        );
    }
    Ok(())
}
