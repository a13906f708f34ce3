//! Names as subject tokens.
//!
//! In: any text. Out: a token of `[a-z0-9-]{1,63}` that NATS takes in a subject. Names that are
//! tokens already stay as they are; others are made readable and told apart by a digest.

use crate::ids::Digest;

/// Longest token. DNS labels have the same bound, so that a name can serve as a host name too.
pub const TOKEN_MAX: usize = 63;

/// Whether a name can stand in a subject as it is.
pub fn is_token(name: &str) -> bool {
    (1..=TOKEN_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The token for a name: itself, or its readable part and `--` and twelve digits of its digest.
pub fn token(name: &str) -> String {
    if is_token(name) && !name.contains("--") {
        return name.to_owned();
    }
    let readable: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .take(TOKEN_MAX - 14)
        .collect();
    format!(
        "{}--{}",
        readable.trim_matches('-').replace("--", "-"),
        Digest::of(name.as_bytes()).short()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_becomes_a_token(name in ".{0,200}") {
            prop_assert!(is_token(&token(&name)), "{}", token(&name));
        }

        #[test]
        fn different_names_have_different_tokens(a in "[a-zA-Z/.-]{1,70}", b in "[a-zA-Z/.-]{1,70}") {
            prop_assume!(a != b);
            prop_assert_ne!(token(&a), token(&b));
        }
    }

    #[test]
    fn a_plain_name_stays() {
        assert_eq!(token("hello-2"), "hello-2");
        assert!(token("feature/Login").starts_with("feature-login--"));
    }
}
