//! The writes of one commit: the record, and what is said with it, under ids that follow from it.
//!
//! In: a round and its new record, as it is and as JSON. Out: one batch.

use ferry_bus::{Batch, Write};
use ferry_events::{Event, EventId, Kind, ids, subject};

use super::Actor;
use crate::{Context, Decide, Effects, Stored, round::Round};

impl<D: Decide, E: Effects<D>> Actor<D, E> {
    pub(super) fn batch(
        &self,
        new: &Stored<D::State>,
        payload: Vec<u8>,
        expected: u64,
        round: &Round<D::State>,
        context: &Context,
    ) -> Batch {
        let service = self.shared.decide.service();
        let keep = self.shared.decide.keep(&new.state);
        let mut writes = vec![Write::state(
            subject::state(service, self.key.as_str()),
            payload,
            expected,
            keep,
        )];
        for (subject, value) in &round.facts {
            writes.push(Write::fact(subject.clone(), value.to_string().into_bytes()));
        }
        for (index, said) in round.events.iter().enumerate() {
            let say = &said.say;
            let kind = say.body.kind().short_name();
            writes.push(Write::event(&Event {
                id: EventId::of(
                    service.name(),
                    self.key.as_str(),
                    new.sequence,
                    &kind,
                    index,
                ),
                source: service,
                time: context.now,
                scope: say.scope.clone(),
                cause: said.cause,
                trace: said.trace,
                body: say.body.clone(),
            }));
        }
        for (index, said) in round.retried.iter().enumerate() {
            let say = &said.say;
            // A retry is no transition: the claim that failed tells its events from others.
            let (claim, index) = (round.failed.to_string(), index.to_string());
            let id = ids::derive(
                Kind::WorkRetried.subject(),
                &[service.name(), self.key.as_str(), &claim, &index],
            );
            writes.push(Write::event(&Event {
                id: EventId(id),
                source: service,
                time: context.now,
                scope: say.scope.clone(),
                cause: None,
                trace: said.trace,
                body: say.body.clone(),
            }));
        }
        writes.into()
    }
}
