//! Where something stands in a trace: W3C Trace Context's `traceparent`, derived instead of drawn by chance.
//!
//! In: what a trace begins with (a push, a command, a run), and what a span stands for. Out: a [`Traceparent`],
//! the same for every replica and every repeat; its text in `traceparent` of the CloudEvents extension
//! Distributed Tracing.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::ids::{NAMESPACE, derive};

/// The only version of Trace Context that there is.
const VERSION: &str = "00";
/// Recorded: Ferry leaves no trace out.
const SAMPLED: &str = "01";

/// A span, and the trace that it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traceparent {
    trace: Uuid,
    span: u64,
}

/// Why a text is no `traceparent`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a traceparent is version, trace, span and flags in hexadecimal digits, not {0:?}")]
pub struct BadTraceparent(String);

impl Traceparent {
    /// The first span of what began with a push, a command or a run. The trace has its id; where that is nil, which
    /// no trace may have, another.
    pub fn root(origin: Uuid) -> Self {
        Self {
            trace: if origin.is_nil() { NAMESPACE } else { origin },
            span: span(&["root", &origin.to_string()]),
        }
    }

    /// The span of the same trace that stands for something: of one trace, the same parts give the same span.
    pub fn span_of(self, parts: &[&str]) -> Self {
        Self {
            trace: self.trace,
            span: span(parts),
        }
    }

    /// The trace's id: that of the push, command or run that it began with.
    pub fn trace(self) -> Uuid {
        self.trace
    }

    /// The trace's id, as tools for traces write it: 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        self.trace.simple().to_string()
    }

    /// The span's id; never 0.
    pub fn span(self) -> u64 {
        self.span
    }
}

fn span(parts: &[&str]) -> u64 {
    let (high, _) = derive("span", parts).as_u64_pair();
    // Bits 12 to 15 of it say that it is a UUIDv5, so it is not 0.
    high
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = self.trace.simple();
        write!(f, "{VERSION}-{trace}-{:016x}-{SAMPLED}", self.span)
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Traceparent {
    type Err = BadTraceparent;

    /// Reads any version, as Trace Context asks: a later one begins like this one.
    fn from_str(text: &str) -> Result<Self, BadTraceparent> {
        read(text).ok_or_else(|| BadTraceparent(text.chars().take(64).collect()))
    }
}

fn read(text: &str) -> Option<Traceparent> {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let well = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    if !well || version == "ff" || (version == VERSION && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (
        u128::from_str_radix(trace, 16).ok()?,
        u64::from_str_radix(span, 16).ok()?,
    );
    (trace != 0 && span != 0).then(|| Traceparent {
        trace: Uuid::from_u128(trace),
        span,
    })
}

impl serde::Serialize for Traceparent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Traceparent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_goes_there_and_back() {
        let read: Traceparent = EXAMPLE.parse().unwrap();
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.span(), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(read.to_string(), EXAMPLE);
    }

    #[test]
    fn a_later_version_is_read_and_what_is_none_is_not() {
        let later = format!("cc{}-what-comes", &EXAMPLE[2..]);
        assert_eq!(later.parse::<Traceparent>(), EXAMPLE.parse::<Traceparent>());
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ] {
            assert!(wrong.parse::<Traceparent>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_trace_has_the_id_of_what_it_began_with_and_spans_are_told_apart() {
        let push = Uuid::from_u128(0x1234);
        let root = Traceparent::root(push);
        assert_eq!(root.trace_id(), push.simple().to_string());
        assert_eq!(root, Traceparent::root(push));
        let (one, other) = (root.span_of(&["a", "bc"]), root.span_of(&["ab", "c"]));
        assert_eq!(one, root.span_of(&["a", "bc"]));
        assert_eq!(one.trace(), root.trace());
        assert_ne!(one, other);
        assert_ne!(one, root);
        let nil = Traceparent::root(Uuid::nil());
        assert_eq!(nil.to_string().parse(), Ok(nil));
    }

    proptest! {
        #[test]
        fn whatever_is_derived_goes_there_and_back(origin in any::<u128>(), parts in prop::collection::vec(".*", 0..4)) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let span = Traceparent::root(Uuid::from_u128(origin)).span_of(&parts);
            prop_assert_eq!(span.to_string().parse::<Traceparent>(), Ok(span));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = text.parse::<Traceparent>();
        }
    }
}
