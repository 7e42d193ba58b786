//! Helpers of several tests.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use meshwork_core::{Accept, Task, TaskEnd};
use meshwork_exec::{Handler, HandlerError, handler_fn};
use meshwork_testkit::{Spec, TestNode};
use tokio::sync::Semaphore;

/// A node with two slots that accepts `text/…` and `debug/…` of everybody.
pub(crate) async fn victim() -> TestNode {
    TestNode::start(Spec::worker(Accept::Anyone)).await
}

/// The gate at which `text/gate` waits.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one execution end, even one that has not started yet.
    pub(crate) fn open_one(&self) {
        self.0.add_permits(1);
    }

    /// `text/gate`: returns its input when the gate lets it.
    pub(crate) fn handler(&self) -> impl Handler {
        let gate = Arc::clone(&self.0);
        handler_fn("text/gate", move |_cx, input: Bytes| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.map_err(|_| HandlerError::failed("no gate"))?.forget();
                Ok(input)
            }
        })
    }
}

/// A task for this handler.
pub(crate) fn task(handler: &str) -> Task {
    Task::new(handler).unwrap()
}

/// A task that sleeps for this time.
pub(crate) fn sleep(ms: u64) -> Task {
    task("debug/sleep").with_param("ms", ms)
}

/// The output of a task that has succeeded.
pub(crate) fn output(end: TaskEnd) -> Bytes {
    let TaskEnd::Succeeded(result) = end else { panic!("it did not succeed: {end:?}") };
    result.bytes().unwrap().clone()
}

/// The ids of tasks in the log of executions of `debug/sleep`.
pub(crate) fn executions(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// A message of one field that holds these bytes.
pub(crate) fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut message);
    message.extend(prefixed(bytes));
    prefixed(&message)
}

/// Bytes with a length prefix.
pub(crate) fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encode_length_delimiter(message.len(), &mut bytes).unwrap();
    bytes.extend_from_slice(message);
    bytes
}
