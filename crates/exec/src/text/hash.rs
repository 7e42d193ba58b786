//! `text/hash`.

use std::{borrow::Cow, fmt::Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    context::TaskContext,
    handler::{HandlerError, ParamKind, ParamSpec},
    limits::CHECK_BYTES,
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

pub(super) fn hash(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    let algorithm: String = cx.value(&ALGORITHM)?;
    if algorithm == SHA256 {
        let mut hasher = Sha256::new();
        each_chunk(cx, input, |chunk| hasher.update(chunk))?;
        return Ok(hex(&hasher.finalize()));
    }
    let mut hasher = blake3::Hasher::new();
    each_chunk(cx, input, |chunk| {
        hasher.update(chunk);
    })?;
    Ok(hex(hasher.finalize().as_bytes()))
}

fn each_chunk(
    cx: &TaskContext,
    input: &[u8],
    mut f: impl FnMut(&[u8]),
) -> Result<(), HandlerError> {
    for chunk in input.chunks(CHECK_BYTES) {
        cx.ensure_running()?;
        f(chunk);
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> Bytes {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a String does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text.into()
}
