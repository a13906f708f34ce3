//! A real nats-server keeps what it acknowledged, whatever is done to it.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::{self, stream};
use ferry_rig::nats::NatsServer;

const LIMIT: Duration = Duration::from_secs(10);

async fn jetstream(server: &NatsServer) -> Result<jetstream::Context> {
    let client = async_nats::connect(server.url()).await?;
    Ok(jetstream::new(client))
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() -> Result<()> {
    let mut server = NatsServer::start().await?;
    let address = server.address();
    let config = stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        ..stream::Config::default()
    };
    let bus = jetstream(&server).await?;
    bus.create_stream(config).await?;
    let sequence = bus
        .publish("kept.one", "here".into())
        .await?
        .await?
        .sequence;

    server.kill().await?;
    server.restart().await?;

    assert_eq!(server.address(), address, "it comes back on its port");
    let stream = jetstream(&server).await?.get_stream("KEPT").await?;
    let message = stream.get_raw_message(sequence).await?;
    assert_eq!(message.payload.as_ref(), b"here");
    Ok(())
}

#[tokio::test]
async fn a_frozen_server_answers_again_once_thawed() -> Result<()> {
    let server = NatsServer::start().await?;
    let client = async_nats::connect(server.url()).await?;
    server.freeze()?;
    let asked = tokio::time::timeout(
        Duration::from_millis(200),
        client.request("$JS.API.INFO", "".into()),
    )
    .await;
    assert!(asked.is_err(), "nothing answers while it is frozen");
    server.thaw()?;
    tokio::time::timeout(LIMIT, client.request("$JS.API.INFO", "".into()))
        .await
        .context("nothing answers after it was thawed")??;
    Ok(())
}

#[tokio::test]
async fn users_of_the_given_configuration_are_asked_for() -> Result<()> {
    let server =
        NatsServer::start_with("authorization { users = [ { user: one, password: two } ] }")
            .await?;
    let options = async_nats::ConnectOptions::with_user_and_password("one".into(), "two".into());
    options.connect(server.url()).await?;
    assert!(
        async_nats::connect(server.url()).await.is_err(),
        "nobody comes in without a name"
    );
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_told_with_the_log() -> Result<()> {
    let error = NatsServer::start_with("nonsense {").await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("Parse error"), "{text}");
    Ok(())
}
