//! Signatures of webhooks, compared in constant time.
//!
//! In: headers, the signed bytes, the secret, the time. Out: nothing, or why
//! the delivery is not believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Forge, Headers, HookError, Wire as _};

/// How far a signed time may be from ours, either way. Five minutes is what the
/// Standard Webhooks specification asks for: enough for clocks that are kept by
/// NTP and a slow line, short enough that a caught delivery is soon worthless.
pub const TIMESTAMP_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// How a secret for Standard Webhooks begins; base64 of the key follows.
const WHSEC: &str = "whsec_";

/// Checks that `signed` was sent by someone who knows `secret`.
pub(super) fn verify(
    forge: Forge,
    headers: &Headers,
    signed: &[u8],
    secret: &[u8],
    now: DateTime<Utc>,
) -> Result<(), HookError> {
    // With an empty key anyone can sign.
    if secret.is_empty() {
        return Err(HookError::WrongSignature { forge });
    }
    if forge == Forge::Gitlab {
        return gitlab(headers, signed, secret, now);
    }
    let header = headers
        .get(forge.signature_header())
        .ok_or(HookError::Unsigned { forge })?;
    let digest = match forge {
        Forge::Gitea | Forge::Forgejo => Some(header),
        _ => header.strip_prefix("sha256="),
    };
    match digest {
        Some(digest) if matches_hex(secret, signed, digest) => Ok(()),
        _ => Err(HookError::WrongSignature { forge }),
    }
}

/// GitLab has two forms, and both may come together. The secret tells which
/// one counts: a `whsec_…` is a signing key, all else is a plain token.
fn gitlab(
    headers: &Headers,
    body: &[u8],
    secret: &[u8],
    now: DateTime<Utc>,
) -> Result<(), HookError> {
    let forge = Forge::Gitlab;
    let key = std::str::from_utf8(secret)
        .ok()
        .and_then(|text| text.strip_prefix(WHSEC));
    let Some(key) = key else {
        let token = headers
            .get("X-Gitlab-Token")
            .ok_or(HookError::Unsigned { forge })?;
        return if matches_token(secret, token) {
            Ok(())
        } else {
            Err(HookError::WrongSignature { forge })
        };
    };
    let (Some(id), Some(timestamp), Some(signatures)) = (
        headers.get("webhook-id"),
        headers.get("webhook-timestamp"),
        headers.get("webhook-signature"),
    ) else {
        return Err(HookError::Unsigned { forge });
    };
    let wrong = HookError::WrongSignature { forge };
    let key = STANDARD.decode(key).ok().filter(|key| !key.is_empty());
    let Some(key) = key else { return Err(wrong) };
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    // Several signatures stand side by side while a key is being replaced.
    let known = signatures
        .split_ascii_whitespace()
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter_map(|one| STANDARD.decode(one).ok())
        .any(|one| matches_mac(&key, &signed, &one));
    if !known {
        return Err(wrong);
    }
    // The time is looked at last: it is worth something only once it is signed.
    let at = timestamp
        .parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    match at {
        Some(at) if (now - at).abs() <= TIMESTAMP_TOLERANCE => Ok(()),
        _ => Err(HookError::Stale),
    }
}

// Forges write lower case. Taking one spelling only means that no two
// signatures of one body are good.
fn matches_hex(secret: &[u8], signed: &[u8], digest: &str) -> bool {
    !digest.bytes().any(|b| b.is_ascii_uppercase())
        && hex::decode(digest).is_ok_and(|digest| matches_mac(secret, signed, &digest))
}

fn matches_mac(key: &[u8], signed: &[u8], digest: &[u8]) -> bool {
    // HMAC takes keys of any length; the error cannot happen, and would be a no.
    Hmac::<Sha256>::new_from_slice(key)
        .is_ok_and(|mac| mac.chain_update(signed).verify_slice(digest).is_ok())
}

/// Compares digests, so that not even the secret's length shows in the time.
fn matches_token(secret: &[u8], token: &str) -> bool {
    Sha256::digest(secret)
        .ct_eq(&Sha256::digest(token.as_bytes()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_githubs_documentation_holds() {
        let digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(matches_hex(
            b"It's a Secret to Everybody",
            b"Hello, World!",
            digest
        ));
        assert!(!matches_hex(
            b"It's a Secret to Everybody",
            b"Hello, World?",
            digest
        ));
        assert!(!matches_hex(
            b"It's a secret to everybody",
            b"Hello, World!",
            digest
        ));
    }

    #[test]
    fn a_shortened_digest_does_not_match() {
        let digest = "757107ea0eb2509fc211221cce984b8a";
        assert!(!matches_hex(
            b"It's a Secret to Everybody",
            b"Hello, World!",
            digest
        ));
        assert!(!matches_hex(
            b"It's a Secret to Everybody",
            b"Hello, World!",
            ""
        ));
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert!(matches_token(b"tok", "tok"));
        assert!(!matches_token(b"tok", "to"));
        assert!(!matches_token(b"tok", "tokk"));
    }
}
