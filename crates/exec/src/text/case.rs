//! `text/upper` and `text/lower`.

use super::source::{Cut, Source};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter},
};

pub(super) fn upper(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    // Each character by itself.
    source.each_piece(cx, Cut::Anywhere, |piece| output.push_owned(piece.to_uppercase()))
}

pub(super) fn lower(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    source.each_piece(cx, Cut::Case, |piece| output.push_owned(piece.to_lowercase()))
}
