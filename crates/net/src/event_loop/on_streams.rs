//! Passes each stream to the part that it is for.

use libp2p::Stream;
use meshwork_core::Reason;

use super::{action::Purpose, state::EventLoop};
use crate::{
    behaviour::streams::{self, OpenError, Protocol},
    protocol::{
        discovery::{Sources, errand::Errand},
        links::link::LinkProtocol,
    },
};

impl EventLoop {
    pub(super) fn on_stream_event(&mut self, event: streams::Event) {
        match event {
            streams::Event::Inbound { peer, connection, protocol, stream }
                if !matches!(protocol, Protocol::Hello | Protocol::Blob)
                    && self.shared.peers.is_beside(&peer, connection) =>
            {
                // No honest peer opens such a stream there.
                if protocol == Protocol::Task {
                    let detail = "tasks need another connection".to_owned();
                    self.work.sessions.refuse(stream, Reason::NotAdmitted { detail }, &self.shared);
                } else {
                    self.shared.local.counters.streams_refused.add();
                }
            }
            streams::Event::Inbound { peer, connection, protocol, stream } => match protocol {
                Protocol::Hello => self.hellos.on_inbound(peer, connection, stream, &self.shared),
                Protocol::Task => {
                    let waiting = self.facts.sessions_waiting();
                    let action = self.work.sessions.on_inbound(peer, stream, &self.shared, waiting);
                    self.perform(action);
                }
                Protocol::Discovery => self.exchange.on_inbound(peer, stream, &self.shared),
                Protocol::Resource => {
                    self.links.on_inbound(peer, LinkProtocol::Resource, stream, &self.shared);
                }
                Protocol::Health => {
                    self.links.on_inbound(peer, LinkProtocol::Health, stream, &self.shared);
                }
                Protocol::Blob => self.work.blobs.on_inbound(peer, stream, &self.shared),
            },
            streams::Event::Opened { request, stream } => {
                let purpose = self.wires.take_purpose(request);
                self.on_opened(purpose, Ok(stream));
            }
            streams::Event::OpenFailed { request, why } => {
                let purpose = self.wires.take_purpose(request);
                self.on_opened(purpose, Err(why));
            }
        }
    }

    fn on_opened(&mut self, purpose: Option<Purpose>, stream: Result<Stream, OpenError>) {
        match purpose {
            Some(Purpose::Hello { peer, connection }) => {
                let actions = self.hellos.on_stream(peer, connection, stream, &mut self.shared);
                self.perform(actions);
            }
            Some(Purpose::Session { peer }) => {
                let waiting = self.facts.sessions_waiting();
                let action = self.work.sessions.on_stream(peer, stream, &self.shared, waiting);
                self.perform([action]);
            }
            Some(Purpose::Link { peer, protocol }) => {
                self.links.on_stream(peer, protocol, stream, &self.shared);
            }
            Some(Purpose::Exchange { peer, errand }) => {
                let query = match &errand {
                    Errand::Search(search) => self.searches.query(*search),
                    Errand::Round | Errand::Seek(_) | Errand::News(_) => None,
                };
                let Self { exchange, shared, listeners, links, .. } = self;
                let sources = Sources { shared, listeners, resources: links.resources() };
                let action = exchange.on_stream((peer, errand), stream, query, sources);
                self.perform(action);
            }
            Some(Purpose::Blob { peer, number }) => {
                let action = self.work.blobs.on_stream((peer, number), stream, &self.shared);
                self.perform(action);
            }
            None => tracing::debug!("a stream was opened without a request"),
        }
    }
}
