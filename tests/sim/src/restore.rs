//! The bus is put back to another moment: what an operator does, and what must hold meanwhile.
//!
//! In: copies of the bus, and which stream goes back to which. Out: services that stop and say so; no base
//! that is asked for a change until the operator says that it was restored; what was seen since the copy
//! is forgotten by whoever looks at the world, as the bus has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ferry_bus::{Saved, restored};
use ferry_events::{
    Event, Service,
    subject::{DEAD, STREAM, TIMERS},
};
use ferry_runtime::WitnessDisk;

use crate::{
    drive::Driver,
    process::Life,
    script::Put,
    world::{Seen, World},
};

/// What changes a base.
const CHANGES: [&str; 2] = ["/installBiz", "/uninstallBiz"];
/// How long nats-server is down for it: longer than an exchange is ever late, so that what was on its
/// way has arrived, or never will.
const DOWN: Duration = Duration::from_secs(5);
/// By then every service that runs knows how far the stream is, and that it was restored.
const NOTICED_MS: u64 = 120_000;

/// What was kept of a moment.
pub struct Kept {
    saved: Saved,
    seen: Seen,
    end: u64,
}

/// What restores have done to the world so far.
#[derive(Default)]
pub struct Restores {
    /// How many there were after which services had to stop.
    pub times: u64,
    /// Whether nothing may be asked of a base now.
    forbidden: bool,
    /// What was said and is forgotten.
    pub forgotten: Vec<Event>,
    /// How many lines each base's ledger had at each restore.
    pub cuts: BTreeMap<String, Vec<usize>>,
}

impl World {
    /// An installer asks something of a base.
    pub fn asks(&self, life: &Life, base: &str, path: &str) {
        let forbidden = self.restores().forbidden;
        if forbidden && CHANGES.iter().any(|change| path.ends_with(change)) {
            self.broken(format!(
                "{} asks {base} for {path} although the stream is of another moment",
                life.name
            ));
        }
    }
}

/// The disk of one replica's witness; it outlasts the process.
#[derive(Debug, Default)]
pub struct Paper(Mutex<Option<Vec<u8>>>);

impl Paper {
    fn sequence(&self) -> u64 {
        let bytes = self.0.lock().expect("no panic under this lock").clone();
        let seen = bytes.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        seen.and_then(|seen| seen["sequence"].as_u64())
            .unwrap_or_default()
    }

    /// As one life reaches it.
    pub fn of(self: Arc<Self>, life: &Arc<Life>) -> Arc<dyn WitnessDisk> {
        Arc::new(Desk {
            life: life.clone(),
            paper: self,
        })
    }
}

struct Desk {
    life: Arc<Life>,
    paper: Arc<Paper>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.life.name)
    }
}

#[async_trait]
impl WitnessDisk for Desk {
    fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self
            .paper
            .0
            .lock()
            .expect("no panic under this lock")
            .clone())
    }

    async fn replace(&self, bytes: Vec<u8>) -> std::io::Result<()> {
        self.life.pass("write the witness").await;
        *self.paper.0.lock().expect("no panic under this lock") = Some(bytes);
        self.life.pass("has written the witness").await;
        Ok(())
    }

    fn set_aside(&self) -> std::io::Result<String> {
        Ok(self.place())
    }

    fn place(&self) -> String {
        format!("the disk of {}", self.life.name)
    }
}

impl Driver {
    /// Keeps a copy of the bus.
    pub(crate) fn backup(&mut self, number: usize) {
        let world = self.world.clone();
        world.tell("operator", "copies the bus");
        let mut seen = world.seen().clone();
        // What waits in an inbox is not on the copy: it may be on the bus, and out of the inbox, by the time
        // that the copy is put back.
        let waiting: BTreeSet<_> = self.disks.iter().flat_map(|disk| disk.waiting()).collect();
        seen.accepted.retain(|push| !waiting.contains(push));
        let kept = Kept {
            saved: world.bus.save(),
            seen,
            end: self.end(),
        };
        self.kept.insert(number, kept);
    }

