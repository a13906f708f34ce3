//! A wave of prod that fails halfway, on a real nats-server with six processes: what `ferry why`, `ferry history` and
//! `ferry audit export` tell of it then, and after the base is brought back.

#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use std::process::Command;

use anyhow::{Context, Result, ensure};
use ferry_api::{
    AuditQuery, DeployQuery, HistoryQuery, PeriodEnd, RolloutRequest, RunState, Safety, WhyQuery,
    WhyView,
};
use ferry_events::{Body, Event, Reason, RunId};
use ferry_rig::wait::until;
use support::{Line, RUN_LIMIT, jar};

/// Whoever may approve does, also who asked for the run: there is one token.
const APPROVAL: &str = "[environments.prod.approval]\nnot_author = false\n";

/// Failures that come soon, and repairs too.
const SOON: &str = "[installer]\ninstall_timeout = \"2s\"\nuninstall_timeout = \"2s\"\nrequest_timeout = \"1s\"\n\n[reconcile]\npause = \"1s\"\nattempts = 20\n";

impl Line {
    async fn why(&self, run: RunId) -> Result<WhyView> {
        let query = WhyQuery::default();
        Ok(self.stack.client().why(&run.to_string(), &query).await?)
    }

    /// Waits until the story of a run says that.
    async fn tells(
        &self,
        run: RunId,
        what: &str,
        says: impl Fn(&WhyView) -> bool,
    ) -> Result<WhyView> {
        until(what, RUN_LIMIT, || async {
            let view = self.why(run).await?;
            Ok(says(&view).then_some(view))
        })
        .await
    }

