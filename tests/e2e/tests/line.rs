//! The whole line on a real nats-server, with six processes, over bases that keep a ledger.

mod support;

use std::time::Duration;

use anyhow::Result;
use ferry_api::{BaseState, RollbackRequest, RunState};
use ferry_events::Reason;
use ferry_fake_base::{FakeBase, Options, jar::FakeJar};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{Line, RUN_LIMIT, answering, jar, processes};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_goes_live_is_replaced_and_goes_back() -> Result<()> {
    let line = Line::start().await?;
    let first = line.deploy(&jar("one")).await?;
    assert_eq!(first.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["one"; 3]);

    let second = line.deploy(&jar("two")).await?;
    assert_eq!(second.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["two"; 3]);

    // One that answers 500 is taken back in the first environment, and never reaches the second.
    let third = line.deploy(&answering("three", 500)).await?;
    let stop = third.summary.stop.clone().expect("a reason");
    assert_eq!(
        (third.summary.state, stop.code),
        (RunState::Failed, Reason::ProbeFailed)
    );
    assert!(stop.detail.contains("500"), "{}", stop.detail);
    assert_eq!(line.answers().await?, ["two"; 3]);

    // One that does not start, with the cause dug out of the base's stack.
    let thrown = "java.lang.IllegalStateException: the price list is empty";
    let fourth = line.deploy(&jar("four").start_fails(thrown)).await?;
    let stop = fourth.summary.stop.clone().expect("a reason");
    assert_eq!(
        (fourth.summary.state, stop.code),
        (RunState::Failed, Reason::InstallFailed)
    );
    assert!(
        stop.detail.contains("the price list is empty"),
        "{}",
        stop.detail
    );
    assert_eq!(line.answers().await?, ["two"; 3]);

    // A person goes back, in one environment only.
    let ask = RollbackRequest {
        environment: Some("prod".into()),
        to: None,
        why: Some("it is slow".into()),
    };
    let asked = line.stack.client().rollback("cart", &ask).await?;
    let run = ferry_rig::wait::until("the rollback's run", RUN_LIMIT, || async {
        Ok(line.stack.client().command(asked.id).await?.run)
    })
    .await?;
    let back = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(back.summary.state, RunState::Succeeded);
    assert_eq!(
        back.summary.author.as_deref(),
        Some("demo"),
        "every human act has an author"
    );
    assert_eq!(line.answers().await?, ["two", "one", "one"]);

    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_without_a_version_before_is_left_without() -> Result<()> {
    let line = Line::start().await?;
    let run = line.deploy(&answering("one", 500)).await?;
    assert_eq!(run.summary.state, RunState::Failed);
    assert!(
        line.bases.iter().all(|base| base.modules().is_empty()),
        "nothing is left behind"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_is_not_there_stops_the_run_and_the_others_go_back() -> Result<()> {
    // With a third base in the zone one may be out of service while another one is changed.
    let third = FakeBase::start(Options {
        name: "prod-3".into(),
        ..Options::default()
    })
    .await?;
    let line = Line::start_with(&format!(
        "[[pools.prod.bases]]\nname = \"prod-3\"\narklet = \"{}\"\nurl = \"{}\"\n",
        third.arklet_url, third.modules_url
    ))
    .await?;
    line.deploy(&jar("one")).await?;
    line.bases[2]
        .faults()
        .set(|faults| faults.refuse_connections = true);
    line.base_is("prod-2", BaseState::Lost, Duration::from_secs(30))
        .await?;
    let run = line.deploy(&jar("two")).await?;
    let stop = run.summary.stop.clone().expect("a reason");
    assert!(run.summary.state.is_over() && run.summary.state != RunState::Succeeded);
    assert!(
        stop.detail.contains("prod-2") || stop.base.as_deref() == Some("prod-2"),
        "{stop:?}"
    );
    assert_eq!(
        line.answer(0).await?.1,
        "two",
        "pre was verified before prod began"
    );
    assert_eq!(line.answer(1).await?.1, "one");
    line.bases[2].faults().clear();
    line.base_is("prod-2", BaseState::Joined, Duration::from_secs(30))
        .await?;
    assert_eq!(line.answer(2).await?.1, "one");
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_base_is_lost_and_joins_again() -> Result<()> {
    let line = Line::start().await?;
    line.base_is("pre-1", BaseState::Joined, Duration::from_secs(30))
        .await?;
    line.bases[0].faults().set(|faults| faults.freeze = true);
    line.base_is("pre-1", BaseState::Lost, Duration::from_secs(30))
        .await?;
    line.bases[0].faults().clear();
    line.base_is("pre-1", BaseState::Joined, Duration::from_secs(30))
        .await
}

/// A jar that is no module stops before any base is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_jar_that_is_no_module_is_refused() -> Result<()> {
    let line = Line::start().await?;
    let nameless = FakeJar::new("cart", "1.0.0").without_manifest_key("Ark-Biz-Name");
    let bytes = nameless.bytes();
    let size = bytes.len() as u64;
    let refused = line
        .stack
        .client()
        .deploy("cart", bytes, size, &Default::default())
        .await;
    let problem = refused.expect_err("refused at once");
    assert!(problem.to_string().contains("Ark-Biz-Name"), "{problem}");
    Ok(())
}

/// Every event that all this causes keeps its schema.
#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_schemas() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    line.deploy(&answering("two", 500)).await?;
    let schemas = ferry_rig::schemas::EventSchemas::of_types()?;
    let file = line.stack.dir().join("events.jsonl");
    let mut events = line.stack.record(&file)?;
    let mut ended = 0;
    while ended < 2 {
        let event = events.next(RUN_LIMIT).await?;
        ended += usize::from(matches!(event.body, ferry_events::Body::RunFinished(_)));
        schemas.check(&serde_json::from_slice(&event.encode())?)?;
    }
    Ok(())
}

/// Each service is killed while a run is on its way; the run ends all the same, and nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_loses_and_doubles_nothing() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("zero")).await?;
    for (n, service) in [
        "gateway",
        "builder",
        "slimmer",
        "scheduler",
        "installer",
        "verifier",
    ]
    .iter()
    .enumerate()
    {
        let text = format!("after {service} {n}");
        for base in &line.bases {
            base.faults().set(|faults| faults.slow_install_ms = 200);
        }
        let run = line.upload(&jar(&text)).await?;
        let id = processes(&line.stack)?[*service];
        kill(Pid::from_raw(id), Signal::SIGKILL)?;
        let view = line.stack.wait_run(run, RUN_LIMIT).await?;
        assert_eq!(
            view.summary.state,
            RunState::Succeeded,
            "{service} was killed: {:?}",
            view.summary.stop
        );
        assert_eq!(
            line.answers().await?,
            [text.as_str(); 3],
            "{service} was killed"
        );
    }
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

/// nats-server is killed while a run is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bus_loses_and_doubles_nothing() -> Result<()> {
    let line = Line::start().await?;
    line.deploy(&jar("one")).await?;
    let run = line.upload(&jar("two")).await?;
    let id = processes(&line.stack)?["nats-server"];
    kill(Pid::from_raw(id), Signal::SIGKILL)?;
    let view = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(
        view.summary.state,
        RunState::Succeeded,
        "{:?}",
        view.summary.stop
    );
    assert_eq!(line.answers().await?, ["two"; 3]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}
