//! Dead letters of each sort.

use ferry_api::{LetterEnd, LetterState, LetterSummary, LetterView};
use ferry_events::{LetterId, Reason, Service};

use super::{at, command_id, good_run};

fn letter_summary(number: u64, reason: Reason, state: LetterState) -> LetterSummary {
    let end = LetterEnd {
        actor: "ops".into(),
        why: Some("the slimmer is mended".into()),
        command: command_id(),
        at: at(170_000),
    };
    LetterSummary {
        id: LetterId::of("slimmer", "FERRY", number),
        state,
        service: Service::Slimmer,
        reason,
        error: Some("a transition that does not exist".into()),
        module: Some("hello".into()),
        environment: None,
        run: Some(good_run()),
        subject: "ferry.events.core.hello._.artifact.packaged".into(),
        stream: "FERRY".into(),
        sequence: number,
        tries: 5,
        first_at: at(100_000),
        at: at(110_000),
        end: (state != LetterState::Open).then_some(end),
    }
}

/// Dead letters of each sort, newest first.
pub fn letters() -> Vec<LetterSummary> {
    let bus = LetterSummary {
        error: None,
        module: None,
        run: None,
        subject: String::new(),
        ..letter_summary(9, Reason::Undelivered, LetterState::Open)
    };
    vec![
        bus,
        letter_summary(8, Reason::OurFault, LetterState::Open),
        letter_summary(7, Reason::OurFault, LetterState::Open),
        letter_summary(6, Reason::Crashes, LetterState::Replayed),
        letter_summary(5, Reason::Malformed, LetterState::Dropped),
    ]
}

/// One dead letter, whole.
pub fn letter(state: LetterState) -> LetterView {
    LetterView {
        summary: letter_summary(8, Reason::OurFault, state),
        text: Reason::OurFault.what().into(),
        next: Reason::OurFault.next_step().into(),
        errors: vec![
            "a transition that does not exist".into(),
            "the cause \u{1b}[31mbelow\u{1b}[0m".into(),
        ],
        payload: Some(r#"{"id":"1","type":"artifact.packaged"}"#.into()),
    }
}
