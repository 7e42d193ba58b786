//! Decodes an owner's messages.

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::{
    Assignment, Epoch, Payload, Reason, TaskId, ToWorker, advert::clean_to, limits as core_limits,
};
use prost::Message as _;

use super::{
    batch::{Numbers, epochs, task_batch},
    blob::blob_ref,
    inbox::{Answer, Inbox, body, kind_of},
};
use crate::{
    protocol::task::{kind, names::Names},
    wire::{
        Message,
        error::WireError,
        fields::{Fields, Value, map_entry, unzigzag},
        generated as proto,
    },
};

/// Decodes one message of an owner into `inbox`.
///
/// # Errors
///
/// The owner broke the protocol. Frames before the fault in the same message may be in the inbox.
pub(crate) fn to_worker(
    message: &Message<'_>,
    names: &mut Names,
    inbox: &mut Inbox<ToWorker>,
) -> Result<(), WireError> {
    let (number, content) = kind_of(message.bytes(), &kind::TO_WORKER, &kind::TO_OWNER)?;
    let frames = &mut inbox.frames;
    match number {
        kind::ASSIGN | kind::ASSIGN_FILES => {
            assignments(message, body(content)?, names, number == kind::ASSIGN_FILES, inbox)
        }
        kind::CANCEL => epochs(body(content)?, |epoch| frames.push(ToWorker::Cancel(epoch))),
        kind::ACK => epochs(body(content)?, |epoch| frames.push(ToWorker::Ack(epoch))),
        kind::HAND_BACK => epochs(body(content)?, |epoch| frames.push(ToWorker::HandBack(epoch))),
        kind::RESUME => {
            let mut resumed = Vec::new();
            epochs(body(content)?, |epoch| resumed.push(epoch))?;
            frames.push(ToWorker::Resume(resumed));
            Ok(())
        }
        kind::OWNER_UNSUPPORTED => {
            let unknown = proto::Unsupported::decode(body(content)?)?.kind;
            tracing::debug!(kind = unknown, "the owner does not know this kind of message");
            Ok(())
        }
        unknown => {
            inbox.answers.push(Answer::Unsupported(unknown));
            Ok(())
        }
    }
}

fn assignments(
    message: &Message<'_>,
    batch: &[u8],
    names: &mut Names,
    has_files: bool,
    inbox: &mut Inbox<ToWorker>,
) -> Result<(), WireError> {
    let (boot, count) = task_batch(batch)?;
    inbox.frames.reserve(count);
    let mut numbers = Numbers::of_boot(boot);
    let mut handler = "";
    let mut fields = Fields::of(batch);
    while let Some((number, value)) = fields.next()? {
        if number != 2 {
            continue;
        }
        let mut parts = Parts::read(value.bytes()?)?;
        if !has_files {
            // Unknown in that kind of message.
            parts.blob = None;
        }
        let epoch = numbers.step(parts.delta);
        if !parts.handler.is_empty() {
            handler = parts.handler;
        }
        if handler.is_empty() {
            return Err(WireError::Malformed("an assignment without a handler"));
        }
        match parts.build(epoch, handler, message, names) {
            Ok(assignment) => inbox.frames.push(ToWorker::Assign(Box::new(assignment))),
            Err(reason) => inbox.answers.push(Answer::Refused(epoch, reason)),
        }
    }
    Ok(())
}

/// The fields of an assignment, borrowed from the message.
struct Parts<'a> {
    delta: u64,
    task: TaskId,
    attempt: u32,
    handler: &'a str,
    input: &'a [u8],
    blob: Option<&'a [u8]>,
    params: Params<'a>,
    limit_us: u64,
    priority: i64,
    durable: bool,
}

/// The parameters of an assignment, or the reason why they are out of bounds.
type Params<'a> = Result<BTreeMap<&'a str, &'a str>, String>;

impl<'a> Parts<'a> {
    fn read(entry: &'a [u8]) -> Result<Self, WireError> {
        let mut task = None;
        let mut parts = Self {
            delta: 0,
            task: TaskId::from_bytes([0; 16]),
            attempt: 1,
            handler: "",
            input: &[],
            blob: None,
            params: Ok(BTreeMap::new()),
            limit_us: 0,
            priority: 0,
            durable: false,
        };
        let mut fields = Fields::of(entry);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => parts.delta = value.number()?,
                2 => task = value.bytes()?.try_into().ok(),
                3 => parts.attempt = value.number32()?.max(1),
                4 => parts.handler = value.text()?,
                5 => parts.input = value.bytes()?,
                6 => parts.add_param(value)?,
                7 => parts.limit_us = value.number()?,
                8 => parts.priority = unzigzag(value.number()?),
                9 => parts.durable = value.number()? != 0,
                10 => parts.blob = Some(value.bytes()?),
                _ => {}
            }
        }
        let task = task.ok_or(WireError::Malformed("a task id of other than 16 bytes"))?;
        Ok(Self { task: TaskId::from_bytes(task), ..parts })
    }

    fn add_param(&mut self, entry: Value<'a>) -> Result<(), WireError> {
        let (name, value) = map_entry(entry.bytes()?)?;
        let Ok(params) = &mut self.params else { return Ok(()) };
        params.insert(name, value);
        if params.len() > core_limits::PARAMS {
            self.params = Err(format!("params: at most {} are allowed", core_limits::PARAMS));
        } else if name.is_empty() || name.len() > core_limits::PARAM_NAME {
            self.params = Err(format!("params: a name has 1 to {} bytes", core_limits::PARAM_NAME));
        } else if value.len() > core_limits::PARAM_VALUE {
            let most = core_limits::PARAM_VALUE;
            self.params = Err(format!("params: a value has at most {most} bytes"));
        }
        Ok(())
    }

    fn build(
        self,
        epoch: Epoch,
        handler: &str,
        message: &Message<'_>,
        names: &mut Names,
    ) -> Result<Assignment, Reason> {
        let params = self.params.map_err(|detail| Reason::InvalidTask { detail })?;
        if self.input.len() > core_limits::INLINE_BYTES {
            return Err(Reason::TooLarge { limit: core_limits::INLINE_BYTES as u64 });
        }
        let handler = names.parse(handler).ok_or_else(|| Reason::UnknownHandler {
            handler: clean_to(handler, core_limits::HANDLER_NAME),
        })?;
        let input = match self.blob {
            Some(blob) => blob_ref(blob)?.into(),
            None if self.input.is_empty() => Payload::default(),
            None => Payload::Inline(message.keep(self.input)),
        };
        let priority = self.priority.clamp(i8::MIN.into(), i8::MAX.into());
        Ok(Assignment {
            epoch,
            task: self.task,
            attempt: self.attempt,
            handler,
            input,
            params: params.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            limit: Some(self.limit_us).filter(|limit| *limit > 0).map(Duration::from_micros),
            priority: i8::try_from(priority).unwrap_or_default(),
            durable: self.durable,
        })
    }
}
