//! Bases that lose their modules on a real nats-server, with six processes: they are brought back by
//! themselves, not in the middle of a rollout, and not without end.

mod support;

use std::time::Duration;

use anyhow::Result;
use ferry_api::{BaseRequest, RunKind, RunState, RunSummary, RunsQuery, WantedView};
use ferry_events::Reason;
use ferry_rig::wait::until;
use support::{Line, RUN_LIMIT, jar};

impl Line {
    /// What a base should run beside what it runs, once it fits.
    async fn wanted(
        &self,
        base: &str,
        what: &str,
        fits: impl Fn(&WantedView) -> bool,
    ) -> Result<WantedView> {
        until(&format!("{base} {what}"), RUN_LIMIT, || async {
            let bases = self.stack.client().bases().await?;
            let of_base = bases.into_iter().filter(|one| one.name == base);
            Ok(of_base.flat_map(|one| one.wanted).find(|it| fits(it)))
        })
        .await
    }

    /// Waits until a base answers this text.
    async fn answers_again(&self, base: usize, text: &str) -> Result<()> {
        until(
            &format!("base {base} to answer {text}"),
            RUN_LIMIT,
            || async {
                // A base that was away may refuse still.
                let answer = self.answer(base).await.ok();
                Ok((answer == Some((200, text.to_owned()))).then_some(()))
            },
        )
        .await
    }

    /// The repairs, the newest first.
    async fn repairs(&self) -> Result<Vec<RunSummary>> {
        let runs = self.stack.client().runs(&RunsQuery::default()).await?;
        Ok(runs
            .into_iter()
            .filter(|run| run.kind == RunKind::Repair)
            .collect())
    }
}

/// What was asked of a base so far.
fn asked(line: &Line, base: usize) -> usize {
    line.bases[base].ledger().entries().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_restarts_empty_gets_its_module_back() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    let others = (asked(&line, 0), asked(&line, 2));
    line.bases[1].restart_empty();
    line.answers_again(1, "one").await?;
    line.wanted("prod-1", "to be as it should", |it| {
        it.agrees && it.repair.is_none()
    })
    .await?;
    let repair = until("the repair's end", RUN_LIMIT, || async {
        let repairs = line.repairs().await?;
        Ok(repairs.into_iter().find(|run| run.state.is_over()))
    })
    .await?;
    assert_eq!(repair.state, RunState::Succeeded);
    assert_eq!(repair.environment.as_deref(), Some("prod"));
    assert_eq!((asked(&line, 0), asked(&line, 2)), others, "only prod-1");
    assert_eq!(line.answers().await?, ["one"; 3]);

    // What is live is told as before, and the next push goes its way.
    let second = line.deploy(&jar("two")).await?;
    assert_eq!(second.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["two"; 3]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_restarts_empty_during_a_rollout_waits_for_its_end() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    // The second wave stands still on prod-2, so that prod-1 loses the new version in the middle.
    line.bases[2]
        .faults()
        .set(|faults| faults.hold_install = Some(String::new()));
    let run = line.upload(&jar("two")).await?;
    let installing = |entry: &ferry_fake_base::Entry| {
        entry.restarts == 0 && entry.command.as_str() == "uninstallBiz"
    };
    line.bases[2]
        .ledger()
        .wait_for(RUN_LIMIT, installing)
        .await
        .expect("the second wave begins");
    line.bases[1].restart_empty();
    let held = line
        .wanted("prod-1", "to be seen without it", |it| it.repair.is_some())
        .await?;
    assert_eq!(held.rollout, Some(run));
    assert!(line.repairs().await?.is_empty(), "not beside the rollout");
    assert!(line.bases[1].modules().is_empty());

    line.bases[2].faults().clear();
    let view = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(view.summary.state, RunState::Succeeded);
    line.answers_again(1, "two").await?;
    assert_eq!(line.answers().await?, ["two"; 3]);
    let rolled_out = view
        .steps
        .iter()
        .find(|step| step.name == "rollout" && step.environment.as_deref() == Some("prod"))
        .and_then(|step| step.ended_at)
        .expect("prod was rolled out");
    let repairs = line.repairs().await?;
    assert_eq!(repairs.len(), 1);
    assert!(repairs[0].began_at >= rolled_out, "after it, not beside it");
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_keeps_losing_the_module_is_given_up_with_the_reason() -> Result<()> {
    let limits = "[reconcile]\nattempts = 2\npause = \"100ms\"\nwindow = \"1h\"\n";
    let line = Line::start_with(limits).await?;
    line.deploy(&jar("one")).await?;
    for _ in 0..2 {
        line.bases[1].restart_empty();
        line.answers_again(1, "one").await?;
        line.wanted("prod-1", "to be as it should", |it| {
            it.agrees && it.repair.is_none()
        })
        .await?;
    }
    line.bases[1].restart_empty();
    let given_up = line
        .wanted("prod-1", "to be given up", |it| {
            it.repair.as_ref().is_some_and(|it| it.is_given_up())
        })
        .await?;
    let stop = given_up.repair.and_then(|it| it.stop).expect("a reason");
    assert_eq!(stop.code, Reason::RepairGivenUp);
    assert_eq!(stop.base.as_deref(), Some("prod-1"));
    assert!(line.bases[1].modules().is_empty(), "it is left as it is");
    assert_eq!(line.repairs().await?.len(), 2);

    // A rollout begins anew.
    line.deploy(&jar("two")).await?;
    assert_eq!(line.answers().await?, ["two"; 3]);
    line.bases[1].restart_empty();
    line.answers_again(1, "two").await?;
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_was_away_for_a_while_gets_its_module_back() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    line.bases[2]
        .faults()
        .set(|faults| faults.refuse_connections = true);
    line.base_is(
        "prod-2",
        ferry_api::BaseState::Lost,
        Duration::from_secs(60),
    )
    .await?;
    line.bases[2].restart_empty();
    line.bases[2].faults().clear();
    line.answers_again(2, "one").await?;
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_a_person_holds_is_left_alone_until_it_is_released() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    let client = line.stack.client();
    let ask = BaseRequest {
        why: "its disk is replaced".into(),
    };
    client.hold_base("prod-1", &ask).await?;
    let held = async || -> Result<bool> {
        let bases = client.bases().await?;
        let of_base = bases.into_iter().find(|one| one.name == "prod-1");
        Ok(of_base.is_some_and(|one| one.held.is_some()))
    };
    until("prod-1 to be held", RUN_LIMIT, || async {
        Ok(held().await?.then_some(()))
    })
    .await?;
    line.bases[1].restart_empty();
    line.wanted("prod-1", "to be seen without it", |it| it.repair.is_some())
        .await?;
    // The other one is brought back after that.
    line.bases[2].restart_empty();
    line.answers_again(2, "one").await?;
    assert!(line.bases[1].modules().is_empty(), "it is held");

    // Neither does a rollout touch it, nor the only other one of its zone.
    let run = line.deploy(&jar("two")).await?;
    let stop = run.summary.stop.expect("it cannot go on");
    assert_eq!(
        (run.summary.state, stop.code),
        (RunState::Failed, Reason::BaseHeld)
    );
    assert!(line.bases[1].modules().is_empty(), "it is held");
    client.release_base("prod-1", &ask).await?;
    line.answers_again(1, "one").await?;
    assert_eq!(line.answers().await?, ["two", "one", "one"]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}
