//! Tables of classes within JSON. Goes in: [`Shapes`]. Comes out: a text, some
//! fifth of their size: their bytes, deflated, in base 64.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferry_link::Shapes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// The classes of a base take 10 MB; more than this is none of Ferry's making.
const MAX_TABLE: u64 = 512 << 20;

pub(crate) fn serialize<S: Serializer>(shapes: &Shapes, serializer: S) -> Result<S::Ok, S::Error> {
    // Written down so that another default of the crate does not change the bytes.
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(6));
    packed
        .write_all(&shapes.to_bytes())
        .and_then(|()| packed.finish())
        .map_err(serde::ser::Error::custom)
        .and_then(|bytes| serializer.serialize_str(&STANDARD.encode(bytes)))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shapes, D::Error> {
    let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    let packed = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed.as_slice())
        .take(MAX_TABLE)
        .read_to_end(&mut bytes)
        .map_err(D::Error::custom)?;
    Shapes::from_bytes(&bytes).ok_or_else(|| D::Error::custom("the table of classes is damaged"))
}
