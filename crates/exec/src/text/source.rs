//! The text of an input: bytes in memory as one piece, a stream as many.
//!
//! A stream is cut only where the cut changes no result; see [`Cut`]. So an operation that adds up
//! what it finds in each piece gives the same result for both.

use std::io::{self, Read, Seek};

use crate::{
    context::TaskContext,
    handler::HandlerError,
    limits::{CHECK_BYTES, HANDLER_INPUT, LINE_BYTES, PIECE_BYTES},
};

mod cut;
#[cfg(test)]
mod tests;

pub(super) use self::cut::Cut;

/// A stream that can be read again.
pub(super) trait Stream: Read + Seek {}

impl<T: Read + Seek> Stream for T {}

/// The input of an operation.
pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    Stream {
        stream: &'a mut dyn Stream,
        /// Its size in bytes.
        size: u64,
        bounds: Bounds,
    },
}

/// How much of a stream is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a piece, if it can be cut there.
    pub(super) piece: usize,
    /// Maximum bytes of a piece.
    pub(super) longest: usize,
}

impl Bounds {
    /// The bounds for inputs of tasks.
    pub(super) const OF_INPUTS: Self = Self { piece: PIECE_BYTES, longest: LINE_BYTES };
}

impl Source<'_> {
    /// Calls `f` with each piece of the text, from the first on; a text in memory is one piece. Stops
    /// when the attempt is cancelled.
    ///
    /// # Errors
    ///
    /// The text is not UTF-8, has nowhere to be cut within the bound, or cannot be read; or the
    /// error of `f`. An error in the middle of a stream comes after the calls for earlier pieces.
    pub(super) fn each_piece(
        &mut self,
        cx: &TaskContext,
        cut: Cut,
        mut f: impl FnMut(&str) -> Result<(), HandlerError>,
    ) -> Result<(), HandlerError> {
        cx.ensure_running()?;
        match self {
            Self::Bytes(bytes) => f(str::from_utf8(bytes)?),
            Self::Stream { stream, bounds, .. } => {
                stream.rewind()?;
                let mut pieces = Pieces::new(*stream, cut, *bounds);
                while let Some(text) = pieces.next()? {
                    f(text)?;
                    cx.ensure_running()?;
                }
                Ok(())
            }
        }
    }

    /// Calls `f` with all bytes, a chunk at a time. Stops when the attempt is cancelled.
    ///
    /// # Errors
    ///
    /// The input cannot be read.
    pub(super) fn each_chunk(
        &mut self,
        cx: &TaskContext,
        mut f: impl FnMut(&[u8]),
    ) -> Result<(), HandlerError> {
        match self {
            Self::Bytes(bytes) => {
                for chunk in bytes.chunks(CHECK_BYTES) {
                    cx.ensure_running()?;
                    f(chunk);
                }
                Ok(())
            }
            Self::Stream { stream, bounds, .. } => {
                stream.rewind()?;
                let mut buffer = vec![0; bounds.piece];
                loop {
                    cx.ensure_running()?;
                    let read = fill(*stream, &mut buffer)?;
                    f(buffer.get(..read).unwrap_or_default());
                    if read < buffer.len() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Calls `f` with the whole input, in memory.
    ///
    /// # Errors
    ///
    /// It is larger than [`HANDLER_INPUT`], or cannot be read; or the error of `f`.
    pub(super) fn whole<T>(
        &mut self,
        f: impl FnOnce(&[u8]) -> Result<T, HandlerError>,
    ) -> Result<T, HandlerError> {
        match self {
            Self::Bytes(bytes) => f(bytes),
            Self::Stream { size, .. } if *size > HANDLER_INPUT => {
                Err(HandlerError::InputTooLarge { size: *size, limit: HANDLER_INPUT })
            }
            Self::Stream { stream, size, .. } => {
                let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or_default());
                stream.rewind()?;
                stream.take(HANDLER_INPUT).read_to_end(&mut bytes)?;
                f(&bytes)
            }
        }
    }
}

/// Cuts a stream into pieces of text.
struct Pieces<'s> {
    stream: &'s mut dyn Stream,
    cut: Cut,
    /// Maximum bytes of a piece.
    longest: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read from the stream.
    filled: usize,
    /// Bytes at the beginning of the buffer that the last piece took.
    taken: usize,
    /// Bytes of the text before the buffer.
    before: u64,
    has_ended: bool,
}

impl<'s> Pieces<'s> {
    fn new(stream: &'s mut dyn Stream, cut: Cut, bounds: Bounds) -> Self {
        Self {
            stream,
            cut,
            longest: bounds.longest,
            buffer: vec![0; bounds.piece],
            filled: 0,
            taken: 0,
            before: 0,
            has_ended: false,
        }
    }

    /// The next piece; `None` at the end of the text. No piece is empty.
    fn next(&mut self) -> Result<Option<&str>, HandlerError> {
        self.drop_taken();
        loop {
            if !self.has_ended {
                self.fill()?;
            }
            let text = self.text()?;
            let end = if self.has_ended { Some(text.len()) } else { self.cut.last_in(text) };
            if let Some(end) = end {
                self.taken = end;
                break;
            }
            self.grow()?;
        }
        let piece = self.buffer.get(..self.taken).unwrap_or_default();
        Ok(Some(str::from_utf8(piece)?).filter(|piece| !piece.is_empty()))
    }

    fn drop_taken(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.before += self.taken as u64;
        self.filled -= self.taken;
        self.taken = 0;
    }

    fn fill(&mut self) -> Result<(), HandlerError> {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let wanted = room.len();
        let read = fill(self.stream, room)?;
        self.filled += read;
        self.has_ended = read < wanted;
        Ok(())
    }

    /// The text in the buffer, without a character whose last bytes are not there yet.
    fn text(&self) -> Result<&str, HandlerError> {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let error = match str::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let valid = error.valid_up_to();
        if error.error_len().is_none() && !self.has_ended {
            return Ok(str::from_utf8(bytes.get(..valid).unwrap_or_default())?);
        }
        Err(HandlerError::not_text(self.before + valid as u64))
    }

    /// Makes room for a longer piece.
    fn grow(&mut self) -> Result<(), HandlerError> {
        if self.buffer.len() > self.longest {
            return Err(self.cut.not_found(self.longest, self.before));
        }
        // One byte more, to see whether the text ends.
        self.buffer.resize((2 * self.buffer.len()).min(self.longest + 1), 0);
        Ok(())
    }
}

/// Reads until the buffer is full or the stream ends. Returns the number of bytes.
fn fill(stream: &mut dyn Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..)
        && !room.is_empty()
    {
        match stream.read(room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
