//! Writes the slimmed jar. Goes in: the packaged archive, what stays, the new
//! manifest. Comes out: a jar with the same entries in the same order, their
//! compressed bytes copied as they are; the same input gives the same bytes.

use std::io::{Read, Seek, Write};

use ferry_ark::MANIFEST_PATH;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::SlimError;
use crate::archive::Archive;
use crate::shake::Instead;

/// zlib's own default. Written down so that another default of the crate does
/// not change the bytes.
const MANIFEST_LEVEL: i64 = 6;

/// What went wrong, and on which side.
pub(crate) enum Failed {
    Reading(SlimError),
    Writing(std::io::Error),
}

/// Copies what stays, in order; puts `manifest` in the old one's place, and
/// others in the place of those that they are named after.
pub(crate) fn rewrite<R: Read + Seek, W: Write + Seek>(
    archive: &mut Archive<R>,
    stays: &dyn Fn(&str) -> bool,
    manifest: &[u8],
    instead: &Instead,
    output: W,
) -> Result<W, Failed> {
    let writing = |error: zip::result::ZipError| Failed::Writing(error.into());
    let mut writer = ZipWriter::new(output);
    writer
        .set_raw_comment(archive.zip.comment().into())
        .map_err(writing)?;
    for index in 0..archive.entries.len() {
        let entry = archive.entries[index].clone();
        if !stays(&entry.name) {
            continue;
        }
        let file = archive.zip.by_index_raw(index).map_err(|error| {
            Failed::Reading(SlimError::Corrupt {
                entry: entry.name.clone(),
                source: error.into(),
            })
        })?;
        // The crate may put the clock's time where it finds none.
        let time = file
            .last_modified()
            .filter(DateTime::is_valid)
            .unwrap_or_default();
        if let Some(bytes) = instead.get(&entry.name) {
            let options = SimpleFileOptions::default()
                .last_modified_time(time)
                .compression_method(CompressionMethod::Stored);
            writer.start_file(&entry.name, options).map_err(writing)?;
            writer.write_all(bytes).map_err(Failed::Writing)?;
        } else if entry.name == MANIFEST_PATH {
            let options = SimpleFileOptions::default().last_modified_time(time);
            let options = match file.compression() {
                CompressionMethod::Stored => options.compression_method(CompressionMethod::Stored),
                _ => options
                    .compression_method(CompressionMethod::Deflated)
                    .compression_level(Some(MANIFEST_LEVEL)),
            };
            writer.start_file(&entry.name, options).map_err(writing)?;
            writer.write_all(manifest).map_err(Failed::Writing)?;
        } else if file.name() == entry.name {
            let mode = file.unix_mode();
            writer
                .raw_copy_file_touch(file, time, mode)
                .map_err(writing)?;
        } else {
            // UTF-8 without the flag that says so: Java reads it as UTF-8, the
            // crate as CP437. The name goes out with the flag.
            writer
                .raw_copy_file_rename(file, &entry.name)
                .map_err(writing)?;
        }
    }
    writer.finish().map_err(writing)
}
