//! Questions over NATS' request and reply.
//!
//! In: a question, or a service that answers. Out: the answer, or the questions. Replicas of a service are one
//! queue group, so that each question is answered once.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use ferry_events::{Service, question::Question, subject};
use futures::{StreamExt, stream::BoxStream};

use super::link::Link;
use crate::{
    Asked, BusError, Reply,
    packed::{pack, unpack},
};

pub(super) async fn ask(
    link: &Link,
    question: &Question,
    limit: Duration,
) -> Result<Bytes, BusError> {
    let epoch = link.ready(limit).await?;
    let subject = subject::questions_for(question.service());
    let refusals = link.refusals();
    let answer = answer(link, &subject, question, limit);
    link.guard(epoch, &[&subject], refusals, limit, answer)
        .await
}

async fn answer(
    link: &Link,
    subject: &str,
    question: &Question,
    limit: Duration,
) -> Result<Bytes, BusError> {
    let service = question.service();
    let payload = serde_json::to_vec(question).expect("a question is always JSON");
    let request = Request::new().payload(payload.into()).timeout(Some(limit));
    match link.client.send_request(subject.to_owned(), request).await {
        Ok(answer) => unpack(answer.payload),
        Err(error) => Err(match error.kind() {
            RequestErrorKind::TimedOut => {
                BusError::Unavailable(format!("the {service} did not answer within {limit:?}"))
            }
            RequestErrorKind::NoResponders => {
                BusError::Unavailable(format!("no {service} is running that could answer"))
            }
            _ => BusError::Unavailable(error.to_string()),
        }),
    }
}

pub(super) async fn questions(
    link: &Link,
    service: Service,
) -> Result<BoxStream<'static, Asked>, BusError> {
    let subject = subject::questions_for(service);
    let questions = link
        .client
        .queue_subscribe(subject, service.name().to_owned())
        .await
        .map_err(|error| BusError::Unavailable(error.to_string()))?;
    let client = link.client.clone();
    Ok(questions
        .filter_map(move |message| {
            let client = client.clone();
            async move {
                let to = message.reply?;
                Some(Asked {
                    payload: message.payload,
                    reply: Box::new(Back { client, to }),
                })
            }
        })
        .boxed())
}

struct Back {
    client: async_nats::Client,
    to: async_nats::Subject,
}

#[async_trait]
impl Reply for Back {
    async fn answer(self: Box<Self>, answer: Bytes) -> Result<(), BusError> {
        self.client
            .publish(self.to, pack(answer))
            .await
            .map_err(|error| BusError::Unavailable(error.to_string()))
    }
}