    /// The real command.
    fn ferry(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(ferry_rig::tools::program("ferry")?)
            .args(args)
            .current_dir(self.stack.dir())
            .env("FERRY_URL", self.stack.client().url().as_str())
            .env("FERRY_TOKEN_FILE", self.stack.dir().join("data/token"))
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_of_prod_that_fails_halfway() -> Result<()> {
    let line = Line::start_beside(APPROVAL, SOON).await?;
    let client = line.stack.client();
    let approve = async |run: RunId, why: &str| -> Result<()> {
        until("the run to wait for approval", RUN_LIMIT, || async {
            let waiting = client.line().await?.waiting;
            let waits = waiting
                .iter()
                .any(|it| it.run == run && it.gate.name == "approval");
            Ok(waits.then_some(()))
        })
        .await?;
        let ask = RolloutRequest {
            environment: Some("prod".into()),
            why: why.into(),
        };
        client.approve(&run.to_string(), &ask).await?;
        Ok(())
    };

    let good = line.upload(&jar("one")).await?;
    approve(good, "the first one").await?;
    let view = line.stack.wait_run(good, RUN_LIMIT).await?;
    assert_eq!(view.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["one"; 3]);

    // The canary is well. Then prod-2 neither takes the new one nor the old one again.
    let bytes = jar("two").bytes();
    let size = bytes.len() as u64;
    let query = DeployQuery {
        why: Some("prices by name".into()),
        ..DeployQuery::default()
    };
    let asked = client.deploy("cart", bytes, size, &query).await?;
    let bad = until("the run", RUN_LIMIT, || async {
        Ok(client.command(asked.id).await?.run)
    })
    .await?;
    line.bases[2]
        .faults()
        .set(|faults| faults.hold_install = Some("1.0.0".into()));
    approve(bad, "tried in pre").await?;
    let view = line.stack.wait_run(bad, RUN_LIMIT).await?;
    assert_eq!(
        view.summary.state,
        RunState::Broken,
        "{:?}",
        view.summary.stop
    );

    let why = line
        .tells(bad, "the story of what failed", |view| {
            view.troubles
                .iter()
                .any(|it| !it.not_back.is_empty() && !it.back.is_empty())
                && view
                    .story
                    .iter()
                    .any(|it| it.kind == "pipelinerun.finished")
        })
        .await?;
    let cause = why.cause.as_ref().context("a root cause")?;
    assert_eq!(cause.stop.base.as_deref(), Some("prod-2"));
    assert_eq!(cause.environment.as_deref(), Some("prod"));
    assert_ne!(cause.stop.code, Reason::RollbackFailed, "what came first");
    let trouble = &why.troubles[0];
    assert_eq!((trouble.wave, trouble.waves), (2, 2));
    assert_eq!(trouble.back, ["prod-1"]);
    assert_eq!(trouble.not_back[0].base, "prod-2");
    assert!(trouble.not_back[0].quarantined);
    assert_eq!(trouble.traffic.safety, Safety::Reduced);
    assert_eq!((trouble.traffic.serving, trouble.traffic.of), (1, 2));
    // Who did what, and why.
    let by_person: Vec<(&str, &str)> = why
        .story
        .iter()
        .filter_map(|it| Some((it.actor.as_deref()?, it.why.as_deref()?)))
        .collect();
    assert!(
        by_person.iter().any(|(_, why)| *why == "prices by name"),
        "{by_person:?}"
    );
    assert!(
        by_person.iter().any(|(_, why)| *why == "tried in pre"),
        "{by_person:?}"
    );
    // Each decision names what it was made on.
    let back = why
        .story
        .iter()
        .find(|it| it.kind == "rollout.planned" && it.bad);
    assert!(back.context("the way back")?.on.is_some());

    let screen = line.ferry(&["why", &bad.short()])?;
    println!("{screen}");
    for said in [
        "root cause",
        "NOT back",
        "prod-2 (quarantined",
        "traffic safe?",
        "ferry why prod-2",
    ] {
        assert!(screen.contains(said), "{said:?} in {screen}");
    }
    let status = line.ferry(&["status"])?;
    assert!(
        status.contains(&format!("ferry why {}", bad.short())),
        "{status}"
    );
    println!("{}", line.ferry(&["why", "prod-2"])?);
    println!("{}", line.ferry(&["why", "cart"])?);

    let query = HistoryQuery {
        environment: Some("prod".into()),
    };
    let periods = client.history("cart", &query).await?.periods;
    let told: Vec<_> = periods.iter().map(|it| (it.run, it.end)).collect();
    assert_eq!(told, [(bad, PeriodEnd::Broken), (good, PeriodEnd::Live)]);
    println!("{}", line.ferry(&["history", "cart"])?);

    // Every line is a CloudEvent; the acts of people are among them, with why.
    let export = line.ferry(&["audit", "export", "--module", "cart"])?;
    let events: Vec<Event> = export
        .lines()
        .map(|line| Event::decode(line.as_bytes()))
        .collect::<Result<_, _>>()?;
    let approved = events.iter().find_map(|event| match &event.body {
        Body::CommandSettled(it) if it.verb == "approve" && it.run == Some(bad) => Some(it),
        _ => None,
    });
    let approved = approved.context("the approval")?;
    assert_eq!(approved.why.as_deref(), Some("tried in pre"));
    assert!(approved.based_on.is_some(), "what the person had seen");
    let later = AuditQuery {
        since: Some(why.story.last().context("an end")?.at),
        module: Some("cart".into()),
    };
    let since = line.ferry(&[
        "audit",
        "export",
        "--since",
        &later.since.context("a moment")?.to_rfc3339(),
    ])?;
    assert!(since.lines().count() < export.lines().count());

    // It is brought back once it takes modules again; the story says so.
    line.bases[2].faults().clear();
    let why = line
        .tells(bad, "prod-2 to be back", |view| {
            view.troubles.iter().all(|it| it.not_back.is_empty())
        })
        .await?;
    assert_eq!(why.troubles[0].traffic.safety, Safety::Safe);
    assert!(
        why.now.contains("all bases run what they should by now"),
        "{}",
        why.now
    );
    assert_eq!(line.answers().await?, ["two", "one", "one"]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}
