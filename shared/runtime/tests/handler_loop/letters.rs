//! Messages that cannot be handled, and what becomes of them.

use std::{sync::atomic::Ordering, time::Duration};

use ferry_bus::{Bus, Consumer, DeadLetter, MemoryBus, Source, User, Write};
use ferry_events::{
    Body, Command, CommandId, Event, Kind, LetterId, Reason, Service, Timestamp, Verb,
    command::Settled, letter::Letter, subject,
};
use uuid::Uuid;

use crate::support::*;

async fn letters(bus: &MemoryBus, many: usize) -> Vec<DeadLetter> {
    let heard = heard(bus, subject::DEAD, "ferry.dead.>", many).await;
    heard
        .iter()
        .map(|(_, payload)| serde_json::from_slice(payload).unwrap())
        .collect()
}

fn ask(number: u128, verb: fn(Letter) -> Verb, letter: &DeadLetter, sequence: u64) -> Command {
    Command {
        id: CommandId(Uuid::from_u128(number)),
        at: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
        actor: "ops".into(),
        why: Some("it is mended".into()),
        based_on: None,
        verb: verb(Letter {
            letter: letter.id,
            service: letter.service,
            sequence,
            module: None,
        }),
    }
}

async fn command(bus: &MemoryBus, command: &Command) {
    let gateway = bus.as_user(User::Service(Service::Gateway));
    // Without its id: so the dedupe window catches nothing, as a day later.
    let write = Write {
        id: None,
        ..Write::command(command)
    };
    gateway.commit(vec![write].into()).await.unwrap();
}

/// What became of so many commands, in order.
async fn settled(bus: &MemoryBus, many: usize) -> Vec<Settled> {
    let filter = subject::events_of(Kind::CommandSettled);
    let heard = heard(bus, subject::STREAM, &filter, many).await;
    let all = heard
        .iter()
        .map(|(_, payload)| match Event::decode(payload).unwrap().body {
            Body::CommandSettled(settled) => *settled,
            other => panic!("{other:?}"),
        });
    all.collect()
}

fn reason(settled: &Settled) -> Option<Reason> {
    settled.stop.as_ref().map(|stop| stop.reason)
}

