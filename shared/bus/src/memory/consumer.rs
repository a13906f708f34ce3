//! One durable consumer of the bus in memory: what it has in hand, and what is delivered again.
//!
//! In: a stream and moments. Out: what the real bus would deliver. No clock of its own.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::stream::Stream;

#[derive(Clone, Debug)]
pub(super) struct Cursor {
    filters: Vec<String>,
    next: u64,
    in_hand: BTreeMap<u64, InHand>,
    ack_wait: Duration,
}

#[derive(Clone, Debug)]
struct InHand {
    delivered: u64,
    /// When it is delivered again.
    again: Instant,
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settle {
    Done,
    Again(Duration),
    InHand,
}

impl Cursor {
    pub fn new(filters: Vec<String>, ack_wait: Duration) -> Self {
        Self {
            filters,
            next: 1,
            in_hand: BTreeMap::new(),
            ack_wait,
        }
    }

    /// Made anew: nothing was delivered yet.
    pub fn begin_again(&mut self) {
        self.next = 1;
        self.in_hand.clear();
    }

    /// Sequences and counts of deliveries: what is due again first, then what is new.
    pub fn take(&mut self, stream: &Stream, max: usize, now: Instant) -> Vec<(u64, u64)> {
        // What was removed meanwhile is not delivered again.
        self.in_hand
            .retain(|sequence, _| stream.get(*sequence).is_some());
        let mut due: Vec<(Instant, u64)> = self
            .in_hand
            .iter()
            .filter(|(_, in_hand)| in_hand.again <= now)
            .map(|(sequence, in_hand)| (in_hand.again, *sequence))
            .collect();
        due.sort_unstable();
        let mut taken = Vec::new();
        for (_, sequence) in due.into_iter().take(max) {
            let Some(in_hand) = self.in_hand.get_mut(&sequence) else {
                continue;
            };
            in_hand.delivered += 1;
            in_hand.again = now + self.ack_wait;
            taken.push((sequence, in_hand.delivered));
        }
        let new: Vec<u64> = stream
            .from(self.next, &self.filters)
            .take(max - taken.len())
            .map(|(sequence, _)| sequence)
            .collect();
        for sequence in new {
            self.next = sequence + 1;
            self.in_hand.insert(
                sequence,
                InHand {
                    delivered: 1,
                    again: now + self.ack_wait,
                },
            );
            taken.push((sequence, 1));
        }
        taken
    }

    /// A late answer to an earlier delivery settles the later one too, as on the real bus.
    pub fn settle(&mut self, sequence: u64, how: Settle, now: Instant) {
        match how {
            Settle::Done => drop(self.in_hand.remove(&sequence)),
            Settle::Again(delay) => {
                if let Some(in_hand) = self.in_hand.get_mut(&sequence) {
                    in_hand.again = now + delay;
                }
            }
            Settle::InHand => {
                if let Some(in_hand) = self.in_hand.get_mut(&sequence) {
                    in_hand.again = now + self.ack_wait;
                }
            }
        }
    }

    /// When something is delivered again.
    pub fn wakes(&self) -> Option<Instant> {
        self.in_hand.values().map(|in_hand| in_hand.again).min()
    }
}
