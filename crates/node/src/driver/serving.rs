//! Requests of peers for blobs: the engine says who may have them, and a thread that may block opens
//! their files.

use meshwork_core::{
    Time,
    engine::{BlobEvent, Input},
};
use meshwork_net::blob::serve::{BlobEvent as BlobStreamEvent, BlobRequest};

use super::Driver;

impl Driver {
    pub(super) fn on_blob_stream(&mut self, event: BlobStreamEvent, now: Time) {
        match event {
            BlobStreamEvent::Requested(request) => self.on_request(request),
            BlobStreamEvent::Damaged { hash } => {
                self.feed(Input::BlobEvent(BlobEvent::Lost { hash }), now);
            }
        }
    }

    fn on_request(&self, request: BlobRequest) {
        if !self.engine.may_fetch(&request.peer, &request.hash) {
            request.refuse();
            return;
        }
        let store = self.outside.blobs.store().clone();
        // At most one for each stream.
        drop(tokio::task::spawn_blocking(move || match store.source(&request.hash) {
            Ok(source) => request.send(source),
            Err(error) => {
                // If the file is lost, the store has noted it for the driver.
                tracing::warn!(hash = %request.hash, %error, "cannot send a blob");
                if error.is_lost() {
                    request.refuse();
                }
            }
        }));
    }
}
