//! Large records, compressed: a message holds at most 1 MiB, and a fleet's plan is written often.
//!
//! In: a payload. Out: the same one, or where it is large its Zstandard frame (RFC 8878), which no JSON begins
//! like. Events are never packed: anybody may read them.

use std::io::Read;

use bytes::Bytes;

use crate::BusError;

/// Payloads from so many bytes on are packed: smaller ones are quick to send and easy to read with any tool.
const FROM: usize = 32 << 10;
/// What a record has unpacked at most, in bytes: some hundred times of what the largest fleet needs.
const MOST: u64 = 256 << 20;
/// How a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The fastest of the levels that are no trade against size.
const LEVEL: i32 = 1;

/// A payload as it goes over the wire.
pub(crate) fn pack(payload: Bytes) -> Bytes {
    if payload.len() < FROM {
        return payload;
    }
    match zstd::bulk::compress(&payload, LEVEL) {
        Ok(packed) if packed.len() < payload.len() => packed.into(),
        _ => payload,
    }
}

/// A payload as it was before it was packed, if it was.
///
/// # Errors
/// [`BusError::Damaged`]: the frame is broken, or holds more than any record has.
pub(crate) fn unpack(payload: Bytes) -> Result<Bytes, BusError> {
    if !payload.starts_with(&MAGIC) {
        return Ok(payload);
    }
    let damaged = |why: String| BusError::Damaged(format!("a packed record: {why}"));
    let mut whole = Vec::new();
    zstd::Decoder::new(payload.as_ref())
        .and_then(|frame| frame.take(MOST + 1).read_to_end(&mut whole))
        .map_err(|error| damaged(error.to_string()))?;
    if whole.len() as u64 > MOST {
        return Err(damaged(format!("it holds more than {MOST} bytes")));
    }
    Ok(whole.into())
}
