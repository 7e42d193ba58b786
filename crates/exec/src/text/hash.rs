//! `text/hash`.

use std::{borrow::Cow, fmt::Write};

use sha2::{Digest, Sha256};

use super::source::Source;
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
};

const BLAKE3: &str = "blake3";
const SHA256: &str = "sha256";
const ALGORITHM: ParamSpec = ParamSpec::with_default(
    "algorithm",
    ParamKind::Choice { of: Cow::Borrowed(&[Cow::Borrowed(BLAKE3), Cow::Borrowed(SHA256)]) },
    BLAKE3,
    "how to hash",
);
pub(super) const PARAMS: &[ParamSpec] = &[ALGORITHM];

pub(super) fn hash(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let algorithm: String = cx.value(&ALGORITHM)?;
    if algorithm == SHA256 {
        let mut hasher = Sha256::new();
        source.each_chunk(cx, |chunk| hasher.update(chunk))?;
        return output.push_owned(hex(&hasher.finalize()));
    }
    let mut hasher = blake3::Hasher::new();
    source.each_chunk(cx, |chunk| {
        hasher.update(chunk);
    })?;
    output.push_owned(hex(hasher.finalize().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a String does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}
