//! `text/hash`.

use std::{fmt::Write, str::FromStr};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{context::TaskContext, handler::HandlerError, limits::CHECK_BYTES};

#[derive(Clone, Copy, Default)]
enum Algorithm {
    #[default]
    Blake3,
    Sha256,
}

#[derive(Debug, thiserror::Error)]
#[error("blake3 or sha256")]
struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "blake3" => Ok(Self::Blake3),
            "sha256" => Ok(Self::Sha256),
            _ => Err(UnknownAlgorithm),
        }
    }
}

pub(super) fn hash(cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    match cx.param("algorithm")?.unwrap_or_default() {
        Algorithm::Blake3 => {
            let mut hasher = blake3::Hasher::new();
            each_chunk(cx, input, |chunk| {
                hasher.update(chunk);
            })?;
            Ok(hex(hasher.finalize().as_bytes()))
        }
        Algorithm::Sha256 => {
            let mut hasher = Sha256::new();
            each_chunk(cx, input, |chunk| hasher.update(chunk))?;
            Ok(hex(&hasher.finalize()))
        }
    }
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
