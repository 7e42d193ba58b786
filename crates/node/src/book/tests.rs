use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;

fn address(port: usize) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{}", 2_000 + port).parse().unwrap()
}

fn no_peers() -> HashSet<PeerId> {
    HashSet::new()
}

fn note(book: &mut Book, peer: PeerId, ready_at: u64, addresses: &[Multiaddr], grain: u64) -> bool {
    book.note(&Meeting { peer, ready_at, addresses, name: "" }, &no_peers(), grain)
}

/// A book of `count` peers, each met a minute after the one before.
fn book_of(count: usize) -> (Book, Vec<PeerId>) {
    let mut book = Book::new("test");
    let peers: Vec<PeerId> = (0..count).map(|_| PeerId::random()).collect();
    for (minute, peer) in (1..).zip(&peers) {
        assert!(note(&mut book, *peer, NOW - DAY + 60 * minute, &[address(0)], 1));
    }
    (book, peers)
}

fn parse(text: &str) -> Result<(Book, usize), BookError> {
    Book::parse(text, "test", NOW)
}

#[test]
fn saved_book_is_read_back_unchanged() {
    let (mut book, peers) = book_of(3);
    let dns_address = "/dns4/bee.example/udp/4101/quic-v1".parse().unwrap();
    let ip6 = "/ip6/2001:4860::1/tcp/4101".parse().unwrap();
    assert!(note(&mut book, peers[1], NOW, &[dns_address, ip6], 1));
    assert_eq!(parse(&book.text()), Ok((book, 0)));
    assert_eq!(parse(&Book::new("test").text()), Ok((Book::new("test"), 0)));
}

#[test]
fn last_met_peers_are_dialled_first_and_trusted_ones_kept() {
    let (book, peers) = book_of(3);
    let trusted = HashSet::from([peers[0]]);
    let clock = Clock::start();
    let known = |nth: usize, keep| {
        let ready_at = NOW - DAY + 60 * (nth as u64 + 1);
        let ready_at = clock.time(i64::try_from(ready_at * 1_000).unwrap());
        Remembered::new(peers[nth], &[address(0)], keep).unwrap().last_met("", ready_at)
    };
    let expected = [known(2, false), known(1, false), known(0, true)];
    assert_eq!(book.remembered(&trusted, clock), expected);
}

#[test]
fn names_are_saved_and_a_forgotten_peer_is_removed() {
    let (mut book, peers) = book_of(2);
    let addresses = [address(0)];
    let name = "the bee = 100 % \u{fc}";
    let meeting = Meeting { peer: peers[0], ready_at: NOW, addresses: &addresses, name };
    assert!(book.note(&meeting, &no_peers(), 1));
    assert!(
        !book.note(&Meeting { name: "", ..meeting }, &no_peers(), 3600),
        "an empty name changes nothing"
    );
    let (mut read, bad) = parse(&book.text()).unwrap();
    assert_eq!((&read, bad), (&book, 0));
    assert!(read.text().contains("name=the%20bee"), "{}", read.text());
    assert!(read.forget(&peers[0]) && !read.forget(&peers[0]));
    assert!(!read.text().contains(&peers[0].to_string()));
    let damaged = book.text().replace("name=the%20", "name=the%2g");
    assert_eq!(parse(&damaged).unwrap().1, 1, "the line is left out");
}

#[test]
fn trusted_peer_is_remembered_without_an_address() {
    let (trusted, stranger) = (PeerId::random(), PeerId::random());
    let list = HashSet::from([trusted]);
    let mut book = Book::new("test");
    let meeting = |peer| Meeting { peer, ready_at: NOW, addresses: &[], name: "laptop" };
    assert!(book.note(&meeting(trusted), &list, 1));
    assert!(!book.note(&meeting(stranger), &list, 1));
    let (read, bad) = parse(&book.text()).unwrap();
    assert_eq!((&read, bad), (&book, 0));
    let clock = Clock::start();
    let ready_at = clock.time(i64::try_from(NOW * 1_000).unwrap());
    let known = Remembered::new(trusted, &[], true).unwrap().last_met("laptop", ready_at);
    assert_eq!(read.remembered(&list, clock), [known]);
    // An untrusted peer without an address is not dialled.
    assert!(read.remembered(&no_peers(), clock).is_empty());
}