    /// Puts streams back, sees that the services stop, and says that it was meant.
    pub(crate) async fn put_back(&mut self, put: &Put) {
        let world = self.world.clone();
        let of = |number: Option<usize>| number.filter(|number| self.kept.contains_key(number));
        let streams: Vec<(&str, usize)> = [
            (STREAM, of(put.ferry)),
            (TIMERS, of(put.timers)),
            (DEAD, of(put.dead)),
        ]
        .into_iter()
        .filter_map(|(stream, number)| Some((stream, number?)))
        .collect();
        if streams.is_empty() {
            return;
        }
        let end = of(put.ferry).map(|number| self.kept[&number].end);
        if let Some(end) = end.filter(|end| self.end() > *end) {
            // As the handbook says: all services up, or all down.
            self.until(
                |driver| driver.unaware(end),
                "does not know how far the stream is",
            )
            .await;
        }
        world.tell("operator", "stops nats-server");
        world.bus.set_connected(false);
        loop {
            self.everyone_up();
            self.take_orders(DOWN).await;
            if self.slots.values().all(|slot| slot.life.runs()) {
                break;
            }
        }
        if put.all_down {
            world.tell("operator", "stops all services");
            for slot in self.slots.values() {
                slot.life.kill();
            }
        }
        let forgets = self.restore(&streams, end.map(|_| put.ferry));
        for (service, replica) in self.all() {
            if self.slots[&(service, replica)].life.is_dead() {
                self.start(service, replica);
            }
        }
        world.bus.set_connected(true);
        if !forgets {
            return;
        }
        if put.hook {
            self.tell_again();
        }
        self.until(
            Self::unstopped,
            "does not notice that the stream is of another moment",
        )
        .await;
        let said_ms = world.now_ms() + put.said_ms;
        while world.now_ms() < said_ms {
            let left = Duration::from_millis(said_ms - world.now_ms());
            self.take_orders(left.min(Duration::from_secs(1))).await;
        }
        world.restores().forbidden = false;
        let said = restored::acknowledge(&world.bus, "the backup", world.bus.now()).await;
        match said {
            Ok(_) => world.tell("operator", "says that it was restored"),
            Err(error) => world.broken(format!("the operator is not heard: {error}")),
        }
    }

    /// Puts the streams back. Whether something is forgotten that a service has to notice.
    fn restore(&mut self, streams: &[(&str, usize)], ferry: Option<Option<usize>>) -> bool {
        let world = self.world.clone();
        let end = self.end();
        for (stream, number) in streams {
            world.tell("operator", format!("puts {stream} back to copy a{number}"));
            world
                .bus
                .restore(&self.kept[number].saved, &[stream])
                .expect("these streams are there");
        }
        let Some(kept) = ferry.flatten().and_then(|number| self.kept.get(&number)) else {
            return false;
        };
        if end == kept.end {
            return false;
        }
        let waiting: BTreeSet<_> = self.disks.iter().flat_map(|disk| disk.waiting()).collect();
        world.outside().forget();
        let forgotten = world.seen().forget(&kept.seen, &waiting, world.now_ms());
        let mut restores = world.restores();
        restores.times += 1;
        restores.forbidden = true;
        restores.forgotten.extend(forgotten);
        for (name, _) in crate::script::BASES {
            if let Some(base) = world.base(name) {
                let lines = base.ledger().entries().len();
                restores.cuts.entry(name.into()).or_default().push(lines);
            }
        }
        true
    }

    /// The end of the stream, whether anybody reaches it or not.
    fn end(&self) -> u64 {
        let messages = self.world.bus.messages(STREAM).unwrap_or_default();
        messages.last().map_or(0, |(sequence, ..)| *sequence)
    }

    fn all(&self) -> Vec<(Service, usize)> {
        self.slots.keys().copied().collect()
    }

    /// Starts what is down, lets go on what stands still, and mends every connection.
    fn everyone_up(&mut self) {
        self.world.wake_resting();
        for (service, replica) in self.all() {
            let slot = &self.slots[&(service, replica)];
            slot.life.thaw();
            slot.life.link.change(|there| *there = true);
            if slot.life.is_dead() {
                self.start(service, replica);
            }
        }
    }

    /// Waits until nobody is named any more.
    async fn until(&mut self, who: impl Fn(&Self) -> Option<String>, what: &str) {
        let until = self.world.now_ms() + NOTICED_MS;
        loop {
            self.everyone_up();
            self.take_orders(Duration::from_secs(1)).await;
            let Some(name) = who(self) else { return };
            if self.world.now_ms() > until {
                return self.world.broken(format!("{name} {what}"));
            }
        }
    }

    /// Who has not seen anything after this sequence.
    fn unaware(&self, end: u64) -> Option<String> {
        let all = self.papers.iter();
        let unaware = |((service, replica), paper): (&(Service, usize), &Arc<Paper>)| {
            (paper.sequence() <= end).then(|| format!("{service}-{}", replica + 1))
        };
        all.filter(|((service, _), _)| *service != Service::Gateway)
            .find_map(unaware)
    }

    /// Who has a witness and has not stopped.
    fn unstopped(&self) -> Option<String> {
        self.slots
            .values()
            .filter(|slot| {
                let witness = slot.witness.as_ref();
                witness.is_some_and(|witness| witness.stopped().is_none())
            })
            .map(|slot| slot.life.name.clone())
            .next()
    }
}
