//! What the formats of texts mean: durations, sizes, globs, addresses, names,
//! paths, references to secrets.
//! In: a text and its shape. Out: the text as it is kept, or what is wrong.

use std::path::Path;

use url::Url;

use super::clone::clone_rule;
use super::shape::{Shape, Text};
use super::walk::absolute;
use crate::calendar;
use crate::secret::SecretRef;
use crate::template;
use crate::text::{NAME_MAX, duration, is_name, size};

/// Checks a text; the answer is what is kept of it.
pub(super) fn check(text: &str, shape: &Text, folder: &Path) -> Result<String, String> {
    let kept = || text.to_owned();
    match shape.format.as_deref() {
        None => Ok(kept()),
        Some("name") => {
            if is_name(text) {
                Ok(kept())
            } else {
                Err(not_a_name(text))
            }
        }
        Some("duration") => {
            let value = duration::parse(text)?;
            let limit = |text: &String| duration::parse(text).expect("a limit of the schema");
            let low = shape
                .least
                .as_ref()
                .is_some_and(|least| value < limit(least));
            let high = shape.most.as_ref().is_some_and(|most| value > limit(most));
            in_range(text, shape, low || high)
        }
        Some("size") => {
            let value = size::parse(text)?;
            let limit = |text: &String| size::parse(text).expect("a limit of the schema");
            let low = shape
                .least
                .as_ref()
                .is_some_and(|least| value < limit(least));
            let high = shape.most.as_ref().is_some_and(|most| value > limit(most));
            in_range(text, shape, low || high)
        }
        Some("glob") => {
            if text.is_empty() {
                return Err("an empty glob matches nothing".to_owned());
            }
            crate::glob(text)
                .map(|_| kept())
                .map_err(|error| format!("{text:?} is not a glob: {}", error.kind()))
        }
        Some("path") => filled_path(text).map(|()| absolute(folder, text).display().to_string()),
        Some("secret-reference") => {
            let reference: SecretRef = text
                .parse()
                .map_err(|error: crate::SecretError| error.to_string())?;
            Ok(match reference {
                SecretRef::File(path) => {
                    SecretRef::File(absolute(folder, &path.to_string_lossy())).to_string()
                }
                SecretRef::Env(_) => kept(),
            })
        }
        Some("socket-address") => match text.parse::<std::net::SocketAddr>() {
            Ok(_) => Ok(kept()),
            Err(_) => Err(format!(
                "{text:?} is not an IP address with a port, such as \"127.0.0.1:8900\" or \"[::]:8900\""
            )),
        },
        Some("http-url") => http_url(text).map(|()| kept()),
        Some("url-template") => template::check(text).map(|()| kept()),
        Some("regex-template") => template::check_regex(text).map(|()| kept()),
        Some("content-type") => {
            let part = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
            };
            match text.split_once('/') {
                Some((kind, rest)) if part(kind) && part(rest) => Ok(kept()),
                _ => Err(format!(
                    "{text:?} is not the type of a body, such as \"application/json\""
                )),
            }
        }
        Some("header-name") => {
            let plain =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if plain {
                Ok(kept())
            } else {
                Err(format!(
                    "{text:?} is not the name of a header, such as \"authorization\""
                ))
            }
        }
        Some("bus-url") => bus_url(text).map(|()| kept()),
        Some("http-path") => {
            let plain = text.starts_with('/')
                && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
            if plain {
                Ok(kept())
            } else {
                Err(format!(
                    "{text:?} is not a path of an address, such as \"/hello/\""
                ))
            }
        }
        Some("repository-path") => repository_path(text).map(|()| kept()),
        Some("cron") => calendar::cron(text).map(|_| kept()),
        Some("time-zone") => calendar::time_zone(text).map(|_| kept()),
        Some("local-time") => calendar::local_time(text).map(|_| kept()),
        Some("decimal") => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(kept()),
            _ => Err(format!("{text:?} is not a number such as \"0.01\"")),
        },
        Some("approver") => {
            if is_name(text.strip_prefix("team:").unwrap_or(text)) {
                Ok(kept())
            } else {
                Err(format!(
                    "{text:?} is neither the name of a token nor a team as \"team:core\""
                ))
            }
        }
        Some("token-hash") => {
            let digits = text.strip_prefix("sha256:").unwrap_or("");
            let hex = digits.len() == 64
                && digits
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            // What was written may be the token itself, so it is not repeated.
            if hex {
                Ok(kept())
            } else {
                Err(
                    "must be \"sha256:\" and the 64 lower-case hex digits of the token's SHA-256"
                        .to_owned(),
                )
            }
        }
        Some("clone-rule") => clone_rule(text).map(|()| kept()),
        // Whether it is allowed needs `builder.allow_clone`: see `meaning`.
        Some("clone-url") => Ok(kept()),
        Some(other) => unreachable!("the format {other} has no check"),
    }
}

/// What a shape takes, as said to people.
pub(super) fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Table { .. } | Shape::Names(_) => "a table",
        Shape::List { .. } => "a list",
        Shape::Number { .. } => "a whole number",
        Shape::Amount => "a whole number, or a part in quotes, such as \"25%\"",
        Shape::Flag => "true or false",
        Shape::Choice(_) => "a text",
        Shape::Text(text) => match text.format.as_deref() {
            Some("duration") => "a duration in quotes, such as \"5s\"",
            Some("size") => "a size in quotes, such as \"25MiB\"",
            _ => "a text",
        },
    }
}

/// Why this is no name.
pub(super) fn not_a_name(text: &str) -> String {
    format!(
        "{text:?} is not a name: 1 to {NAME_MAX} of the lower-case letters a-z, digits and \"-\""
    )
}

fn in_range(text: &str, shape: &Text, out: bool) -> Result<String, String> {
    if !out {
        return Ok(text.to_owned());
    }
    Err(match (&shape.least, &shape.most) {
        (Some(least), Some(most)) => {
            format!("{text:?} is out of range, must be from {least:?} to {most:?}")
        }
        (Some(least), None) => format!("{text:?} is out of range, must be at least {least:?}"),
        (_, most) => {
            let most = most.as_deref().unwrap_or_default();
            format!("{text:?} is out of range, must be at most {most:?}")
        }
    })
}

fn filled_path(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('\0') {
        return Err("is not the path of a file or folder".to_owned());
    }
    Ok(())
}

fn repository_path(text: &str) -> Result<(), String> {
    let inside = !text.is_empty()
        && !text.starts_with(['/', '-'])
        && !text.contains(|c: char| c.is_control() || c == '\\')
        && text.split('/').all(|part| part != "..");
    if inside {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a folder inside the repository, such as \".\" or \"modules/hello\""
    ))
}

fn http_url(text: &str) -> Result<(), String> {
    let example = "such as \"http://127.0.0.1:8080\"";
    let url = Url::parse(text)
        .map_err(|error| format!("{text:?} is not an address {example}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{text:?} must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address here must not hold a user or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} must end before \"?\" and \"#\""));
    }
    Ok(())
}

fn bus_url(text: &str) -> Result<(), String> {
    for one in text.split(',') {
        let one = one.trim();
        let url = Url::parse(one).map_err(|error| {
            format!("{one:?} is not an address such as \"nats://127.0.0.1:4222\": {error}")
        })?;
        if !matches!(url.scheme(), "nats" | "tls" | "ws" | "wss") {
            return Err(format!(
                "{one:?} must begin with nats://, tls://, ws:// or wss://"
            ));
        }
        if !url.has_host() {
            return Err(format!("{one:?} names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "credentials of the bus are each service's own and do not stand here".to_owned(),
            );
        }
    }
    Ok(())
}
