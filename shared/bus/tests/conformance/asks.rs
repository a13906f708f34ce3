//! Questions: each is answered once, by one of a service's replicas; where nobody answers, that is said.
//!
//! In: questions of the gateway, with the permissions of production. Out: the same on both buses.

use std::time::Duration;

use anyhow::Result;
use ferry_bus::{Asked, BusError, StreamLimits};
use ferry_events::{Service, question::Question};
use futures::{StreamExt, stream::BoxStream};

use crate::world::World;

on_both! {
    a_question_is_answered_by_one_of_the_replicas(StreamLimits::default());
    a_question_that_nobody_hears_is_said_to_be_unanswered(StreamLimits::default());
}

/// Long enough for a busy machine, and an end all the same.
const LIMIT: Duration = Duration::from_secs(20);

fn question(module: &str) -> Question {
    Question::Plan {
        module: module.into(),
        run: None,
        environment: None,
    }
}

/// Answers each question with its module's name.
async fn replica(mut questions: BoxStream<'static, Asked>, number: u8) {
    while let Some(asked) = questions.next().await {
        let Ok(Question::Plan { module, .. }) = serde_json::from_slice(&asked.payload) else {
            panic!("a question that nobody asked");
        };
        let answer = format!("{module} by {number}");
        asked.reply.answer(answer.into()).await.expect("an answer");
    }
}

async fn a_question_is_answered_by_one_of_the_replicas(world: &mut World) -> Result<()> {
    let gateway = world.service(Service::Gateway).await?;
    for number in 0..2 {
        let scheduler = world.service(Service::Scheduler).await?;
        let questions = scheduler.questions(Service::Scheduler).await?;
        tokio::spawn(async move {
            // The connection lives as long as the replica.
            let _scheduler = scheduler;
            replica(questions, number).await;
        });
    }
    for name in ["cart", "shop", "mail"] {
        // A replica that has not subscribed yet cannot be asked.
        let answer = loop {
            match gateway.ask(&question(name), LIMIT).await {
                Ok(answer) => break answer,
                Err(BusError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        };
        let answer = String::from_utf8(answer.to_vec())?;
        assert!(
            [format!("{name} by 0"), format!("{name} by 1")].contains(&answer),
            "{answer}"
        );
    }
    Ok(())
}

async fn a_question_that_nobody_hears_is_said_to_be_unanswered(world: &mut World) -> Result<()> {
    let gateway = world.service(Service::Gateway).await?;
    let error = gateway
        .ask(&question("cart"), Duration::from_millis(200))
        .await
        .expect_err("nobody is there");
    assert!(matches!(error, BusError::Unavailable(_)), "{error:?}");
    let builder = world.service(Service::Builder).await?;
    let error = builder
        .ask(&question("cart"), Duration::from_millis(200))
        .await
        .expect_err("the builder has nothing to ask");
    assert!(
        matches!(error, BusError::Refused(_) | BusError::Unavailable(_)),
        "{error:?}"
    );
    Ok(())
}
