//! Jars without Maven. In: a module at a commit. Out: the bytes of a module that behaves as the commit says.

use ferry_fake_base::FakeJar;

use crate::script::Quality;

/// What starting a slow module takes, in milliseconds: less than the limit of an installation.
const SLOW_MS: u64 = 6_000;

/// A module's jar. Two builds of one commit may differ: `salt` tells them apart.
pub fn jar(module: &str, version: &str, quality: Quality, salt: &str) -> Vec<u8> {
    let jar = FakeJar::new(module, version)
        .web(&format!("/{module}"))
        .entry("salt", salt.as_bytes());
    let jar = match quality {
        Quality::NoStart => jar.start_fails("java.lang.IllegalStateException: as the commit says"),
        Quality::Answers500 => jar.answers("/", 500, "as the commit says"),
        Quality::Slow => jar.install_ms(SLOW_MS),
        Quality::Good | Quality::NoCompile => jar.install_ms(20),
    };
    jar.bytes()
}

/// Writes a jar where it can be stored from, and gives its digest and size.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(
    folder: &std::path::Path,
    bytes: &[u8],
) -> std::io::Result<(ferry_events::Digest, u64, std::path::PathBuf)> {
    let digest = ferry_events::Digest::of(bytes);
    let path = folder.join(format!("{digest}.jar"));
    std::fs::write(&path, bytes)?;
    Ok((digest, bytes.len() as u64, path))
}
