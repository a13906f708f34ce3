//! How values look as text: durations ("5s"), sizes ("25MiB"), names.
//! In: text, or a value. Out: the value, or the same form of text again.

/// One KiB in bytes.
pub const KIB: u64 = 1024;
/// One MiB in bytes.
pub const MIB: u64 = 1024 * KIB;
/// One GiB in bytes.
pub const GIB: u64 = 1024 * MIB;

/// The longest name: that of a DNS label, and short enough for subjects.
pub const NAME_MAX: usize = 63;
/// What a name looks like, as a regular expression.
pub const NAME_PATTERN: &str = "^[a-z0-9-]{1,63}$";

/// Whether `text` is a name: `[a-z0-9-]{1,63}`.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The JSON schema of a name.
pub(crate) fn name_schema() -> serde_json::Value {
    serde_json::json!({ "type": "string", "format": "name", "pattern": NAME_PATTERN })
}

/// The JSON schema of one text of a list, of this format.
pub(crate) fn item_schema(format: &str) -> serde_json::Value {
    serde_json::json!({ "type": "string", "format": format })
}

/// Serde of a `std::time::Duration` as "5s", "1m 30s", "100ms".
pub mod duration {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    /// Reads the text form.
    ///
    /// # Errors
    /// When the text is no duration; the message shows one that is.
    pub fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text)
            .map_err(|_| format!("{text:?} is not a duration such as \"5s\", \"100ms\" or \"15m\""))
    }

    /// Writes the text form; [`parse`] gives the same value back.
    pub fn format(value: Duration) -> String {
        humantime::format_duration(value).to_string()
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Serde of a number of bytes as "25MiB".
pub mod size {
    use super::{GIB, KIB, MIB};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Reads the text form; the answer is in bytes.
    ///
    /// # Errors
    /// When the text is no size; the message shows one that is.
    pub fn parse(text: &str) -> Result<u64, String> {
        let error = || format!("{text:?} is not a size such as \"512KiB\", \"25MiB\" or \"1GiB\"");
        // A negative or overflowing number saturates in the crate; say no instead.
        if text.trim_start().starts_with(['-', '+']) {
            return Err(error());
        }
        text.parse::<bytesize::ByteSize>()
            .map(|size| size.as_u64())
            .map_err(|_| error())
    }

    /// Writes the text form in the largest unit that is exact; [`parse`] gives
    /// the same value back.
    pub fn format(bytes: u64) -> String {
        for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
            if bytes >= unit && bytes.is_multiple_of(unit) {
                return format!("{}{name}", bytes / unit);
            }
        }
        format!("{bytes}B")
    }

    pub(crate) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
