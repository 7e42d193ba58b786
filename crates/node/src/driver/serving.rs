//! Blobs between nodes: the events of fetches, and requests of peers. The engine says which peer may
//! have a blob, and a thread that may block opens its file.

use meshwork_core::{
    Time,
    engine::{BlobEvent, BlobRequest, Input},
};
use meshwork_net::blob::serve::{BlobEvent as BlobStreamEvent, BlobRequest as PeerRequest};
use tokio::sync::oneshot;

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

    /// A fetch has ended, or has got bytes.
    pub(super) fn on_fetch_event(&mut self, number: u64, event: BlobEvent, now: Time) {
        if self.outside.fetcher.is_current(number, &event) {
            self.feed(Input::BlobEvent(event), now);
        } else if let BlobEvent::Fetched { blobs, .. } = event {
            // The files are there, but nobody waits for them.
            let (answer, _) = oneshot::channel();
            self.on_blobs(BlobRequest::Store { blobs, reserved: 0 }, answer, now);
        }
    }

    fn on_request(&self, request: PeerRequest) {
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
