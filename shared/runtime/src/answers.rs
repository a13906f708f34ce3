//! Questions that only read: the states that they need are loaded, and the pure half answers, or names
//! the report in the store that does.
//!
//! In: questions from the bus. Out: answers. Nothing is written, and nothing waits for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ferry_bus::{Asked, Bus, BusError};
use ferry_events::{
    Digest, Reason, Stop,
    question::{Answer, Question},
    subject,
};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Clock, Context, Decide, Key, Reply, Stored};

/// Answers until the service drains.
pub(crate) async fn answer<D: Decide>(
    decide: Arc<D>,
    bus: Arc<dyn Bus>,
    context: watch::Receiver<Arc<Context>>,
    clock: Clock,
    drain: CancellationToken,
    pause: Duration,
) {
    let follow = async {
        loop {
            match bus.questions(decide.service()).await {
                Ok(mut questions) => {
                    while let Some(asked) = questions.next().await {
                        let known = context.borrow().clone();
                        let context = Context {
                            now: clock.now(),
                            ..known.as_ref().clone()
                        };
                        reply(decide.as_ref(), bus.as_ref(), asked, &context).await;
                    }
                }
                Err(error) => warn!(%error, "cannot hear questions; trying again"),
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = drain.cancelled() => {}
        () = follow => {}
    }
}

async fn reply<D: Decide>(decide: &D, bus: &dyn Bus, asked: Asked, context: &Context) {
    let answer = match serde_json::from_slice::<Question>(&asked.payload) {
        Ok(question) => match states(decide, bus, &question, context).await {
            Ok(states) => match decide.answer(&question, &states, context) {
                Reply::Say(answer) => answer,
                Reply::Fetch(digest) => fetch(bus, &digest).await,
            },
            Err(error) => Answer::Refused(Stop::new(Reason::OurFault, error.to_string())),
        },
        Err(error) => Answer::Refused(Stop::new(Reason::Malformed, error.to_string())),
    };
    let answer = serde_json::to_vec(&answer).expect("an answer is always JSON");
    if let Err(error) = asked.reply.answer(answer.into()).await {
        debug!(%error, "an answer went nowhere");
    }
}

async fn states<D: Decide>(
    decide: &D,
    bus: &dyn Bus,
    question: &Question,
    context: &Context,
) -> Result<BTreeMap<Key, D::State>, BusError> {
    let mut states = BTreeMap::new();
    for key in decide.route_question(question, &context.config) {
        let subject = subject::state(decide.service(), key.as_str());
        let Some(record) = bus.read(&subject).await? else {
            continue;
        };
        let stored = serde_json::from_slice::<Stored<D::State>>(&record.payload);
        let stored = stored.map_err(|error| {
            BusError::Damaged(format!("the state of {key} cannot be read: {error}"))
        })?;
        states.insert(key, stored.state);
    }
    Ok(states)
}

/// The largest report that is read to answer a question, in bytes: a few hundred libraries with all that is
/// missing of them take one or two million.
const REPORT_MAX: u64 = 16 << 20;

async fn fetch(bus: &dyn Bus, digest: &Digest) -> Answer {
    match report(bus, digest).await {
        Ok(answer) => answer,
        Err(BusError::Missing(what)) => Answer::Refused(Stop::new(Reason::NoReport, what)),
        Err(error) => Answer::Refused(Stop::new(Reason::StoreFailed, error.to_string())),
    }
}

async fn report(bus: &dyn Bus, digest: &Digest) -> Result<Answer, BusError> {
    let failed = |error| BusError::Io(format!("report {digest} cannot be read"), error);
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("report.json");
    bus.get_jar(digest, &file).await?;
    let bytes = tokio::fs::metadata(&file).await.map_err(failed)?.len();
    if bytes > REPORT_MAX {
        let why = format!("report {digest} has {bytes} bytes; {REPORT_MAX} are read");
        return Err(BusError::Damaged(why));
    }
    let text = tokio::fs::read(&file).await.map_err(failed)?;
    serde_json::from_slice(&text)
        .map(Answer::Report)
        .map_err(|error| BusError::Damaged(format!("report {digest} is no JSON: {error}")))
}
