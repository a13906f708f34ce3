//! Messages from the bus to the aggregates, and their acks.
//!
//! In: deliveries of a durable consumer. Out: each is acked once all its aggregates have committed
//! what follows from it, given back where that failed, or dead-lettered. From its third delivery a
//! message is handled alone, so that one which takes the process down takes no other with it; one that
//! never came to an end although it was alone is dead-lettered before it is handled again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_bus::{Bus, BusError, DeadLetter, Delivery, Source};
use ferry_events::{
    Command, Event, LetterId, Reason, Verb, envelope::DecodeError, letter::Letter, subject,
};
use tokio::sync::{RwLock, Semaphore, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, warn};

use crate::{
    Context, Decide, Fault, Input, Key, Settings,
    clock::Clock,
    registry::{Item, Registry},
    trace::Heard,
    witness::Witness,
};

/// Messages in hand at a time: enough to fold, few enough to give back in a second.
const IN_HAND: usize = 256;
/// From this delivery on a message is handled alone.
const ALONE_FROM: u64 = 3;
/// A message that failed alone this often is dead-lettered.
const GIVE_UP_FROM: u64 = 5;
/// A message that is delivered this often was in hand alone eight times, and neither handled nor given
/// back for good: it takes the process down. Twice as often as a failure needs, because a bus that goes
/// away, or a drain, counts as a delivery too.
const CRASHES_FROM: u64 = 11;
/// Failures of messages that are remembered until they are delivered again.
const FAILED_MAX: usize = 1024;
/// How often the bus is told that a message is still in hand; a third of the consumers' `ack_wait`.
const PROGRESS: Duration = Duration::from_secs(10);

