//! A zip archive, opened and checked. Goes in: a seekable reader and what may
//! be spent. Comes out: [`Archive`], whose entries are read with their
//! checksum, their size and the limits watched; or a refusal with the entry.
//! Source of the layout: PKWARE's APPNOTE, 4.3.12 (central directory).

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;
use zip::ZipArchive;

use crate::SlimError;
use crate::library::Nested;
use crate::limits::{Budget, SPOOL_IN_MEMORY};

const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const CENTRAL_FIXED: usize = 46;
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const END_FIXED: usize = 22;
/// Of an entry's own header, 4.3.7.
const LOCAL_FIXED: u64 = 30;
/// Stands for a size that is told in an extra field.
const ZIP64_MARK: u64 = 0xffff_ffff;
const ENCRYPTED_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;

/// One entry as the directory tells it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// An archive whose directory is in order.
pub(crate) struct Archive<R> {
    /// The nested jar that this is, to name its entries in errors.
    within: Option<String>,
    pub(crate) zip: ZipArchive<R>,
    pub(crate) entries: Vec<Entry>,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens and checks. `within` is the entry that the archive lies in.
    pub(crate) fn open(
        mut reader: R,
        within: Option<&str>,
        budget: &mut Budget,
    ) -> Result<Self, SlimError> {
        let what = within.unwrap_or("the jar");
        let not_a_zip = |source| SlimError::NotAZip {
            what: what.to_owned(),
            source,
        };
        // The zip crate folds entries of one name into one, so the directory is
        // read once more, by hand, to see them.
        let opened = ZipArchive::new(&mut reader).map(|zip| zip.central_directory_start());
        let start = match opened {
            Ok(start) => start,
            Err(_) if is_split(&mut reader) => {
                return Err(SlimError::MultiDisk {
                    what: what.to_owned(),
                });
            }
            Err(error) => return Err(not_a_zip(Some(error))),
        };
        let mut entries = directory(&mut reader, start, within, budget)?;
        let mut zip = ZipArchive::new(reader).map_err(|error| not_a_zip(Some(error)))?;
        if entries.len() != zip.len() {
            return Err(not_a_zip(None));
        }
        for (index, entry) in entries.iter_mut().enumerate() {
            if entry.size == ZIP64_MARK {
                let file = zip.by_index_raw(index);
                entry.size = file.map_err(|error| not_a_zip(Some(error)))?.size();
            }
        }
        Ok(Self {
            within: within.map(str::to_owned),
            zip,
            entries,
        })
    }

