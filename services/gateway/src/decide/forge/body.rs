//! The body of a webhook: JSON as it is, or JSON in the field `payload` of a form.
//!
//! In: headers and raw body. Out: the JSON's bytes, typed values of it, and
//! small checks on what they hold.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::{Forge, Headers, HookError};

const FORM: &str = "application/x-www-form-urlencoded";

/// The longest ref that we take, in bytes. Git itself stops at what a file
/// name can be (255 a part); four parts are more than anyone uses, and a ref is
/// part of event subjects and ids.
const REF_LIMIT: usize = 1024;

/// The JSON of the body, unpacked where it came as a form.
pub(super) fn json<'a>(headers: &Headers, raw: &'a [u8]) -> Result<Cow<'a, [u8]>, HookError> {
    let kind = headers
        .get("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if kind.split(';').next().map(str::trim) != Some(FORM) {
        return Ok(Cow::Borrowed(raw));
    }
    url::form_urlencoded::parse(raw)
        .find(|(name, _)| name == "payload")
        .map(|(_, value)| Cow::Owned(value.into_owned().into_bytes()))
        .ok_or_else(|| HookError::NotJson {
            reason: "the form has no field payload".to_owned(),
        })
}

/// A typed look at the body before its signature is checked.
pub(super) fn peek<T: DeserializeOwned>(json: &[u8]) -> Result<Option<T>, HookError> {
    use serde_json::error::Category;
    match serde_json::from_slice(json) {
        Ok(value) => Ok(Some(value)),
        // JSON of another shape: there is no repository to be found in it.
        Err(error) if error.classify() == Category::Data => {
            // The parser stops at the first wrong field: what follows may be no JSON.
            serde_json::from_slice::<serde::de::IgnoredAny>(json)
                .map(|_| None)
                .map_err(|error| HookError::NotJson {
                    reason: error.to_string(),
                })
        }
        Err(error) => Err(HookError::NotJson {
            reason: error.to_string(),
        }),
    }
}

/// The verified body as the forge's push.
pub(super) fn push<T: DeserializeOwned>(forge: Forge, json: &[u8]) -> Result<T, HookError> {
    serde_json::from_slice(json).map_err(|error| HookError::NotAPush {
        forge,
        reason: error.to_string(),
    })
}

/// What a full ref points into.
pub(super) enum Ref<'a> {
    Branch(&'a str),
    Tag,
    Other,
}

/// Sorts a full ref. Branch names are checked as `git check-ref-format` would.
pub(super) fn full_ref(forge: Forge, name: &str) -> Result<Ref<'_>, HookError> {
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        return if is_ref_name(branch) && name.len() <= REF_LIMIT {
            Ok(Ref::Branch(branch))
        } else {
            let shown: String = branch.chars().take(80).collect();
            Err(HookError::NotAPush {
                forge,
                reason: format!("{shown:?} is no branch name"),
            })
        };
    }
    Ok(if name.starts_with("refs/tags/") {
        Ref::Tag
    } else {
        Ref::Other
    })
}

/// The rules of git's `check-ref-format`, which allow `$(x)` and `--option`:
/// nothing here makes a name safe for a shell or a command line.
fn is_ref_name(name: &str) -> bool {
    !name.is_empty()
        && name != "@"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name
            .chars()
            .any(|c| c.is_ascii_control() || " ~^:?*[\\".contains(c))
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// A commit id: 40 hex digits, or 64 in a SHA-256 repository; in lower case.
pub(super) fn commit_id(forge: Forge, field: &str, value: &str) -> Result<String, HookError> {
    let good = matches!(value.len(), 40 | 64) && value.bytes().all(|b| b.is_ascii_hexdigit());
    if good {
        return Ok(value.to_ascii_lowercase());
    }
    let shown: String = value.chars().take(80).collect();
    Err(HookError::NotAPush {
        forge,
        reason: format!("{field} is no commit id: {shown:?}"),
    })
}

/// The all-zero id that stands for "no commit" when a branch begins or ends.
pub(super) fn is_zero(id: &str) -> bool {
    id.bytes().all(|b| b == b'0')
}
