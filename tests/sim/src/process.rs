//! One life of a process: it runs, stands still, or is dead; and the boundaries at which that may change.
//!
//! In: what the process is about to do, or has just done. Out: whether it goes on, and how. Everything
//! that leaves a process passes here, so a process that is shut changes nothing outside.

use std::{
    sync::{Arc, Mutex, Weak, atomic::Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use ferry_events::Service;
use ferry_fake_base::Signal;

use crate::{script::Wrong, world::World};

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It runs.
    Open,
    /// It stands still, as after SIGSTOP.
    Shut,
    /// It is gone.
    Dead,
}

/// What becomes of an exchange at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Go,
    /// It fails: it does not happen, or its answer is lost.
    Fail,
}

/// One life of one replica.
pub struct Life {
    /// `installer-2`.
    pub name: String,
    /// The service.
    pub service: Service,
    /// Which replica, from 0.
    pub replica: usize,
    /// How far its clock is off.
    pub skew: TimeDelta,
    gate: Signal<Gate>,
    /// Whether it reaches the bus.
    pub link: Signal<bool>,
    /// Why it was shut: a thaw of another reason does not open it.
    shut_by: Mutex<u64>,
    pub(crate) world: Weak<World>,
}

impl Life {
    /// A life that begins.
    pub fn new(world: &Arc<World>, service: Service, replica: usize, skew: TimeDelta) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{service}-{}", replica + 1),
            service,
            replica,
            skew,
            gate: Signal::new(Gate::Open),
            link: Signal::new(true),
            shut_by: Mutex::new(0),
            world: Arc::downgrade(world),
        })
    }

    /// Whether it is gone.
    pub fn is_dead(&self) -> bool {
        self.gate.see(|gate| *gate == Gate::Dead)
    }

    /// Waits until it is gone.
    pub async fn dead(&self) {
        self.gate.wait_for(|gate| *gate == Gate::Dead).await;
    }

    /// It is killed.
    pub fn kill(&self) {
        self.gate.change(|gate| *gate = Gate::Dead);
    }

    /// It is stopped; what opens it again.
    pub fn shut(&self) -> u64 {
        if let Some(world) = self.world.upgrade() {
            world.stands_still(self);
        }
        let mut by = self.shut_by.lock().expect("no panic under this lock");
        *by += 1;
        self.gate.change(|gate| {
            if *gate == Gate::Open {
                *gate = Gate::Shut;
            }
        });
        *by
    }

    /// It goes on, unless it was stopped once more since.
    pub fn open_again(&self, by: u64) {
        if *self.shut_by.lock().expect("no panic under this lock") != by {
            return;
        }
        if let Some(world) = self.world.upgrade() {
            world.goes_on(self);
        }
        self.gate.change(|gate| {
            if *gate == Gate::Shut {
                *gate = Gate::Open;
            }
        });
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.gate.see(|gate| *gate == Gate::Open)
    }

    /// It goes on, whatever stopped it.
    pub fn thaw(&self) {
        let by = *self.shut_by.lock().expect("no panic under this lock");
        self.open_again(by);
    }

    /// Goes on as soon as the process does; never when it is gone.
    pub async fn open(&self) {
        self.gate.wait_for(|gate| *gate == Gate::Open).await;
    }

    /// A boundary: something leaves the process, or has just come back.
    pub async fn pass(self: &Arc<Self>, what: &str) -> Fate {
        self.open().await;
        let Some(world) = self.world.upgrade() else {
            return std::future::pending().await;
        };
        let number = world.boundaries.fetch_add(1, Ordering::Relaxed);
        world.passes(self.service, what);
        let mut fate = Fate::Go;
        if let Some(wrong) = world.wrong_at(number) {
            world.tell(
                &self.name,
                format!("{wrong:?} at boundary {number}, {what}"),
            );
            match wrong {
                Wrong::Crash(again_ms) => world.crash(self, again_ms),
                Wrong::PauseTillRest => {
                    let by = self.shut();
                    world.wait_for_rest(self.clone(), by);
                }
                Wrong::Pause(ms) => {
                    let (by, life) = (self.shut(), self.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        life.open_again(by);
                    });
                }
                Wrong::Fail => fate = Fate::Fail,
                Wrong::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            }
        }
        let latency = world.latency(number);
        drop(world);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        self.open().await;
        fate
    }
}
