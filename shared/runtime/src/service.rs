//! A service as a whole: its actors, consumers, sweep, watches and drain.
//!
//! In: the two halves and a bus. Out: [`Running`], which drains within a deadline.

use std::{sync::Arc, time::Duration};

use ferry_bus::{Bus, Source, config_store};
use ferry_config::Config;
use ferry_events::{Digest, subject};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    Context, Decide, Effects, Feeder, Hands, Key,
    actor::{Actor, Shared},
    answers,
    clock::Clock,
    jobs::Jobs,
    messages::Messages,
    registry::{Item, Registry},
    room::Room,
    trace::Tracer,
    witness::Witness,
};

/// The runtime's limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For how long a claim stands without being renewed. A worker that was killed is noticed after
    /// this; one that is slow renews it three times meanwhile.
    pub lease: Duration,
    /// Between two attempts at a silent bus.
    pub bus_pause: Duration,
    /// Between two sweeps for forgotten work and deadlines.
    pub sweep: Duration,
    /// Between two looks at how far the stream is: what a replica that does nothing may miss of a restore.
    pub look: Duration,
    /// How long work in hand may go on when the service drains.
    pub drain_work: Duration,
    /// How long the whole drain may take.
    pub drain: Duration,
    /// Tells the time.
    pub clock: Clock,
    /// Notices that the stream was restored from another moment; by default only while it runs.
    pub witness: Witness,
    /// Told when the bus has no room.
    pub room: Room,
    /// Takes spans; by default none.
    pub tracer: Tracer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            bus_pause: Duration::from_millis(250),
            sweep: Duration::from_secs(60),
            look: Duration::from_secs(5),
            drain_work: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            clock: Clock::wall(),
            witness: Witness::default(),
            room: Room::default(),
            tracer: Tracer::default(),
        }
    }
}

/// A service that runs.
pub struct Running {
    drain: CancellationToken,
    tasks: TaskTracker,
    deadline: Duration,
    witness: Witness,
}

impl Running {
    /// Waits until the service must end, because the stream was restored from another moment. Nothing is
    /// decided or done any more then; drain it.
    pub async fn stopped(&self) -> String {
        self.witness.stop().await
    }

    /// Stops taking messages, finishes or hands back what is in hand, and ends. False when the
    /// deadline came first: what was left then comes again elsewhere.
    pub async fn drain(self) -> bool {
        self.drain.cancel();
        self.tasks.close();
        tokio::time::timeout(self.deadline, self.tasks.wait())
            .await
            .is_ok()
    }
}

/// Starts a service. Waits for the bus and for a configuration.
pub async fn run<D: Decide, E: Effects<D>>(
    decide: D,
    effects: E,
    bus: Arc<dyn Bus>,
    settings: Settings,
) -> Running {
    let (decide, effects) = (Arc::new(decide), Arc::new(effects));
    let drain = CancellationToken::new();
    let tasks = TaskTracker::new();
    let witness = settings.witness.clone();
    witness.admit(bus.as_ref(), settings.bus_pause).await;
    let context = configuration(&bus, &tasks, &drain, &settings.clock).await;

    let (tracer, known, until) = (settings.tracer.clone(), context.clone(), drain.clone());
    tasks.spawn(async move {
        let follows = tracer.follow(known, |context| &context.config.telemetry);
        until.run_until_cancelled(follows).await;
    });

    let registry = Arc::new(Registry::default());
    let turns = registry.clone();
    let shared = Arc::new(Shared {
        decide: decide.clone(),
        effects: effects.clone(),
        bus: bus.clone(),
        registry: registry.clone(),
        context: context.clone(),
        jobs: Jobs::new(Arc::new(move |key, permit| {
            turns.send(&key, Item::Granted(permit))
        })),
        settings: settings.clone(),
        worker: worker(),
        drain: drain.clone(),
    });
    let actors = tasks.clone();
    registry.spawn_with(Box::new(move |key, inbox| {
        actors.spawn(Actor::new(key, shared.clone(), inbox).run());
    }));

    let messages = Messages::new(
        decide.clone(),
        bus.clone(),
        registry.clone(),
        context.clone(),
        drain.clone(),
        tasks.clone(),
        &settings,
    );
    tasks.spawn(watch_end(
        bus.clone(),
        witness.clone(),
        drain.clone(),
        settings.look,
    ));
    let contract = decide.service().contract();
    if !contract.takes.is_empty() || contract.takes_commands {
        tasks.spawn(messages.clone().take(Source::Work));
        tasks.spawn(messages.take(Source::Timers));
    }
    if contract.answers {
        tasks.spawn(answers::answer(
            decide.clone(),
            bus.clone(),
            context.clone(),
            settings.clock.clone(),
            drain.clone(),
            settings.bus_pause,
        ));
    }
    tasks.spawn(sweep(
        decide.clone(),
        bus.clone(),
        registry.clone(),
        drain.clone(),
        settings.sweep,
    ));

    let feeder = Feeder {
        registry,
        config: context,
        drain: drain.clone(),
        hands: Hands::watched(bus, witness.clone()),
    };
    let ends = drain.clone();
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = effects.watch(feeder) => {}
            () = ends.cancelled() => {}
        }
    });
    info!(service = %decide.service(), "running");
    Running {
        drain,
        tasks,
        deadline: settings.drain,
        witness,
    }
}

