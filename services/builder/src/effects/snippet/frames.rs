//! What is said to the compiler's JVM and what it answers: see `SnippetCompiler.java`.
//!
//! In: sources, a class path. Out: a request's bytes; of a reply's bytes a [`Reply`].

use std::path::Path;

/// A file to compile.
#[derive(Debug, Clone)]
pub struct Source {
    /// Below the repository's root.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// What the compiler says.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// It compiled.
    Done(Compiled),
    /// The sources are wrong there.
    Wrong(Vec<Told>),
    /// The entry does not compile against this base, which lacks what it needs.
    NoEntry(Vec<Told>),
    /// The compiler itself failed.
    Broken(String),
}

/// Class files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// The entry's class; empty where nothing is to be registered.
    pub entry: String,
    /// Classes that it makes and registers.
    pub services: Vec<String>,
    /// Classes that it cannot make though they implement an interface of the base, each with why.
    pub left_out: Vec<String>,
    /// Each class's name, with dots, and its file.
    pub classes: Vec<(String, Vec<u8>)>,
}

/// An error of the compiler.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// The source's path; empty where it is none of them.
    pub file: String,
    /// Counted from 1; 0: nowhere.
    pub at: (u32, u32),
    /// What it says, in one or several lines.
    pub message: String,
}

/// The bytes that are no reply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the compiler's reply ends where more has to come")]
pub struct Short;

/// A request.
pub fn request(
    release: u16,
    class_path: impl Iterator<Item = impl AsRef<Path>>,
    entry: &str,
    sources: &[Source],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    text(&mut bytes, &release.to_string());
    let class_path: Vec<String> = class_path
        .map(|one| one.as_ref().to_string_lossy().into_owned())
        .collect();
    count(&mut bytes, class_path.len());
    for one in &class_path {
        text(&mut bytes, one);
    }
    text(&mut bytes, entry);
    count(&mut bytes, sources.len());
    for source in sources {
        text(&mut bytes, &source.path);
        text(&mut bytes, &source.text);
    }
    bytes
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    // Java reads it as signed; all of these are bounded far below.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads a reply.
///
/// # Errors
/// [`Short`] for other bytes.
pub fn reply(bytes: &[u8]) -> Result<Reply, Short> {
    let (kind, rest) = bytes.split_first().ok_or(Short)?;
    let mut reader = Reader(rest);
    match kind {
        0 => Ok(Reply::Done(Compiled {
            entry: reader.text()?,
            services: reader.list(Reader::text)?,
            left_out: reader.list(Reader::text)?,
            classes: reader.list(|it| Ok((it.text()?, it.bytes()?.to_vec())))?,
        })),
        1 => Ok(Reply::Wrong(reader.list(Reader::told)?)),
        2 => Ok(Reply::NoEntry(reader.list(Reader::told)?)),
        3 => Ok(Reply::Broken(reader.text()?)),
        _ => Err(Short),
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Result<u32, Short> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(Short)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Result<&[u8], Short> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, Short> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn told(&mut self) -> Result<Told, Short> {
        Ok(Told {
            file: self.text()?,
            at: (self.number()?, self.number()?),
            message: self.text()?,
        })
    }

    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Short>) -> Result<Vec<T>, Short> {
        let count = self.number()?;
        (0..count).map(|_| one(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_are_too_much(
            kind in 0u8..5,
            bytes in prop::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 0..80),
        ) {
            // Whatever a compiler says that somebody else got hold of, reading it ends.
            let all: Vec<u8> = [kind].into_iter().chain(bytes).collect();
            let _ = reply(&all);
        }
    }
}
