//! A peer with streams: it can be admitted like any other, and then misbehave.

use std::io;

use libp2p::{PeerId, identity::Keypair};
use tokio::sync::mpsc;
use yamux::Stream;

use super::{
    Channel, HELLO, Socket, TASK,
    message::{Advert, Hello, HelloReply, ToOwner, reply, to_owner},
    mux::{self, Opener},
};
use crate::{TestNode, within};

/// Maximum streams of the other end that wait to be accepted; further ones are dropped.
const SESSIONS: usize = 16;

/// A peer whose messages the test writes.
///
/// Only the answer to a hello is automatic: each peer that sends one is admitted.
#[derive(Debug)]
pub struct Hostile {
    id: PeerId,
    opener: Opener,
    sessions: mpsc::Receiver<Channel>,
}

impl Hostile {
    /// Connects to `victim` with a new key, and sends nothing.
    pub async fn connect(victim: &TestNode) -> Self {
        Self::offering(victim, &[HELLO, TASK]).await
    }

    async fn offering(victim: &TestNode, protocols: &'static [&'static str]) -> Self {
        let key = Keypair::generate_ed25519();
        let connected = within("a connection", Socket::connect(&victim.address(), &key)).await;
        let (socket, peer) = connected.expect("the node accepts connections");
        assert_eq!(peer, victim.id());
        let (opener, inbound) = mux::drive(socket);
        let (found, sessions) = mpsc::channel(SESSIONS);
        tokio::spawn(serve(inbound, found, protocols));
        Self { id: key.public().to_peer_id(), opener, sessions }
    }

    /// Connects to `victim` and is admitted, with an empty advert.
    pub async fn admitted(victim: &TestNode) -> Self {
        let hostile = Self::connect(victim).await;
        let reply = hostile.say(&Hello::sound(victim, Advert::default())).await;
        assert!(matches!(reply, Some(reply::Outcome::Admitted(_))), "{reply:?}");
        hostile
    }

    /// Connects to `victim`, is admitted as a worker with these slots for these handlers, and is
    /// trusted by it.
    pub async fn worker(victim: &TestNode, slots: u32, handlers: &[&str]) -> Self {
        let hostile = Self::connect(victim).await;
        let handlers = handlers.iter().map(ToString::to_string).collect();
        let advert = Advert { name: "hostile".to_owned(), handlers, slots, ..Advert::default() };
        let reply = hostile.say(&Hello::sound(victim, advert)).await;
        assert!(matches!(reply, Some(reply::Outcome::Admitted(_))), "{reply:?}");
        victim.trust(hostile.id()).await;
        victim.ready(hostile.id()).await;
        hostile
    }

    /// Connects to `victim`, is ready for it, and accepts its links. They arrive at
    /// [`next_session`](Self::next_session); this peer does not answer on them.
    pub async fn linked(victim: &TestNode, protocols: &'static [&'static str]) -> Self {
        let hostile = Self::offering(victim, protocols).await;
        let reply = hostile.say(&Hello::sound(victim, Advert::default())).await;
        assert!(matches!(reply, Some(reply::Outcome::Admitted(_))), "{reply:?}");
        victim.ready(hostile.id()).await;
        hostile
    }

    /// The peer's id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Opens a stream of any protocol.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the victim does not support the protocol.
    pub async fn open(&self, protocol: &str) -> io::Result<Channel> {
        let opened = async {
            let stream = self.opener.open().await.ok_or(io::ErrorKind::NotConnected)?;
            Channel::dialled(stream, protocol).await
        };
        within("a stream", opened).await
    }

    /// Opens a task session, as an owner does.
    pub async fn session(&self) -> Channel {
        self.open(TASK).await.expect("an admitted peer may open a session")
    }

    /// Opens a task session, and waits for the first credit: an assignment before it may be
    /// answered with `busy`.
    pub async fn granted_session(&self) -> Channel {
        let mut session = self.session().await;
        within("the first credit", async {
            while !matches!(
                session.recv::<ToOwner>().await.expect("the session lives").kind,
                Some(to_owner::Kind::Credit(_))
            ) {}
        })
        .await;
        session
    }

    /// Waits for the next task session that the victim opens as the owner of this worker.
    pub async fn next_session(&mut self) -> Channel {
        within("a session", self.sessions.recv()).await.expect("the connection lives")
    }

    /// Sends a hello. Returns the victim's answer, if it sends one.
    pub async fn say(&self, hello: &Hello) -> Option<reply::Outcome> {
        let mut stream = self.open(HELLO).await.ok()?;
        // A failed write shows in the missing answer.
        stream.send(hello).await.ok();
        stream.recv::<HelloReply>().await?.outcome
    }

    /// Waits until the victim has closed the connection.
    pub async fn closed(&self) {
        within("the end of a connection", self.opener.closed()).await;
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.opener.is_closed()
    }
}

/// Admits peers that send a hello, and forwards other streams.
async fn serve(
    mut inbound: mpsc::Receiver<Stream>,
    sessions: mpsc::Sender<Channel>,
    protocols: &'static [&'static str],
) {
    while let Some(stream) = inbound.recv().await {
        let sessions = sessions.clone();
        tokio::spawn(async move {
            // The negotiation refuses other protocols.
            let Ok((protocol, mut channel)) = Channel::accepted(stream, protocols).await else {
                return;
            };
            if protocol != HELLO {
                // A stream above the bound is reset.
                sessions.try_send(channel).ok();
            } else if channel.recv::<Hello>().await.is_some() {
                // The victim may have closed the stream meanwhile.
                channel.send(&HelloReply::admitted()).await.ok();
                channel.close().await.ok();
            }
        });
    }
}
