//! Signatures taken out of what a base says: a failed download quotes the whole URL.

/// The text, with what follows each `signature=` hidden.
pub(super) fn redact(text: &str) -> String {
    const KEY: &str = "signature=";
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(KEY) {
        let (before, after) = rest.split_at(at + KEY.len());
        clean.push_str(before);
        clean.push('…');
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn a_signature_does_not_come_through() {
        let quoted =
            "code: 409 for URL: http://ferry.example/a.jar?task=1&signature=0a9f&x=1 signature=ff";
        assert_eq!(
            redact(quoted),
            "code: 409 for URL: http://ferry.example/a.jar?task=1&signature=…&x=1 signature=…"
        );
        assert_eq!(redact("nothing"), "nothing");
    }
}
