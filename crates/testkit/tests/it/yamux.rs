//! Invalid Yamux frames: S-13. They may end only the attacker's connection.

use meshwork_testkit::{
    Honest,
    hostile::{Frames, Header, frame},
    within,
};

use crate::support::victim;

/// The fate of the attacker's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Ends, or receives `GO_AWAY`: in Yamux the receiver of that closes the connection.
    Ends,
    /// Ends or lives: the frame may be ignored.
    Either,
}

/// The name of a case, its fate, and the frames.
type Attack = (&'static str, Fate, Vec<Header>);

/// A header with these fields.
fn head(kind: u8, flags: u16, stream: u32, length: u32) -> Header {
    Header { kind, flags, stream, length, ..Header::default() }
}

/// The header that opens a stream.
const OPEN: Header =
    Header { version: 0, kind: Header::DATA, flags: Header::SYN, stream: 1, length: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_frames_end_their_connection_only() {
    use Header as H;
    let attacks: Vec<Attack> = vec![
        ("a window of 4 GiB", Fate::Either, vec![OPEN, head(H::WINDOW_UPDATE, 0, 1, 0xffff_0000)]),
        (
            "a window of 4 GiB again and again",
            Fate::Either,
            [vec![OPEN], vec![head(H::WINDOW_UPDATE, 0, 1, u32::MAX); 64]].concat(),
        ),
        (
            "a stream that begins with a window of 4 GiB",
            Fate::Either,
            vec![head(H::WINDOW_UPDATE, H::SYN, 1, 0xffff_0000)],
        ),
        ("a frame of 4 GiB", Fate::Ends, vec![OPEN, head(H::DATA, 0, 1, u32::MAX)]),
        ("a frame of another version", Fate::Ends, vec![Header { version: 1, ..OPEN }]),
        ("a frame of no kind", Fate::Ends, vec![head(9, 0, 0, 0)]),
        ("a stream of the victim's numbers", Fate::Ends, vec![Header { stream: 2, ..OPEN }]),
        ("a stream twice", Fate::Ends, vec![OPEN, OPEN]),
        (
            "a stream again after its end",
            Fate::Either,
            vec![OPEN, head(H::DATA, H::RST, 1, 0), OPEN],
        ),
        ("the stream of the connection", Fate::Either, vec![Header { stream: 0, ..OPEN }]),
        ("all flags", Fate::Either, vec![head(H::DATA, 0xffff, 1, 0)]),
        ("an answer to no ping", Fate::Either, vec![head(H::PING, H::ACK, 0, 7)]),
        ("a ping of a stream", Fate::Either, vec![head(H::PING, H::SYN, 3, 7)]),
        ("a goodbye for no reason that is known", Fate::Ends, vec![head(H::GO_AWAY, 0, 0, 99)]),
    ];
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    for (what, fate, heads) in attacks {
        honest
            .served_during(async {
                let mut frames = Frames::connect(&victim.address()).await;
                for head in heads {
                    // The connection may end before all frames are sent.
                    frames.head(head).await.ok();
                }
                let lives = within(what, frames.answers(1)).await;
                assert!(!lives || fate == Fate::Either, "{what}: the connection lives");
            })
            .await;
    }
    honest.shutdown().await;
    victim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_above_the_window_ends_only_its_connection() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    honest
        .served_during(async {
            let mut frames = Frames::connect(&victim.address()).await;
            // The connection may end before all bytes are written.
            frames.write(&frame(Header::SYN, 1, &vec![0; 262_145])).await.ok();
            assert!(!within("the end", frames.answers(1)).await, "a first frame above the window");

            let mut frames = Frames::connect(&victim.address()).await;
            frames.write(&frame(Header::SYN, 1, b"\x13/multistream/1.0.0\n")).await.unwrap();
            // A negotiation line that claims 16 KiB, whose rest never arrives.
            let part = vec![0xff; 64 * 1024];
            for _ in 0..64 {
                if frames.write(&frame(0, 1, &part)).await.is_err() {
                    break;
                }
            }
            within("an answer or the end", frames.answers(1)).await;

            let mut frames = Frames::connect(&victim.address()).await;
            frames.head(head(Header::GO_AWAY, 0, 0, 0)).await.unwrap();
            for stream in (0..64).map(|number| 2 * number + 1) {
                if frames.write(&frame(Header::SYN, stream, &[0; 1_024])).await.is_err() {
                    break;
                }
            }
            within("the end", frames.closed()).await;
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_pings_does_not_disturb_other_peers() {
    const PINGS: u32 = 100_000;
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    honest
        .served_during(async {
            let mut frames = Frames::connect(&victim.address()).await;
            let ping = frame_of(head(Header::PING, Header::SYN, 0, 5));
            let block = ping.repeat(1_000);
            for _ in 0..PINGS / 1_000 {
                if frames.write(&block).await.is_err() {
                    break;
                }
            }
            // The loop ends with the answer to the last ping, or with the connection.
            within("an answer or the end", frames.answers(6)).await;
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// A header as bytes: a frame without data.
fn frame_of(head: Header) -> Vec<u8> {
    head.encode().to_vec()
}
