//! Questions on the bus in memory: each waits for the first of a service's replicas that looks.
//!
//! In: a question, or a service that answers. Out: the answer, or the questions, in the order in which they
//! were asked.

use std::{pin::pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use ferry_events::{Service, question::Question, subject};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::oneshot;

use super::MemoryBus;
use crate::{Asked, BusError, Reply};

/// A question and where its answer goes.
pub(super) struct Open {
    payload: Bytes,
    to: oneshot::Sender<Bytes>,
}

pub(super) async fn ask(
    bus: &MemoryBus,
    question: &Question,
    limit: Duration,
) -> Result<Bytes, BusError> {
    let service = question.service();
    bus.may_publish(&subject::questions_for(service))?;
    let payload = serde_json::to_vec(question).expect("a question is always JSON");
    let (to, answer) = oneshot::channel();
    let open = Open {
        payload: payload.into(),
        to,
    };
    bus.open()?
        .questions
        .entry(service)
        .or_default()
        .push_back(open);
    bus.changed();
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(BusError::Unavailable(format!(
            "the {service} did not answer within {limit:?}"
        ))),
    }
}

pub(super) fn questions(bus: &MemoryBus, service: Service) -> BoxStream<'static, Asked> {
    futures::stream::unfold(bus.clone(), move |bus| async move {
        loop {
            let shared = bus.clone();
            let mut changed = pin!(shared.shared.changes.notified());
            changed.as_mut().enable();
            let open = bus
                .lock()
                .questions
                .get_mut(&service)
                .and_then(std::collections::VecDeque::pop_front);
            match open {
                // Nobody waits for the answer any more.
                Some(open) if open.to.is_closed() => {}
                Some(Open { payload, to }) => {
                    let reply = Box::new(Back(to));
                    return Some((Asked { payload, reply }, bus));
                }
                None => changed.await,
            }
        }
    })
    .boxed()
}

struct Back(oneshot::Sender<Bytes>);

#[async_trait]
impl Reply for Back {
    async fn answer(self: Box<Self>, answer: Bytes) -> Result<(), BusError> {
        // Whoever asked may have given up.
        let _ = self.0.send(answer);
        Ok(())
    }
}