/// Looks at the stream after each reconnection, and every few seconds: a restore may need none, and what is
/// seen now is what a restore is noticed by later. What a process saw is noted when it ends.
async fn watch_end(bus: Arc<dyn Bus>, witness: Witness, drain: CancellationToken, every: Duration) {
    let mut connected = bus.connected();
    loop {
        tokio::select! {
            biased;
            _ = witness.stop() => return witness.remember().await,
            () = drain.cancelled() => return witness.remember().await,
            changed = connected.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(every) => {}
        }
        if *connected.borrow_and_update() {
            witness.check(bus.as_ref()).await;
        }
    }
}

/// Names this process in its claims: no other may ever have the same name, or it would take over
/// work that is in hand.
#[allow(
    clippy::disallowed_methods,
    reason = "a process has no cause to derive its name from"
)]
fn worker() -> Uuid {
    Uuid::new_v4()
}

/// The configuration in force, now and whenever it changes.
async fn configuration(
    bus: &Arc<dyn Bus>,
    tasks: &TaskTracker,
    drain: &CancellationToken,
    clock: &Clock,
) -> watch::Receiver<Arc<Context>> {
    let (sender, mut receiver) = watch::channel(None::<Arc<Context>>);
    let (bus, drain, clock) = (bus.clone(), drain.clone(), clock.clone());
    let follow = async move {
        let mut revisions = config_store::watch(bus);
        while let Some(revision) = revisions.next().await {
            match serde_json::from_slice::<Config>(&revision.payload) {
                Ok(config) => {
                    let revision = Digest::of(&revision.payload);
                    info!(revision = revision.short(), "configuration in force");
                    let context = Context {
                        now: clock.now(),
                        config: Arc::new(config),
                        revision,
                    };
                    sender.send_replace(Some(Arc::new(context)));
                }
                Err(error) => {
                    error!(%error, "a configuration cannot be read; the one before stays");
                }
            }
        }
    };
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = follow => {}
        }
    });
    let first = loop {
        let there = receiver.borrow_and_update().clone();
        match there {
            Some(context) => break context,
            None => {
                let waited = tokio::time::timeout(Duration::from_secs(5), receiver.changed()).await;
                if waited.is_err() {
                    warn!(
                        "waiting for a configuration; `ferry config apply` or `ferry up` puts one on the bus"
                    );
                }
            }
        }
    };
    let (given, known) = watch::channel(first);
    tasks.spawn(async move {
        while receiver.changed().await.is_ok() {
            if let Some(context) = receiver.borrow_and_update().clone() {
                given.send_replace(context);
            }
        }
    });
    known
}

/// Looks at every record with work or a deadline: at start, and now and then, because a process may
/// have ended between its commit and its timer.
async fn sweep<D: Decide>(
    decide: Arc<D>,
    bus: Arc<dyn Bus>,
    registry: Arc<Registry<D::Outcome>>,
    drain: CancellationToken,
    every: Duration,
) {
    let filter = subject::states_of(decide.service());
    let prefix = filter.trim_end_matches('>').to_owned();
    loop {
        match bus.list(&filter).await {
            Ok(records) => {
                for (subject, record) in records {
                    let Some(key) = subject.strip_prefix(&prefix).map(Key::from_subject) else {
                        continue;
                    };
                    if crate::letters::is_letter(&key) {
                        continue;
                    }
                    match serde_json::from_slice::<crate::Stored<D::State>>(&record.payload) {
                        Ok(stored)
                            if decide.work(&key, &stored.state).is_some()
                                || decide.wake_at(&stored.state).is_some() =>
                        {
                            registry.send(&key, Item::Look);
                        }
                        Ok(_) => {}
                        Err(error) => error!(%key, %error, "a state cannot be read"),
                    }
                }
            }
            Err(error) => warn!(%error, "could not sweep; trying again later"),
        }
        tokio::select! {
            biased;
            () = drain.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}