#[tokio::test(start_paused = true)]
async fn a_letter_says_all_that_is_known() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    let event = packaged(1, "fault");
    let taken = bus.now();
    publish(&bus, &event).await;
    let letter = letters(&bus, 1).await.remove(0);
    assert!(running.drain().await);
    // The configuration is the first message.
    let sequence = 2;
    let id = LetterId::of("slimmer", subject::STREAM, sequence);
    assert_eq!(
        (letter.id, letter.stream.as_str(), letter.sequence),
        (id, subject::STREAM, sequence)
    );
    assert_eq!(letter.subject, event.bus_subject());
    assert_eq!(letter.payload.as_bytes(), event.encode());
    assert!(letter.whole);
    assert_eq!((letter.tries, letter.reason), (5, Reason::OurFault));
    assert_eq!(letter.errors, ["a transition that does not exist"]);
    assert_eq!(letter.first_at, taken);
    assert!(letter.at > taken);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_messages_fault() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    publish(&bus, &packaged(1, "panic")).await;
    for n in 2..10 {
        publish(&bus, &packaged(n, "cart")).await;
    }
    published(&bus, 8).await;
    let letter = letters(&bus, 1).await.remove(0);
    assert!(running.drain().await);
    assert_eq!(letter.errors, ["the decision panicked: as the test wants"]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_handles_the_message_once_and_says_so() {
    let bus = bus().await;
    let (publisher, work) = (Publisher::default(), Work::free());
    let running = replica_of(&publisher, &bus, &work).await;
    publish(&bus, &packaged(1, "fault")).await;
    let letter = letters(&bus, 1).await.remove(0);

    // While the fault is there the letter stays open.
    command(&bus, &ask(1, Verb::Replay, &letter, 1)).await;
    assert_eq!(reason(&settled(&bus, 1).await[0]), Some(Reason::OurFault));
    assert_eq!(count(&bus, Kind::LetterReplayed), 0);

    publisher.mended.store(true, Ordering::SeqCst);
    let replay = ask(2, Verb::Replay, &letter, 1);
    command(&bus, &replay).await;
    let published = published(&bus, 1).await;
    assert_eq!(published[0].run(), packaged(1, "fault").run());
    // The same command again, and another one.
    command(&bus, &replay).await;
    command(&bus, &ask(3, Verb::Replay, &letter, 1)).await;
    command(&bus, &ask(4, Verb::Drop, &letter, 1)).await;
    let all = settled(&bus, 4).await;
    assert!(running.drain().await);
    let reasons: Vec<_> = all.iter().map(reason).collect();
    let closed = Some(Reason::LetterClosed);
    assert_eq!(reasons, [Some(Reason::OurFault), None, closed, closed]);
    assert_eq!(count(&bus, Kind::CommandSettled), 4, "each is settled once");
    assert_eq!(count(&bus, Kind::LetterDropped), 0);
    assert_eq!(work.begun(), 1);

    let filter = subject::events_of(Kind::LetterReplayed);
    let said = heard(&bus, subject::STREAM, &filter, 1).await;
    assert_eq!(count(&bus, Kind::LetterReplayed), 1);
    let Body::LetterReplayed(closed) = Event::decode(&said[0].1).unwrap().body else {
        panic!("another kind")
    };
    assert_eq!(closed.letter, letter.id);
    assert_eq!(closed.command, replay.id);
    assert_eq!(
        (closed.actor.as_str(), closed.why.as_deref()),
        ("ops", Some("it is mended"))
    );
    assert_eq!(closed.run, packaged(1, "fault").run());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_letter_is_not_replayed() {
    let bus = bus().await;
    let publisher = Publisher::default();
    let running = replica_of(&publisher, &bus, &Work::free()).await;
    publish(&bus, &packaged(1, "fault")).await;
    let letter = letters(&bus, 1).await.remove(0);
    command(&bus, &ask(1, Verb::Drop, &letter, 1)).await;
    settled(&bus, 1).await;
    publisher.mended.store(true, Ordering::SeqCst);
    command(&bus, &ask(2, Verb::Replay, &letter, 1)).await;
    // One that names another place on the stream is of another letter.
    command(&bus, &ask(3, Verb::Replay, &letter, 2)).await;
    let all = settled(&bus, 3).await;
    assert!(running.drain().await);
    let closed = Some(Reason::LetterClosed);
    assert_eq!(
        all.iter().map(reason).collect::<Vec<_>>(),
        [None, closed, closed]
    );
    assert_eq!(count(&bus, Kind::LetterDropped), 1);
    assert_eq!(count(&bus, Kind::LetterReplayed), 0);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_gone_is_said_to_be() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    publish(&bus, &packaged(1, "fault")).await;
    let letter = letters(&bus, 1).await.remove(0);
    let other = DeadLetter {
        id: LetterId::of("slimmer", subject::STREAM, 99),
        ..letter
    };
    command(&bus, &ask(1, Verb::Replay, &other, 1)).await;
    command(&bus, &ask(2, Verb::Replay, &other, 7)).await;
    let all = settled(&bus, 2).await;
    assert!(running.drain().await);
    assert!(all.iter().all(|it| reason(it) == Some(Reason::LetterGone)));
}

/// A process that takes a message and ends with it, so many times.
async fn crash(bus: &MemoryBus, times: u64) {
    let own = bus.as_user(User::Service(Service::Slimmer));
    for delivered in 1..=times {
        let mut consumer: Box<dyn Consumer> =
            own.consume(Service::Slimmer, Source::Work).await.unwrap();
        let deliveries = consumer.next(1).await.unwrap();
        assert_eq!(deliveries[0].delivered, delivered);
    }
    // What the last one had in hand comes again.
    tokio::time::sleep(Duration::from_secs(31)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_the_process_down_each_time_is_set_aside_untouched() {
    let bus = bus().await;
    publish(&bus, &packaged(1, "cart")).await;
    crash(&bus, 10).await;
    publish(&bus, &packaged(2, "cart")).await;
    let work = Work::free();
    let running = replica(&bus, &work).await;
    let letter = letters(&bus, 1).await.remove(0);
    let said = published(&bus, 1).await;
    assert!(running.drain().await);
    assert_eq!((letter.reason, letter.tries), (Reason::Crashes, 11));
    assert_eq!(said[0].run(), packaged(2, "cart").run());
    assert_eq!(work.begun(), 1, "it was not handled once more");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_only_in_bad_company_is_handled() {
    let bus = bus().await;
    publish(&bus, &packaged(1, "cart")).await;
    crash(&bus, 9).await;
    let running = replica(&bus, &Work::free()).await;
    published(&bus, 1).await;
    assert!(running.drain().await);
    assert!(bus.messages(subject::DEAD).unwrap().is_empty());
}