    /// An entry's name as errors tell it: `lib/a.jar!/b.class` in a nested jar.
    pub(crate) fn label(&self, index: usize) -> String {
        let name = &self.entries[index].name;
        match &self.within {
            Some(jar) => format!("{jar}!/{name}"),
            None => name.clone(),
        }
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// Reads one entry into a sink; checks its CRC, its size and the limits.
    pub(crate) fn read_into(
        &mut self,
        index: usize,
        budget: &mut Budget,
        sink: &mut dyn Write,
    ) -> Result<(), SlimError> {
        let name = self.label(index);
        let size = self.entries[index].size;
        let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| SlimError::Corrupt {
            entry: name.clone(),
            source,
        };
        let mut file = self
            .zip
            .by_index(index)
            .map_err(|error| corrupt(error.into()))?;
        let mut held = 0;
        // Not on the heap: one of this size for each class would leave holes between what stays.
        let mut chunk = [0; 16 << 10];
        loop {
            let count = file
                .read(&mut chunk)
                .map_err(|error| corrupt(error.into()))?;
            if count == 0 {
                break;
            }
            held += count as u64;
            budget.unpacked(count as u64, &name)?;
            sink.write_all(&chunk[..count])
                .map_err(|source| SlimError::Spool {
                    entry: name.clone(),
                    source,
                })?;
        }
        if held != size {
            return Err(SlimError::SizeLies {
                entry: name,
                said: size,
                held,
            });
        }
        Ok(())
    }

    /// A small entry whole; none where it is larger than `max`.
    pub(crate) fn read_small(
        &mut self,
        index: usize,
        max: u64,
        budget: &mut Budget,
    ) -> Result<Option<Vec<u8>>, SlimError> {
        if self.entries[index].size > max {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.read_into(index, budget, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// A nested jar, opened; none where it is no zip.
    pub(crate) fn nested(
        &mut self,
        index: usize,
        budget: &mut Budget,
    ) -> Result<Option<Archive<Nested>>, SlimError> {
        let spool = self.spool(index, budget, &mut std::io::sink())?;
        match Archive::open(BufReader::new(spool), Some(&self.label(index)), budget) {
            Ok(jar) => Ok(Some(jar)),
            Err(SlimError::NotAZip { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A nested jar, unpacked to where it can be sought in.
    pub(crate) fn spool(
        &mut self,
        index: usize,
        budget: &mut Budget,
        tee: &mut dyn Write,
    ) -> Result<SpooledTempFile, SlimError> {
        let mut spool = tempfile::spooled_tempfile(SPOOL_IN_MEMORY);
        self.read_into(index, budget, &mut Tee(&mut spool, tee))?;
        spool.rewind().map_err(|source| SlimError::Spool {
            entry: self.label(index),
            source,
        })?;
        Ok(spool)
    }
}

struct Tee<'a>(&'a mut dyn Write, &'a mut dyn Write);

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

/// Whether the end of the directory says that the archive goes on in other files.
fn is_split<R: Read + Seek>(reader: &mut R) -> bool {
    let Ok(length) = reader.seek(SeekFrom::End(0)) else {
        return false;
    };
    let tail = length.min(END_FIXED as u64 + u64::from(u16::MAX));
    let mut bytes = Vec::new();
    if reader.seek(SeekFrom::Start(length - tail)).is_err()
        || reader.take(tail).read_to_end(&mut bytes).is_err()
    {
        return false;
    }
    let end = bytes
        .windows(END_FIXED)
        .rfind(|window| window[..4] == END_SIGNATURE);
    // Its own number, and that of the file in which the directory begins.
    end.is_some_and(|end| end[4..8] != [0; 4] && end[4..8] != [0xff; 4])
}

/// The central directory in its order, each name checked. In a nested jar what
/// is no class may be there twice, as shading does it: the last one counts.
fn directory<R: Read + Seek>(
    reader: &mut R,
    start: u64,
    within: Option<&str>,
    budget: &mut Budget,
) -> Result<Vec<Entry>, SlimError> {
    let what = within.unwrap_or("the jar");
    let label = |name: &str| match within {
        Some(jar) => format!("{jar}!/{name}"),
        None => name.to_owned(),
    };
    let broken = |source: std::io::Error| SlimError::NotAZip {
        what: what.to_owned(),
        source: Some(source.into()),
    };
    reader.seek(SeekFrom::Start(start)).map_err(broken)?;
    let mut reader = BufReader::new(reader);
    let (mut entries, mut seen) = (Vec::<Entry>::new(), BTreeMap::new());
    // Where each entry begins in the file, how many bytes it has there at least, and its name.
    let mut places: Vec<(u64, u64, String)> = Vec::new();
    let mut fixed = [0; CENTRAL_FIXED];
    loop {
        reader.read_exact(&mut fixed[..4]).map_err(broken)?;
        if fixed[..4] != CENTRAL_SIGNATURE {
            check_places(places, start)?;
            return Ok(entries);
        }
        reader.read_exact(&mut fixed[4..]).map_err(broken)?;
        let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 2)) << 16;
        let mut raw = vec![0; usize::from(short(28))];
        reader.read_exact(&mut raw).map_err(broken)?;
        let rest = i64::from(short(30)) + i64::from(short(32));
        reader.seek_relative(rest).map_err(broken)?;

        let name = String::from_utf8(raw).map_err(|error| SlimError::BadName {
            entry: label(&String::from_utf8_lossy(error.as_bytes())),
        })?;
        check_name(&name, &label)?;
        if short(8) & ENCRYPTED_FLAGS != 0 {
            let entry = label(&name);
            return Err(SlimError::Encrypted { entry });
        }
        if !matches!(short(34), 0 | 0xffff) {
            let what = label(&name);
            return Err(SlimError::MultiDisk { what });
        }
        budget.entries(1, what)?;
        let (crc, packed, size, offset) = (long(16), long(20), long(24), long(42));
        if packed != ZIP64_MARK && offset != ZIP64_MARK {
            let least = LOCAL_FIXED + u64::from(short(28)) + packed;
            places.push((offset, least, label(&name)));
        }
        match seen.insert(name.clone(), (entries.len(), crc)) {
            None => entries.push(Entry { name, size }),
            Some((first, other)) if within.is_some() && (crc == other || !is_class(&name)) => {
                entries[first].size = size;
                seen.insert(name, (first, crc));
            }
            Some(_) => {
                let entry = label(&name);
                return Err(SlimError::Duplicate { entry });
            }
        }
    }
}

fn is_class(name: &str) -> bool {
    name.ends_with(".class")
}

/// No entry may reach into the next one, or into the directory at `end`: copied as it is, it would take
/// foreign bytes along; and a small file could unpack to a large one many times over.
fn check_places(mut places: Vec<(u64, u64, String)>, end: u64) -> Result<(), SlimError> {
    places.sort_unstable();
    let next = places.iter().skip(1).map(|(offset, ..)| *offset);
    let next: Vec<u64> = next.chain([end]).collect();
    for ((offset, least, name), next) in places.into_iter().zip(next) {
        if offset.saturating_add(least) > next {
            return Err(SlimError::Overlaps { entry: name });
        }
    }
    Ok(())
}

/// A name must stay in the directory that a base unpacks the jar to. Both
/// slashes part a name, whichever system unpacks it.
fn check_name(name: &str, label: &dyn Fn(&str) -> String) -> Result<(), SlimError> {
    if name.contains('\0') {
        return Err(SlimError::BadName { entry: label(name) });
    }
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if name.is_empty()
        || drive
        || name.starts_with(['/', '\\'])
        || name.split(['/', '\\']).any(|part| part == "..")
    {
        return Err(SlimError::UnsafeName { entry: label(name) });
    }
    Ok(())
}
