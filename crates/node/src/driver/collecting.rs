//! Attempts whose output is a blob: the blob is published, on a thread that may block, before the
//! engine learns of the end.

use std::{sync::Arc, time::Duration};

use meshwork_blob::WriteError;
use meshwork_core::{
    AttemptEnd, BlobRef, FailureCode, Payload, TaskFailure,
    engine::{Input, NewBlob, RunId},
};
use meshwork_exec::Ended;
use tokio::sync::mpsc;

use super::call::Call;
use crate::blobs::place::{Place, new_blob};

/// What follows from the end of an execution at once: nothing if its output has to be published.
pub(super) fn ended(
    ended: Ended,
    place: &Arc<Place>,
    calls: &mpsc::WeakSender<Call>,
) -> Option<Input> {
    let Ended { run, end, blobs, written, took } = ended;
    written.iter().for_each(|hash| place.store().doubt(hash));
    let AttemptEnd::Output(Payload::Blob(output)) = end else {
        return Some(Input::Finished { run, end, took });
    };
    let (place, calls) = (Arc::clone(place), calls.clone());
    // At most one for each attempt that runs.
    drop(tokio::spawn(async move {
        let publish = move || {
            let published = place.store().publish(blobs)?;
            Ok(published.into_iter().map(new_blob).collect())
        };
        // The runtime is stopping: the driver needs no answer.
        let Ok(blobs) = tokio::task::spawn_blocking(publish).await else { return };
        let collected = Call::Collected(Box::new(collected(run, *output, took, blobs)));
        // Without handles the driver ends.
        let Some(calls) = calls.upgrade() else { return };
        calls.send(collected).await.ok();
    }));
    None
}

/// What the engine learns of an output that was published, or could not be.
fn collected(
    run: RunId,
    output: BlobRef,
    took: Duration,
    blobs: Result<Vec<NewBlob>, WriteError>,
) -> Input {
    match blobs {
        Ok(blobs) => Input::Collected { run, blobs, output, took },
        Err(error) => {
            // A disk that fails is as bad as one that is full: the task can run elsewhere.
            let message = format!("the output is not stored: {error}");
            let end = AttemptEnd::Failed(TaskFailure::new(FailureCode::NoSpace, message));
            Input::Finished { run, end, took }
        }
    }
}
