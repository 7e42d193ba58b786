//! Peers before their admission: S-07 to S-11 on the hello protocol, S-21.

use std::time::Duration;

use meshwork_core::{Accept, PeerState};
use meshwork_testkit::{
    Honest, Spec, TestNode, eventually,
    hostile::{
        HELLO, Hostile,
        message::{Advert, Hello, Reason, reply},
    },
    within,
};
use prost::Message;

use crate::support::{prefixed, victim};

/// Unfinished hellos that one peer has at once.
const SLOW: usize = 4;

/// S-07: every hello has a total deadline, however regularly its bytes come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_hello_is_ended_at_its_deadline() {
    let protocol_timeout = Duration::from_millis(500);
    let spec = Spec { protocol_timeout, ..Spec::worker(Accept::Anyone) };
    let victim = TestNode::start(spec).await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::connect(&victim).await;
    honest
        .served_during(async {
            let hellos = (0..SLOW).map(|_| send_slowly(&hostile));
            futures::future::join_all(hellos).await;
        })
        .await;
    let state = victim.peer(hostile.id()).await.map(|info| info.state);
    assert!(
        !matches!(state, Some(PeerState::Admitted(_) | PeerState::Ready)),
        "a partial hello admits no peer: {state:?}"
    );
    honest.shutdown().await;
    victim.shutdown().await;
}

/// Sends a hello of 16 KiB, a byte at a time, until the victim ends it.
async fn send_slowly(hostile: &Hostile) {
    let Ok(mut stream) = hostile.open(HELLO).await else { return };
    stream.write(&[0x80, 0x80, 0x01]).await.ok();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    within("the end of a hello", async {
        loop {
            tokio::select! {
                () = stream.ended() => return,
                _ = pace.tick() => {}
            }
            if stream.write(&[0]).await.is_err() {
                return;
            }
        }
    })
    .await;
}

/// S-08, S-10, S-11: malformed bytes end the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_hello_ends_the_connection() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("4 GiB", vec![0x80, 0x80, 0x80, 0x80, 0x10, 1, 2, 3]),
        ("2^64 - 1", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("not shortest", vec![0x85, 0x00, 1, 2, 3, 4, 5]),
        ("not shortest, of ten bytes", [vec![0x80; 9], vec![0x00]].concat()),
        ("eleven bytes", [vec![0x80; 10], vec![0x01]].concat()),
        ("nothing", vec![0]),
        ("64 KiB and a byte", vec![0x81, 0x80, 0x04]),
        ("groups in groups", prefixed(&[0x0b; 60_000])),
        ("a field longer than its message", prefixed(&[0x1a, 0xff, 0xff, 0x03])),
        ("text that is not UTF-8", prefixed(&[0x1a, 0x02, 0xff, 0xfe])),
        ("a number for a text", prefixed(&[0x18, 0x01])),
    ];
    honest
        .served_during(async {
            for (what, bytes) in &attacks {
                let hostile = Hostile::connect(&victim).await;
                let mut stream = hostile.open(HELLO).await.unwrap();
                // The victim may close before all bytes are written.
                stream.write(bytes).await.ok();
                within(what, hostile.closed()).await;
            }
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-10, S-11: well-formed excess is cut off, not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excessive_hello_is_cut() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::connect(&victim).await;
    let handlers: Vec<String> = (0..6_000).map(|number| format!("a/{number}")).collect();
    let names = Advert { handlers, ..Advert::default() };
    let nothings = Advert { capabilities: vec![String::new(); 32_000], ..Advert::default() };
    let long = Advert { name: "x".repeat(60_000), ..Advert::default() };
    let rude = Advert { name: "\u{1b}[2J\u{202e}me".to_owned(), ..Advert::default() };
    honest
        .served_during(async {
            for (seq, advert) in (1..).zip([names, nothings, long, rude]) {
                let hello = Hello { seq, ..Hello::sound(&victim, advert) };
                let answer = hostile.say(&hello).await;
                assert!(matches!(answer, Some(reply::Outcome::Admitted(_))), "{answer:?}");
                // It has admitted the victim, and is ready with the kept part of the advert.
                let stored = victim.ready(hostile.id()).await;
                assert!(stored.handlers.len() <= 256 && stored.capabilities.len() <= 32, "{seq}");
                assert!(stored.name.len() <= 64, "{}", stored.name);
                assert!(!stored.name.contains(['\u{1b}', '\u{202e}']), "{:?}", stored.name);
            }
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-09: a partial hello does not count, and bytes after a hello on its stream are ignored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_hello_does_not_count() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::connect(&victim).await;
    let hello = prefixed(&Hello::sound(&victim, Advert::default()).encode_to_vec());
    honest
        .served_during(async {
            let mut stream = hostile.open(HELLO).await.unwrap();
            stream.write(&hello[..hello.len() - 1]).await.unwrap();
            stream.close().await.unwrap();
            within("the end of the stream", stream.ended()).await;
            eventually("it is connected but not admitted", &[&victim], async || {
                let state = victim.peer(hostile.id()).await?.state;
                matches!(state, PeerState::Connected(_)).then_some(())
            })
            .await;

            let mut stream = hostile.open(HELLO).await.unwrap();
            stream.write(&[hello.as_slice(), &[0xff; 4_096]].concat()).await.unwrap();
            victim.ready(hostile.id()).await;
        })
        .await;
    assert!(!hostile.is_closed());
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-21: a peer of another version or network receives the reason, and may try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_version_or_network_is_refused_with_a_reason() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::connect(&victim).await;
    let sound = Hello::sound(&victim, Advert::default());
    let newer = Hello { min_version: 3, max_version: 9, ..sound.clone() };
    let stranger = Hello { network: "elsewhere".to_owned(), ..sound.clone() };
    honest
        .served_during(async {
            let refusal = refusal(hostile.say(&newer).await);
            assert_eq!(refusal.code, Reason::INCOMPATIBLE_VERSION, "{refusal:?}");
            let refusal = self::refusal(hostile.say(&stranger).await);
            assert_eq!(refusal.code, Reason::WRONG_NETWORK, "{refusal:?}");
            assert_eq!(refusal.detail, "test", "the refuser's network");
            // The table is published a moment later.
            eventually("the latest refusal is shown", &[&victim], async || {
                let why = victim.peer(hostile.id()).await?.state.why()?;
                why.contains("elsewhere").then_some(())
            })
            .await;
            // A session is refused with a reason as well.
            let mut session = hostile.session().await;
            let answer = session.recv::<meshwork_testkit::hostile::message::ToOwner>().await;
            assert!(answer.is_some(), "a session is answered");
            assert!(matches!(hostile.say(&sound).await, Some(reply::Outcome::Admitted(_))));
            victim.ready(hostile.id()).await;
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

fn refusal(answer: Option<reply::Outcome>) -> Reason {
    match answer {
        Some(reply::Outcome::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}
