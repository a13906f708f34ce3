//! A snippet's jar, made in memory.
//!
//! In: class files and the module's name. Out: an ark-biz jar, the same bytes for the same classes.

use std::io::{Cursor, Write as _};

use ferry_ark::{
    MANIFEST_PATH, Manifest,
    manifest::{ManifestError, keys},
};
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::frames::Compiled;

/// There is no pom to take one from; what tells builds apart is stamped behind it.
pub const VERSION: &str = "1.0.0";

/// Why there is no jar.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    /// The manifest.
    #[error("the snippet's manifest")]
    Manifest(#[from] ManifestError),
    /// The archive.
    #[error("the snippet's jar")]
    Zip(#[from] ZipError),
    /// An entry.
    #[error("an entry of the snippet's jar")]
    Io(#[from] std::io::Error),
}

/// Packs it. What is stored and has no time is the same whoever packs it.
///
/// # Errors
/// [`JarError`], for names that a jar cannot hold.
pub fn pack(module: &str, compiled: &Compiled) -> Result<Vec<u8>, JarError> {
    let mut manifest = Manifest::new();
    manifest.set(keys::NAME, module)?;
    manifest.set(keys::VERSION, VERSION)?;
    manifest.set(keys::MAIN_CLASS, &compiled.entry)?;
    let mut bytes = manifest.to_bytes();
    // The line that ends the main section; Java's reader wants it.
    bytes.extend_from_slice(b"\r\n");
    let mut entries: Vec<(String, &[u8])> = compiled
        .classes
        .iter()
        .map(|(name, class)| {
            (
                format!("{}.class", name.replace('.', "/")),
                class.as_slice(),
            )
        })
        .collect();
    entries.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::DEFAULT)
        .unix_permissions(0o644);
    let first = (MANIFEST_PATH.to_owned(), bytes.as_slice());
    for (name, bytes) in std::iter::once(first).chain(entries) {
        zip.start_file(name, options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
