//! Turns: how much work of a pool is done at a time, and whose turn it is.
//!
//! In: requests of aggregates, each in a lane. Out: a permit to one after the other, lane by lane,
//! so that a lane with one request does not wait behind a lane with a thousand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use crate::{Key, Slot};

#[derive(Default)]
struct Pool {
    busy: usize,
    /// Lanes in the order of their turns, each with its waiting aggregates.
    lanes: VecDeque<(String, VecDeque<Key>)>,
}

impl Pool {
    fn push(&mut self, lane: String, key: Key) {
        match self.lanes.iter_mut().find(|(name, _)| *name == lane) {
            Some((_, keys)) if keys.contains(&key) => {}
            Some((_, keys)) => keys.push_back(key),
            None => self.lanes.push_back((lane, VecDeque::from([key]))),
        }
    }

    fn pop(&mut self) -> Option<Key> {
        let (lane, mut keys) = self.lanes.pop_front()?;
        let key = keys.pop_front();
        if !keys.is_empty() {
            self.lanes.push_back((lane, keys));
        }
        key
    }
}

/// Told whose turn it is.
type Granted = Arc<dyn Fn(Key, Permit) + Send + Sync>;

/// The turns of all pools of a service.
#[derive(Clone)]
pub(crate) struct Jobs {
    pools: Arc<Mutex<BTreeMap<&'static str, Pool>>>,
    granted: Granted,
}

/// The right to do one piece of work; dropping it passes the turn on.
pub(crate) struct Permit {
    jobs: Jobs,
    pool: &'static str,
    limit: usize,
}

impl Jobs {
    /// Turns, whose permits are handed to `granted`.
    pub(crate) fn new(granted: Granted) -> Self {
        Self {
            pools: Arc::default(),
            granted,
        }
    }

    /// A permit now, if there is room and nobody waits.
    pub(crate) fn try_now(&self, slot: &Slot, limit: usize) -> Option<Permit> {
        let mut pools = self.pools.lock().expect("no panic under this lock");
        let pool = pools.entry(slot.pool).or_default();
        if pool.busy >= limit || !pool.lanes.is_empty() {
            return None;
        }
        pool.busy += 1;
        Some(Permit {
            jobs: self.clone(),
            pool: slot.pool,
            limit,
        })
    }

    /// Asks for a permit; it comes through `granted`, perhaps at once.
    pub(crate) fn ask(&self, slot: Slot, key: Key, limit: usize) {
        {
            let mut pools = self.pools.lock().expect("no panic under this lock");
            pools.entry(slot.pool).or_default().push(slot.lane, key);
        }
        self.hand_out(slot.pool, limit);
    }

    fn hand_out(&self, name: &'static str, limit: usize) {
        loop {
            let key = {
                let mut pools = self.pools.lock().expect("no panic under this lock");
                let pool = pools.entry(name).or_default();
                if pool.busy >= limit {
                    return;
                }
                let Some(key) = pool.pop() else { return };
                pool.busy += 1;
                key
            };
            (self.granted)(
                key,
                Permit {
                    jobs: self.clone(),
                    pool: name,
                    limit,
                },
            );
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Ok(mut pools) = self.jobs.pools.lock() {
            let pool = pools.entry(self.pool).or_default();
            pool.busy = pool.busy.saturating_sub(1);
        }
        self.jobs.hand_out(self.pool, self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(lane: &str) -> Slot {
        Slot {
            pool: "build",
            lane: lane.into(),
        }
    }

    #[test]
    fn a_lone_request_does_not_wait_behind_a_thousand() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = order.clone();
        let held = Arc::new(Mutex::new(Vec::new()));
        let keep = held.clone();
        let jobs = Jobs::new(Arc::new(move |key, permit| {
            seen.lock().unwrap().push(key.to_string());
            keep.lock().unwrap().push(permit);
        }));
        let first = jobs.try_now(&slot("busy"), 1).expect("there is room");
        for i in 0..1000 {
            jobs.ask(slot("busy"), Key::new("job", &[&i.to_string()]), 1);
        }
        jobs.ask(slot("lone"), Key::new("job", &["lone"]), 1);
        assert!(order.lock().unwrap().is_empty(), "the pool is full");
        drop(first);
        let permit = held.lock().unwrap().pop().unwrap();
        drop(permit);
        assert_eq!(*order.lock().unwrap(), ["job.0", "job.lone"]);
    }

    #[test]
    fn an_aggregate_waits_once() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = order.clone();
        let jobs = Jobs::new(Arc::new(move |key: Key, permit| {
            seen.lock().unwrap().push(key.to_string());
            drop(permit);
        }));
        let first = jobs.try_now(&slot("a"), 1).unwrap();
        jobs.ask(slot("a"), Key::new("job", &["x"]), 1);
        jobs.ask(slot("a"), Key::new("job", &["x"]), 1);
        drop(first);
        assert_eq!(*order.lock().unwrap(), ["job.x"]);
    }
}
