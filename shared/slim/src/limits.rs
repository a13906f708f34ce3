//! How much of a jar is read before it is refused. Goes in: [`Limits`] and
//! what each step reads. Comes out: an error at the entry that crosses one.

use crate::SlimError;

/// What one jar may cost. Both count nested jars too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the jar and of all jars nested in it.
    pub max_entries: u64,
    /// Bytes, uncompressed, of all that is read.
    pub max_unpacked: u64,
}

/// A fat module of 25 MB has 16,000 entries and a base of 54 MB 27,000, so this
/// is four times what a module of 200 MB needs. Their names take some 50 MB of
/// memory.
pub const MAX_ENTRIES: u64 = 500_000;

/// A fat module of 200 MB reads 0.4 GB of nested jars (looked into, then
/// hashed) and 0.5 GB of what is in them: this is four times that. A zip bomb
/// is stopped here.
pub const MAX_UNPACKED: u64 = 4 << 30;

/// The manifest of a module that declares 1,000 libraries has 30 KB; anything
/// near this is no manifest.
pub(crate) const MAX_MANIFEST: u64 = 1 << 20;

/// Nested jars larger than this go to a temporary file, not to memory. Of the
/// 114 libraries of a base one is larger.
pub(crate) const SPOOL_IN_MEMORY: usize = 8 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: MAX_ENTRIES,
            max_unpacked: MAX_UNPACKED,
        }
    }
}

/// What is left of the limits while one jar is read.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    entries: u64,
    unpacked: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: 0,
            unpacked: 0,
        }
    }

    pub(crate) fn entries(&mut self, count: u64, entry: &str) -> Result<(), SlimError> {
        self.entries = self.entries.saturating_add(count);
        if self.entries > self.limits.max_entries {
            return Err(SlimError::TooManyEntries {
                entry: entry.to_owned(),
                limit: self.limits.max_entries,
            });
        }
        Ok(())
    }

    pub(crate) fn unpacked(&mut self, bytes: u64, entry: &str) -> Result<(), SlimError> {
        self.unpacked = self.unpacked.saturating_add(bytes);
        if self.unpacked > self.limits.max_unpacked {
            return Err(SlimError::TooLarge {
                entry: entry.to_owned(),
                limit: self.limits.max_unpacked,
            });
        }
        Ok(())
    }
}
