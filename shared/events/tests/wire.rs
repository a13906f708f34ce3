//! The wire: every kind goes there and back, and CDEvents' own reader takes the standard ones.

mod samples;

use std::collections::BTreeSet;

use ferry_events::{
    Body, Event, EventId, Kind, Reason, Scope, Service, Traceparent, envelope::DecodeError,
};
use proptest::prelude::*;
use samples::{at, bodies};
use uuid::Uuid;

fn event(body: Body) -> Event {
    Event {
        id: EventId::of("scheduler", "unit.cart.prod", 7, "x", 0),
        source: Service::Scheduler,
        time: at(),
        scope: Scope::module(Some("core"), "cart").within("prod"),
        cause: Some(EventId(Uuid::from_u128(9))),
        trace: Some(Traceparent::root(Uuid::from_u128(10))),
        body,
    }
}

#[test]
fn every_kind_goes_there_and_back() {
    let kinds: BTreeSet<Kind> = bodies().iter().map(Body::kind).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "one body of every kind");
    for body in bodies() {
        let event = event(body);
        assert_eq!(Event::decode(&event.encode()).unwrap(), event);
        assert_eq!(
            Kind::of_type(&event.body.kind().type_name()).unwrap().0,
            event.body.kind()
        );
    }
}

#[test]
fn an_event_has_the_same_bytes_each_time() {
    for body in bodies() {
        let event = event(body);
        let first = event.encode();
        for _ in 0..16 {
            assert_eq!(event.encode(), first, "{}", event.body.kind().short_name());
        }
    }
}

#[test]
fn the_reader_of_cdevents_takes_every_standard_kind() {
    for body in bodies()
        .into_iter()
        .filter(|body| body.kind().is_standard())
    {
        let kind = body.kind();
        let event = event(body);
        let cloudevent: cloudevents::Event = serde_json::from_slice(&event.encode()).unwrap();
        let read: cdevents_sdk::CDEvent = cloudevent
            .try_into()
            .unwrap_or_else(|error| panic!("{}: {error}", kind.type_name()));
        assert_eq!(read.ty(), kind.type_name());
        assert_eq!(read.version(), "0.5.1");
        assert!(read.custom_data().is_some());
    }
}

#[test]
fn the_subject_on_the_bus_has_seven_tokens() {
    for body in bodies() {
        let event = event(body);
        let subject = event.bus_subject();
        assert_eq!(subject.split('.').count(), 7, "{subject}");
        assert!(
            subject.starts_with("ferry.events.core.cart.prod."),
            "{subject}"
        );
    }
}

#[test]
fn another_version_is_unknown_and_damage_is_malformed() {
    let text = String::from_utf8(event(bodies().remove(2)).encode()).unwrap();
    let newer = text.replace("change.merged.0.3.0", "change.merged.0.4.0");
    assert!(matches!(
        Event::decode(newer.as_bytes()),
        Err(DecodeError::Unknown(_))
    ));
    let lying = text.replacen("change.merged.0.3.0", "build.queued.0.3.0", 1);
    assert!(matches!(
        Event::decode(lying.as_bytes()),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        Event::decode(b"{}"),
        Err(DecodeError::Malformed(_))
    ));
}

/// What the runtime says for every service.
const OF_ALL: [Kind; 4] = [
    Kind::CommandSettled,
    Kind::WorkRetried,
    Kind::LetterReplayed,
    Kind::LetterDropped,
];

#[test]
fn what_a_service_says_someone_may_hear_and_nobody_else_says_it() {
    for service in Service::ALL {
        for kind in service.contract().says {
            let others = Service::ALL
                .iter()
                .filter(|other| other.contract().says.contains(kind))
                .count();
            assert!(others == 1 || OF_ALL.contains(kind), "{}", kind.type_name());
        }
    }
    for kind in Kind::ALL {
        let said = Service::ALL
            .iter()
            .any(|service| service.contract().says.contains(kind));
        assert!(said, "nobody says {}", kind.type_name());
    }
}

#[test]
fn reasons_have_codes_of_their_own() {
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert!(
            ferry_events::name::is_token(reason.code()),
            "{reason} is a token"
        );
        assert!(reason.what().ends_with('.') && reason.next_step().ends_with('.'));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Event::decode(&bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(which in any::<usize>(), at in any::<usize>(), byte in any::<u8>()) {
        let mut all = bodies();
        let which = which % all.len();
        let mut bytes = event(all.swap_remove(which)).encode();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Event::decode(&bytes);
    }
}
