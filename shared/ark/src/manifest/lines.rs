//! Lines of a manifest: splitting, unfolding, folding at 72 bytes. Goes in:
//! bytes. Comes out: one [`Line`] an attribute, with the bytes it came from.

use super::{KEY_MAX_BYTES, LINE_MAX_BYTES, ManifestError};

/// An attribute with its continuations, or a blank line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    raw: Vec<u8>,
    pair: Option<(String, String)>,
}

impl Line {
    pub(super) fn attribute(key: &str, value: &str, newline: &str) -> Self {
        Self {
            raw: fold(key, value, newline),
            pair: Some((key.to_owned(), value.to_owned())),
        }
    }

    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(super) fn is_attribute(&self) -> bool {
        self.pair.is_some()
    }

    pub(super) fn pair(&self) -> Option<(&str, &str)> {
        self.pair
            .as_ref()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.pair().map(|(key, _)| key)
    }

    pub(super) fn value(&self) -> Option<&str> {
        self.pair().map(|(_, value)| value)
    }

    pub(super) fn is_key(&self, wanted: &str) -> bool {
        self.key()
            .is_some_and(|key| key.eq_ignore_ascii_case(wanted))
    }

    /// Gives the last line of a file the break that it may lack.
    pub(super) fn end_with(&mut self, newline: &str) {
        if !matches!(self.raw.last(), Some(b'\n' | b'\r')) {
            self.raw.extend_from_slice(newline.as_bytes());
        }
    }
}

/// Splits a file into attributes and blank lines; also tells its line break.
pub(super) fn split(bytes: &[u8]) -> Result<(Vec<Line>, &'static str), ManifestError> {
    let mut lines: Vec<Line> = Vec::new();
    // Folding may cut inside a character, so values are joined as bytes first.
    let mut value: Vec<u8> = Vec::new();
    let mut newline = None;
    for (index, (text, ending)) in Physical(bytes).enumerate() {
        newline = newline.or(match ending {
            b"\r\n" => Some("\r\n"),
            b"\n" => Some("\n"),
            b"\r" => Some("\r"),
            _ => None,
        });
        let refuse = || ManifestError::NotAManifest {
            line: index + 1,
            found: String::from_utf8_lossy(text).chars().take(60).collect(),
        };
        if text.is_empty() {
            lines.push(Line {
                raw: ending.to_vec(),
                pair: None,
            });
        } else if let Some(rest) = text.strip_prefix(b" ") {
            let open = lines.last_mut().ok_or_else(refuse)?;
            let pair = open.pair.as_mut().ok_or_else(refuse)?;
            value.extend_from_slice(rest);
            pair.1 = String::from_utf8_lossy(&value).into_owned();
            open.raw.extend_from_slice(text);
            open.raw.extend_from_slice(ending);
        } else {
            let colon = text
                .windows(2)
                .position(|two| two == b": ")
                .ok_or_else(refuse)?;
            let key = std::str::from_utf8(&text[..colon]).map_err(|_| refuse())?;
            if !key_is_legal(key) {
                return Err(refuse());
            }
            value = text[colon + 2..].to_vec();
            lines.push(Line {
                raw: [text, ending].concat(),
                pair: Some((key.to_owned(), String::from_utf8_lossy(&value).into_owned())),
            });
        }
    }
    Ok((lines, newline.unwrap_or("\r\n")))
}

/// Refuses what would not come back the same when read again.
pub(super) fn check(key: &str, value: &str) -> Result<(), ManifestError> {
    if !key_is_legal(key) {
        return Err(ManifestError::BadKey {
            key: key.to_owned(),
        });
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(ManifestError::BadValue {
            key: key.to_owned(),
        });
    }
    Ok(())
}

fn key_is_legal(key: &str) -> bool {
    key.len() <= KEY_MAX_BYTES
        && key.starts_with(|first: char| first.is_ascii_alphanumeric())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// One attribute as lines of at most 72 bytes, never cut inside a character.
fn fold(key: &str, value: &str, newline: &str) -> Vec<u8> {
    let whole = format!("{key}: {value}");
    let mut rest = whole.as_str();
    let mut folded = Vec::with_capacity(whole.len() + 3 * (whole.len() / LINE_MAX_BYTES + 1));
    let mut room = LINE_MAX_BYTES;
    loop {
        let cut = (0..=room.min(rest.len()))
            .rev()
            .find(|&at| rest.is_char_boundary(at))
            .unwrap_or(0);
        folded.extend_from_slice(&rest.as_bytes()[..cut]);
        folded.extend_from_slice(newline.as_bytes());
        rest = &rest[cut..];
        if rest.is_empty() {
            return folded;
        }
        folded.push(b' ');
        room = LINE_MAX_BYTES - 1;
    }
}

/// Lines as they stand in the file, each with its line break.
struct Physical<'a>(&'a [u8]);

impl<'a> Iterator for Physical<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let text = self
            .0
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .unwrap_or(self.0.len());
        let ending = match &self.0[text..] {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (line, rest) = self.0.split_at(text + ending);
        self.0 = rest;
        Some(line.split_at(text))
    }
}
