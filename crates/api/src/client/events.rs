//! Reads a node's server-sent events, as far as this API uses the format.
//!
//! Absent on purpose: reconnecting. Only the caller knows whether that is useful.

use bytes::BytesMut;

use super::{ClientError, connection::Answer};
use crate::{limits, types::EventView};

#[cfg(test)]
mod tests;

/// A stream of a node's events over one connection.
#[derive(Debug)]
pub struct Events {
    answer: Answer,
    parser: Parser,
}

impl Events {
    pub(super) fn new(answer: Answer, last_id: Option<u64>) -> Self {
        Self { answer, parser: Parser { last_id, ..Parser::default() } }
    }

    /// Waits for the next event; `None` when the node stops.
    ///
    /// # Errors
    ///
    /// The connection broke, or nothing arrived for [`limits::EVENT_SILENCE`]: reconnect with
    /// [`Self::last_id`]. Or the node sent invalid data.
    pub async fn next(&mut self) -> Result<Option<EventView>, ClientError> {
        loop {
            if let Some(event) = self.parser.next()? {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(limits::EVENT_SILENCE, self.answer.chunk()).await;
            match chunk {
                Ok(Ok(Some(chunk))) => self.parser.push(&chunk)?,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let path = self.answer.path().to_path_buf();
                    return Err(ClientError::Silent { path, after: limits::EVENT_SILENCE });
                }
            }
        }
    }

    /// The id after which a new connection continues: that of the last event, or the start of this
    /// stream.
    pub fn last_id(&self) -> Option<u64> {
        self.parser.last_id
    }
}

/// Parses events from bytes. Holds at most [`limits::EVENT_BYTES`] of one event.
#[derive(Debug, Default)]
struct Parser {
    /// Received bytes that are not parsed yet.
    rest: BytesMut,
    /// The data of the event that is being parsed.
    data: Vec<u8>,
    last_id: Option<u64>,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Result<(), ClientError> {
        // Complete lines were taken out before: the rest is one incomplete line.
        if self.rest.len() > limits::EVENT_BYTES {
            return Err(too_long());
        }
        self.rest.extend_from_slice(chunk);
        Ok(())
    }

    /// The next complete event among the received bytes.
    fn next(&mut self) -> Result<Option<EventView>, ClientError> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line = self.rest.split_to(end + 1);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if !line.is_empty() {
                self.line(line)?;
            } else if !self.data.is_empty() {
                let data = std::mem::take(&mut self.data);
                return super::decode(&data).map(Some);
            }
        }
        Ok(None)
    }

    /// Parses one line. Comments keep the connection alive; the type is repeated in the data.
    fn line(&mut self, line: &[u8]) -> Result<(), ClientError> {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"id" => {
                let id = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.last_id = Some(id.ok_or_else(|| ClientError::Protocol {
                    what: "an event id that is not a number".to_owned(),
                })?);
            }
            b"data" => {
                if self.data.len() + value.len() > limits::EVENT_BYTES {
                    return Err(too_long());
                }
                self.data.extend_from_slice(value);
            }
            _ => {}
        }
        Ok(())
    }
}

fn too_long() -> ClientError {
    ClientError::Protocol { what: format!("an event of more than {} bytes", limits::EVENT_BYTES) }
}