#[test]
fn book_of_another_network_or_format_is_not_used() {
    let (book, _) = book_of(1);
    let other = Book::parse(&book.text(), "other", NOW);
    assert_eq!(other, Err(BookError::OtherNetwork("test".to_owned())));
    let bodies = ["", "\n", "nonsense\n", "meshwork-peers 2 test\n", "meshwork-peers 1\n"];
    for text in bodies.into_iter().chain(["meshwork-peers 1 te\u{1b}[2Jst\n", "\u{0}\u{0}"]) {
        assert_eq!(parse(text), Err(BookError::NotABook), "{text:?}");
    }
    let long = format!("meshwork-peers 1 {}\n", "x".repeat(100_000));
    let Err(BookError::OtherNetwork(named)) = parse(&long) else { panic!("another network") };
    assert_eq!(named.len(), net_limits::NETWORK_NAME);
    let mut text = book.text();
    text.push_str(&"\n".repeat(limits::BOOK_FILE));
    assert_eq!(parse(&text), Err(BookError::TooLong));
}

#[test]
fn unreadable_line_is_skipped_and_all_others_are_read() {
    let (book, peers) = book_of(1);
    let peer = PeerId::random();
    let stranger = PeerId::random();
    let lines = [
        String::new(),
        "nobody 1 /ip4/127.0.0.1/tcp/4101".to_owned(),
        format!("{peer}"),
        format!("{peer} 1"),
        format!("{peer} yesterday /ip4/127.0.0.1/tcp/4101"),
        format!("{peer} -1 /ip4/127.0.0.1/tcp/4101"),
        format!("{peer} 1 nowhere"),
        format!("{peer} 1 /ip4/127.0.0.1/tcp/4101\u{7}"),
        format!("{peer} 1 /dns4/\u{202e}bee/tcp/4101"),
        format!("{peer}\t1\t/ip4/127.0.0.1/tcp/4101"),
        // Addresses that are never dialled.
        format!("{peer} 1 /ip4/127.0.0.1/tcp/6379"),
        format!("{peer} 1 /ip4/127.0.0.1/tcp/22"),
        format!("{peer} 1 /ip4/127.0.0.1/tcp/0"),
        format!("{peer} 1 /ip4/169.254.169.254/tcp/4101"),
        format!("{peer} 1 /ip4/0.0.0.0/tcp/4101"),
        format!("{peer} 1 /ip4/255.255.255.255/udp/4101/quic-v1"),
        format!("{peer} 1 /ip4/127.0.0.1/udp/4101"),
        format!("{peer} 1 /ip4/127.0.0.1/tcp/4101/p2p/{stranger}"),
        format!("{peer} 1 /dns4/{}/tcp/4101", "b".repeat(limits::BOOK_ADDRESS)),
    ];
    let count = lines.len();
    let text = format!("{}{}\n", book.text(), lines.join("\n"));
    let (read, bad) = parse(&text).unwrap();
    assert_eq!((&read, bad), (&book, count), "{text}");
    assert_eq!(read.remembered(&no_peers(), Clock::start()).len(), 1);
    // A second line of a peer does not change the first.
    let text = format!("{}{} {NOW} /ip4/127.0.0.1/tcp/4101\n", book.text(), peers[0]);
    assert_eq!(parse(&text), Ok((book, 0)));
}

#[test]
fn full_book_drops_the_longest_unseen_peers() {
    let most = net_limits::REMEMBERED_PEERS;
    let (mut book, peers) = book_of(most);
    let trusted = HashSet::from([peers[0]]);
    // Peers that stay connected do not replace each other.
    let (addresses, late) = ([address(0)], NOW - DAY + 120 + limits::BOOK_GRAIN);
    let late = Meeting { peer: PeerId::random(), ready_at: late, addresses: &addresses, name: "" };
    assert!(!book.note(&late, &trusted, 1));
    assert!(book.note(&Meeting { ready_at: late.ready_at + 1, ..late }, &trusted, 1));
    assert_eq!(book.peers.len(), most);
    assert!(book.peers.contains_key(&peers[0]), "trusted, though the longest unseen");
    assert!(!book.peers.contains_key(&peers[1]));
    // A file that a user made longer: the longest unseen peers are removed, except trusted ones.
    let old: Vec<PeerId> = (0..10).map(|_| PeerId::random()).collect();
    let line = |peer: &PeerId| format!("{peer} {} {}\n", NOW - 2 * DAY, address(0));
    let text = book.text() + &old.iter().map(line).collect::<String>();
    let (mut read, bad) = parse(&text).unwrap();
    assert_eq!((read.peers.len(), bad), (most + 10, 0));
    let trusted = HashSet::from([old[5]]);
    assert!(read.trim(NOW, &trusted));
    assert_eq!(read.peers.len(), most);
    let left: Vec<_> = old.iter().filter(|peer| read.peers.contains_key(*peer)).collect();
    assert_eq!(left, [&old[5]]);
    assert!(!read.trim(NOW, &trusted));
}