/// A message's stream and its sequence there.
type Place = (&'static str, u64);

pub(crate) struct Messages<D: Decide> {
    pub decide: Arc<D>,
    pub bus: Arc<dyn Bus>,
    pub registry: Arc<Registry<D::Outcome>>,
    pub context: tokio::sync::watch::Receiver<Arc<Context>>,
    pub drain: CancellationToken,
    pub tasks: TaskTracker,
    pub clock: Clock,
    pub witness: Witness,
    alone: RwLock<()>,
    /// Why messages failed here that come again, oldest first.
    failed: Mutex<VecDeque<(Place, Vec<String>)>>,
}

/// What a delivery turned out to be.
pub(crate) enum Read<O> {
    Input {
        keys: Vec<Key>,
        input: Input<O>,
        cause: Option<ferry_events::EventId>,
    },
    /// A command about a dead letter.
    Letter(Box<Command>, Letter),
    Unknown(String),
    Malformed(String),
}

impl<D: Decide> Messages<D> {
    pub(crate) fn new(
        decide: Arc<D>,
        bus: Arc<dyn Bus>,
        registry: Arc<Registry<D::Outcome>>,
        context: tokio::sync::watch::Receiver<Arc<Context>>,
        drain: CancellationToken,
        tasks: TaskTracker,
        settings: &Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            decide,
            bus,
            registry,
            context,
            drain,
            tasks,
            clock: settings.clock.clone(),
            witness: settings.witness.clone(),
            alone: RwLock::new(()),
            failed: Mutex::default(),
        })
    }

    /// Takes messages until the service drains.
    pub(crate) async fn take(self: Arc<Self>, source: Source) {
        let room = Arc::new(Semaphore::new(IN_HAND));
        while !self.drain.is_cancelled() && self.witness.stopped().is_none() {
            let mut consumer = match self.bus.consume(self.decide.service(), source).await {
                Ok(consumer) => consumer,
                Err(error) => {
                    warn!(%error, "waiting for the bus");
                    self.rest().await;
                    continue;
                }
            };
            loop {
                let free = room.available_permits().max(1);
                let got = tokio::select! {
                    biased;
                    () = self.drain.cancelled() => return,
                    _ = self.witness.stop() => return,
                    got = consumer.next(free) => got,
                };
                match got {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            let permit = room.clone().acquire_owned().await.expect("never closed");
                            let this = self.clone();
                            self.tasks.spawn(async move {
                                this.handle(source, delivery).await;
                                drop(permit);
                            });
                        }
                    }
                    Err(BusError::Unavailable(why)) => {
                        debug!(why, "the bus is silent");
                        self.rest().await;
                    }
                    Err(error) => {
                        warn!(%error, "the consumer is opened again");
                        self.rest().await;
                        break;
                    }
                }
            }
        }
    }

    pub(crate) async fn rest(&self) {
        tokio::select! {
            biased;
            () = self.drain.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }

    async fn handle(&self, source: Source, delivery: Delivery) {
        // What failed alone once is not let in beside others.
        let replayed = delivery.subject == subject::replays_of(self.decide.service());
        if delivery.delivered >= ALONE_FROM || replayed {
            let _alone = self.alone.write().await;
            self.settle(source, delivery).await;
        } else {
            let _with_others = self.alone.read().await;
            self.settle(source, delivery).await;
        }
    }

    async fn settle(&self, source: Source, delivery: Delivery) {
        let message = (source.stream(), delivery.sequence);
        if delivery.delivered >= CRASHES_FROM {
            let (reason, errors) = match self.failure(message) {
                Some(errors) => (Reason::OurFault, errors),
                None => (Reason::Crashes, vec![crashed(delivery.delivered)]),
            };
            return self.bury(source, &delivery, reason, errors, false).await;
        }
        let result = match self.read(&delivery.subject, &delivery.payload) {
            Read::Input { keys, input, cause } => {
                let heard = Heard {
                    subject: delivery.subject.clone(),
                    at: delivery.at,
                    taken: self.clock.exact(),
                    delivered: delivery.delivered,
                };
                let heard = Some(Arc::new(heard));
                in_hand(&delivery, self.decided(keys, &input, cause, heard)).await
            }
            Read::Letter(command, letter) => {
                in_hand(&delivery, self.letter(&command, &letter)).await
            }
            Read::Unknown(what) => {
                return self
                    .bury(source, &delivery, Reason::NewerVersion, vec![what], true)
                    .await;
            }
            Read::Malformed(why) => {
                return self
                    .bury(source, &delivery, Reason::Malformed, vec![why], false)
                    .await;
            }
        };
        if self.witness.stopped().is_some() {
            // Neither handled nor at fault: it comes again to whoever goes on.
            return;
        }
        match result {
            Ok(()) => {
                self.failure(message);
                if let Err(error) = delivery.ack.ack().await {
                    debug!(%error, "an ack was lost; the message comes again and changes nothing");
                }
            }
            Err(_) if self.drain.is_cancelled() => self.give_back(&delivery, Duration::ZERO).await,
            Err(fault) if delivery.delivered >= GIVE_UP_FROM => {
                self.failure(message);
                let errors = chain(&fault);
                self.bury(source, &delivery, Reason::OurFault, errors, false)
                    .await;
            }
            Err(fault) => {
                self.remember(message, chain(&fault));
                let delay = Duration::from_millis(200 << delivery.delivered.min(6));
                self.give_back(&delivery, delay).await;
            }
        }
    }

    pub(crate) async fn decided(
        &self,
        keys: Vec<Key>,
        input: &Input<D::Outcome>,
        cause: Option<ferry_events::EventId>,
        heard: Option<Arc<Heard>>,
    ) -> Result<(), Fault> {
        let mut waiting = Vec::new();
        for key in &keys {
            let (done, told) = oneshot::channel();
            self.registry.send(
                key,
                Item::Input {
                    input: input.clone(),
                    cause,
                    heard: heard.clone(),
                    done: Some(done),
                },
            );
            waiting.push(told);
        }
        let mut result = Ok(());
        for told in waiting {
            let one = told
                .await
                .unwrap_or_else(|_| Err(Fault("the aggregate's actor ended".into())));
            result = result.and(one);
        }
        result
    }

    pub(crate) fn read(&self, subject: &str, payload: &[u8]) -> Read<D::Outcome> {
        let config = self.context.borrow().config.clone();
        let service = self.decide.service();
        let due = subject::timers_due(service);
        if let Some(key) = subject.strip_prefix(due.trim_end_matches('>')) {
            return Read::Input {
                keys: vec![Key::from_subject(key)],
                input: Input::Due,
                cause: None,
            };
        }
        if subject.starts_with("ferry.commands.") {
            return match serde_json::from_slice::<Command>(payload) {
                Ok(command) if matches!(command.verb, Verb::Replay(_) | Verb::Drop(_)) => {
                    match &command.verb {
                        Verb::Replay(letter) | Verb::Drop(letter) if letter.service == service => {
                            let letter = letter.clone();
                            Read::Letter(Box::new(command), letter)
                        }
                        other => Read::Malformed(format!("it is for the {}", other.service())),
                    }
                }
                Ok(command) => Read::Input {
                    keys: self.decide.route_command(&command, &config),
                    input: Input::Command(Arc::new(command)),
                    cause: None,
                },
                Err(error) => Read::Malformed(error.to_string()),
            };
        }
        match Event::decode(payload) {
            Ok(event) => Read::Input {
                keys: self.decide.route(&event, &config),
                cause: Some(event.id),
                input: Input::Event(Arc::new(event)),
            },
            Err(error @ DecodeError::Unknown(_)) => Read::Unknown(error.to_string()),
            Err(error @ DecodeError::Malformed(_)) => Read::Malformed(error.to_string()),
        }
    }

    /// Why a message failed here before; it is forgotten.
    fn failure(&self, message: Place) -> Option<Vec<String>> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = failed.iter().position(|(known, _)| *known == message)?;
        failed.remove(at).map(|(_, errors)| errors)
    }

    fn remember(&self, message: Place, errors: Vec<String>) {
        self.failure(message);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push_back((message, errors));
        if failed.len() > FAILED_MAX {
            failed.pop_front();
        }
    }

    async fn give_back(&self, delivery: &Delivery, delay: Duration) {
        if let Err(error) = delivery.ack.nak(delay).await {
            debug!(%error, "could not give a message back; it comes again after its ack_wait");
        }
    }

    /// The dead letter first, then the end of the message: nothing ends in silence.
    async fn bury(
        &self,
        source: Source,
        delivery: &Delivery,
        reason: Reason,
        errors: Vec<String>,
        parked: bool,
    ) {
        let (payload, whole) = DeadLetter::payload_of(&delivery.payload);
        let letter = DeadLetter {
            id: LetterId::of(
                self.decide.service().name(),
                source.stream(),
                delivery.sequence,
            ),
            service: self.decide.service(),
            stream: source.stream().to_owned(),
            first_at: delivery.at,
            reason,
            errors,
            tries: delivery.delivered,
            subject: delivery.subject.clone(),
            sequence: delivery.sequence,
            payload,
            whole,
            at: self.clock.now(),
        };
        error!(subject = letter.subject, sequence = letter.sequence, errors = ?letter.errors, parked, "a message cannot be handled");
        match self.bus.bury(&letter, parked).await {
            Ok(()) => {
                if let Err(error) = delivery.ack.term().await {
                    debug!(%error, "a dead letter stands, but its message may come again");
                }
            }
            Err(error) => {
                error!(%error, "a dead letter could not be stored; its message comes again");
                self.give_back(delivery, Duration::from_secs(5)).await;
            }
        }
    }
}

/// Tells the bus now and then that a message is still in hand.
async fn in_hand<T>(delivery: &Delivery, handling: impl Future<Output = T>) -> T {
    tokio::pin!(handling);
    loop {
        tokio::select! {
            biased;
            result = &mut handling => return result,
            () = tokio::time::sleep(PROGRESS) => {
                if let Err(error) = delivery.ack.progress().await {
                    debug!(%error, "could not tell that a message is in hand");
                }
            }
        }
    }
}

/// An error and its sources, outermost first.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect()
}

fn crashed(delivered: u64) -> String {
    format!(
        "it was delivered {} times, alone from the third on, and no process that had it in hand came to an end with it",
        delivered - 1
    )
}
