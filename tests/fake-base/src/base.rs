//! One fake base: its state, its faults, its ledger and its lives. Goes in:
//! requests from the two ports. Comes out: replies, and what happened. The
//! commands themselves are in `commands.rs`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ferry_ark::arklet::Command;
use ferry_web::Web;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::faults::FaultSwitch;
use crate::ledger::{Entry, Ledger, Phase};
use crate::world::World;

/// Netty's event loops on a machine with two cores.
pub(crate) const EVENT_LOOPS: usize = 4;

pub(crate) struct Base {
    world: Mutex<World>,
    life: Mutex<Life>,
    pub(crate) faults: FaultSwitch,
    pub(crate) ledger: Ledger,
    pub(crate) web: Arc<dyn Web>,
    pub(crate) activate_new_module: bool,
    /// Ends with the fake base itself.
    pub(crate) stopped: CancellationToken,
    /// A module ended the process.
    pub(crate) exited: CancellationToken,
    loops: [tokio::sync::Mutex<()>; EVENT_LOOPS],
    connections: AtomicUsize,
}

/// What ends when the process of a real base would.
#[derive(Clone, Default)]
pub(crate) struct Life {
    /// Work and connections of this life.
    pub(crate) over: CancellationToken,
    /// Connections alone.
    pub(crate) cut: CancellationToken,
}

impl Base {
    pub(crate) fn new(
        world: World,
        faults: FaultSwitch,
        ledger: Ledger,
        web: Arc<dyn Web>,
        activate_new_module: bool,
    ) -> Self {
        Self {
            world: Mutex::new(world),
            life: Mutex::default(),
            faults,
            ledger,
            web,
            activate_new_module,
            stopped: CancellationToken::new(),
            exited: CancellationToken::new(),
            loops: Default::default(),
            connections: AtomicUsize::new(0),
        }
    }

    /// The state; hold it for a moment only, never over an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .expect("nobody panics while holding the state")
    }

    /// The state, for work that began in that life of the base. When the base
    /// was restarted since, the work waits for ever: its process is dead.
    pub(crate) async fn world_of(&self, restarts: u64) -> MutexGuard<'_, World> {
        loop {
            {
                let world = self.world();
                if world.restarts == restarts {
                    return world;
                }
            }
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn life(&self) -> Life {
        self.life
            .lock()
            .expect("nobody panics while holding the life")
            .clone()
    }

    /// Netty gives each connection to the next event loop, which runs one
    /// command at a time: one slow synchronous install stalls its neighbours.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        self.loops[connection % EVENT_LOOPS].lock().await
    }

    /// Cuts all connections; work goes on.
    pub(crate) fn cut_connections(&self) {
        let mut life = self
            .life
            .lock()
            .expect("nobody panics while holding the life");
        std::mem::take(&mut life.cut).cancel();
    }

    /// Kills the process and starts it again: no modules, no records, no
    /// used ids, nothing that still runs.
    pub(crate) fn restart_empty(&self) {
        let mut life = self
            .life
            .lock()
            .expect("nobody panics while holding the life");
        let mut world = self.world();
        let old = std::mem::take(&mut *life);
        *world = world.restarted();
        old.over.cancel();
        old.cut.cancel();
    }

    /// The process ends and stays away.
    pub(crate) fn exit(&self) {
        self.faults.set(|faults| faults.refuse_connections = true);
        self.restart_empty();
        self.exited.cancel();
    }

    pub(crate) fn note_asked(&self, command: Command, meta: &Meta) {
        self.note(Phase::Asked, command, meta, false, None);
    }

    pub(crate) fn note_ended(&self, command: Command, meta: &Meta, effect: bool, outcome: String) {
        self.note(Phase::Ended, command, meta, effect, Some(outcome));
    }

    fn note(
        &self,
        phase: Phase,
        command: Command,
        meta: &Meta,
        effect: bool,
        outcome: Option<String>,
    ) {
        self.ledger.write(Entry {
            sequence: 0,
            at_ms: 0,
            restarts: self.world().restarts,
            phase,
            command,
            request_id: meta.request_id.clone(),
            name: meta.name.clone(),
            version: meta.version.clone(),
            effect,
            outcome,
        });
    }
}

/// Whom a mutating call is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) is_async: bool,
    /// The request as arklet writes it into a process record.
    pub(crate) json: Value,
}

impl Meta {
    /// The lock's name; Java writes `null` for what is missing.
    pub(crate) fn identity(&self) -> String {
        let word = |part: &Option<String>| part.clone().unwrap_or_else(|| "null".to_owned());
        format!("{}:{}", word(&self.name), word(&self.version))
    }
}
