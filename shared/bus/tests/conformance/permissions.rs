//! Who may say what.
//!
//! In: the table of contracts. Out: every user is refused everything that is not its own.

use std::collections::BTreeSet;

use anyhow::Result;
use ferry_bus::{BusError, CommitError, StreamLimits, User, Write, permissions::permissions};
use ferry_events::{Kind, Service, subject};

use crate::{real::event, world::World};

on_both! {
    nobody_speaks_for_another(StreamLimits::default());
}

async fn nobody_speaks_for_another(world: &World) -> Result<()> {
    let mut subjects: BTreeSet<String> = Kind::ALL
        .iter()
        .map(|kind| event(*kind, "x").subject)
        .collect();
    for service in Service::ALL {
        subjects.insert(subject::state(service, "a"));
        subjects.insert(format!("ferry.facts.{service}.a"));
        subjects.insert(format!("ferry.commands.{service}.any"));
    }
    subjects.insert(subject::CONFIG.into());
    let (mut allowed, mut refused) = (0, 0);
    for user in User::all() {
        let bus = world.user(user).await?;
        let contract = match user {
            User::Service(service) => Some((service, service.contract())),
            User::Operator => None,
        };
        for subject in &subjects {
            let may = match contract {
                None => subject == subject::CONFIG,
                Some((service, contract)) => {
                    contract
                        .says
                        .iter()
                        .any(|kind| named(&subject::events_of(*kind), subject))
                        || contract
                            .commands
                            .iter()
                            .any(|taker| named(&subject::commands_for(*taker), subject))
                        || named(&subject::states_of(service), subject)
                        || (contract.keeps_facts && named(&subject::facts_of(service), subject))
                }
            };
            let write = Write {
                subject: subject.clone(),
                id: None,
                ..event(Kind::RunQueued, "x")
            };
            match bus.commit(vec![write.clone()].into()).await {
                Ok(_) => assert!(may, "{user} published {subject}"),
                Err(CommitError::Bus(BusError::Refused(_))) => {
                    assert!(!may, "{user} must be able to publish {subject}")
                }
                Err(error) => anyhow::bail!("{user} on {subject}: {error:?}"),
            }
            if may { allowed += 1 } else { refused += 1 }
        }
        // Neither in front of a batch: the rest is not stored either.
        if let Some((service, _)) = contract {
            let foreign = Write {
                subject: subject::CONFIG.into(),
                id: None,
                ..event(Kind::RunQueued, "x")
            };
            let own = Write {
                subject: subject::state(service, "own"),
                ..foreign.clone()
            };
            let error = bus
                .commit(vec![foreign, own.clone()].into())
                .await
                .expect_err("not its configuration");
            assert!(
                matches!(error, CommitError::Bus(BusError::Refused(_))),
                "{error:?}"
            );
            assert_eq!(bus.read(&own.subject).await?, None);
            let error = bus
                .set_timer(next_service(service), "a", world.now())
                .await
                .expect_err("another's deadline");
            assert!(matches!(error, BusError::Refused(_)), "{error:?}");
        }
    }
    assert!(
        allowed > 20 && refused > 200,
        "{allowed} allowed, {refused} refused"
    );
    assert!(permissions(User::Operator).publish.len() == 3);
    Ok(())
}

fn named(filter: &str, subject: &str) -> bool {
    let (filter, subject): (Vec<_>, Vec<_>) =
        (filter.split('.').collect(), subject.split('.').collect());
    match filter.iter().position(|token| *token == ">") {
        Some(rest) => subject.len() > rest && named_tokens(&filter[..rest], &subject[..rest]),
        None => filter.len() == subject.len() && named_tokens(&filter, &subject),
    }
}

fn named_tokens(filter: &[&str], subject: &[&str]) -> bool {
    filter
        .iter()
        .zip(subject)
        .all(|(one, two)| *one == "*" || one == two)
}

fn next_service(service: Service) -> Service {
    let index = Service::ALL
        .iter()
        .position(|one| *one == service)
        .unwrap_or_default();
    Service::ALL[(index + 1) % Service::ALL.len()]
}
