//! What a push adds to a module, and the report of its slimming, on the whole line.

#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use anyhow::{Context as _, Result};
use ferry_api::{ReportQuery, RunState};
use ferry_events::artifact::Change;
use ferry_fake_base::jar::library_jar;
use support::{Line, jar};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_says_what_it_adds_and_its_report_is_there_to_read() -> Result<()> {
    let line = Line::start().await?;
    let first = line.deploy(&jar("one")).await?;
    assert_eq!(first.summary.state, RunState::Succeeded);
    let library = library_jar(&[("acme/Money.class", b"not looked into here")]);
    let second = line
        .deploy(&jar("two").library("money-2.1.0.jar", library))
        .await?;
    assert_eq!(second.summary.state, RunState::Succeeded);

    let client = line.stack.client();
    let run = client.run(&second.summary.id.to_string()).await?;
    for pool in ["pre", "prod"] {
        let since = run.slimmed[pool].since.as_ref();
        let since = since.context("it is not compared with the first")?;
        assert_eq!(Some(&since.version), first.version.as_ref());
        let [library] = since.libraries.as_slice() else {
            panic!("{since}")
        };
        assert_eq!(
            (library.entry.as_str(), library.change),
            ("lib/money-2.1.0.jar", Change::New)
        );
    }

    let id = second.summary.id.to_string();
    let report = client.report(&id, &ReportQuery::default()).await?;
    assert_eq!(report.0["kept"][0]["entry"], "lib/money-2.1.0.jar");
    let query = ReportQuery {
        pool: Some("nowhere".into()),
    };
    let error = client.report(&id, &query).await.unwrap_err();
    let problem = error.problem().context("no problem is told")?;
    assert_eq!((problem.status, problem.code.as_str()), (404, "no-report"));
    assert!(problem.detail.contains("pre, prod"), "{}", problem.detail);
    Ok(())
}