#[test]
fn addresses_are_few_and_the_newest_come_first() {
    let mut book = Book::new("test");
    let peer = PeerId::random();
    let many: Vec<Multiaddr> = (0..10).map(address).collect();
    assert!(note(&mut book, peer, NOW, &many, 1));
    assert_eq!(book.peers[&peer].addresses, many[..4]);
    assert!(note(&mut book, peer, NOW, &many[8..9], 1));
    assert_eq!(book.peers[&peer].addresses, [8, 0, 1, 2].map(address));
    let line = format!("{peer} {NOW} {}", many.iter().map(|a| format!("{a} ")).collect::<String>());
    let text = format!("{FORMAT} test\n{}\n", line.trim());
    assert_eq!(parse(&text).unwrap().0.peers[&peer].addresses, many[..4]);
}

#[test]
fn only_changes_beyond_the_grain_need_a_write() {
    let mut book = Book::new("test");
    let (peer, addresses) = (PeerId::random(), [address(0)]);
    assert!(!note(&mut book, peer, NOW, &[], 60), "no address to find it again");
    assert!(note(&mut book, peer, NOW, &addresses, 60));
    assert!(!note(&mut book, peer, NOW + 59, &addresses, 60));
    assert!(!note(&mut book, peer, NOW - DAY, &addresses, 60));
    assert!(!note(&mut book, peer, NOW, &[], 60), "known addresses are kept");
    assert!(
        note(&mut book, peer, NOW + 59, &addresses, 1),
        "the last write is exact to the second"
    );
    assert!(note(&mut book, peer, NOW + 59, &[address(1)], 60));
}

#[test]
fn peer_not_met_for_thirty_days_is_forgotten() {
    let mut book = Book::new("test");
    let (old, young, future) = (PeerId::random(), PeerId::random(), PeerId::random());
    assert!(note(&mut book, old, NOW - limits::BOOK_LIFE, &[address(0)], 1));
    assert!(note(&mut book, young, NOW - limits::BOOK_LIFE + 1, &[address(0)], 1));
    assert!(book.trim(NOW, &HashSet::from([old])));
    assert_eq!(book.peers.keys().copied().collect::<Vec<_>>(), [young]);
    assert!(note(&mut book, future, u64::MAX, &[address(0)], 1));
    let (read, bad) = parse(&book.text()).unwrap();
    assert_eq!((read.peers[&future].ready_at, bad), (NOW, 0), "a time in the future counts as now");
}

#[test]
fn a_full_book_of_long_addresses_can_be_read_again() {
    let (mut book, peers) = book_of(net_limits::REMEMBERED_PEERS);
    let host = format!("{0}.{0}.{0}.{0}", "b".repeat(55));
    let long: Vec<Multiaddr> =
        (0..4).map(|n| format!("/dns4/{host}/tcp/{}", 60_000 + n).parse().unwrap()).collect();
    assert!(long[0].to_string().len() <= limits::BOOK_ADDRESS);
    for peer in peers {
        assert!(note(&mut book, peer, NOW, &long, 1));
    }
    assert!(book.text().len() <= limits::BOOK_FILE, "{} bytes", book.text().len());
    assert_eq!(parse(&book.text()), Ok((book, 0)));
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused_without_a_panic(text in "\\PC{0,200}", lines in proptest::collection::vec("[ -~]{0,80}", 0..20)) {
        parse(&text).ok();
        let (mut book, _) = parse(&format!("{FORMAT} test\n{}", lines.join("\n"))).unwrap();
        book.trim(NOW, &no_peers());
        let written = book.text();
        prop_assert_eq!(parse(&written).unwrap(), (book, 0));
    }
}
