//! `/v1/blobs` and `/v1/uploads`: whole, in parts, cut, refused.

use meshwork_core::{BlobForm, BlobHash};

use super::*;
use crate::{ErrorCode, UploadView};

mod space;

fn hash(bytes: &[u8]) -> BlobHash {
    BlobHash::of(bytes)
}

impl Fixture {
    /// A node whose blobs may take so many bytes.
    async fn with_space(bytes: u64) -> Self {
        let offered = meshwork_node::Offered { disk_bytes: Some(bytes), ..Default::default() };
        let config = NetworkConfig { offered, ..config("ant") };
        let manager = NetworkManager::builder().config(config).build().unwrap();
        manager.start().await.unwrap();
        Self::serving(manager)
    }

    /// Sends one request, and reads its whole answer.
    async fn ask(&self, head: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = self.raw().await;
        let head = format!("{head}\r\nHost: x\r\nConnection: close\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        if !head.starts_with("GET") && !head.starts_with("HEAD") {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(length.as_bytes()).await.unwrap();
        }
        stream.write_all(b"\r\n").await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        (String::from_utf8(answer).unwrap(), body)
    }

    async fn begin_upload(&self, request: &str) -> UploadView {
        let (head, body) = self.ask("POST /v1/uploads HTTP/1.1", request.as_bytes()).await;
        assert!(head.starts_with("HTTP/1.1 201"), "{head}");
        serde_json::from_slice(&body).unwrap()
    }

    /// The reserved bytes, after the node has noticed what was given back.
    async fn reserved(&self) -> u64 {
        self.client.blobs().collect().await.unwrap();
        self.client.node().await.unwrap().blobs.unwrap().reserved_bytes
    }

    /// Waits until the node has given back all reserved bytes.
    async fn nothing_stays_reserved(&self) {
        for _ in 0..200 {
            if self.reserved().await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} bytes stay reserved", self.reserved().await);
    }
}

#[tokio::test]
async fn a_blob_is_added_and_read_whole_and_in_parts() {
    let server = Fixture::running().await;
    let hash = hash(b"0123456789");
    let (head, body) =
        server.ask(&format!("POST /v1/blobs?hash={hash} HTTP/1.1"), b"0123456789").await;
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert_eq!(String::from_utf8(body).unwrap(), format!(r#"{{"hash":"{hash}","size":10}}"#));

    let get = |more: &str| format!("GET /v1/blobs/{hash} HTTP/1.1{more}");
    let (head, body) = server.ask(&get(""), b"").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for header in [
        &*format!("etag: \"{hash}\""),
        "content-length: 10",
        "accept-ranges: bytes",
        "content-type: application/octet-stream",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(&format!("{header}\r\n")), "{header} in {head}");
    }
    assert_eq!(body, b"0123456789");

    let (head, body) = server.ask(&get("\r\nRange: bytes=2-4"), b"").await;
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert!(head.contains("content-range: bytes 2-4/10\r\n"), "{head}");
    assert_eq!(body, b"234");
    let (head, _) = server.ask(&get("\r\nRange: bytes=10-"), b"").await;
    assert!(head.starts_with("HTTP/1.1 416"), "{head}");
    assert!(head.contains("content-range: bytes */10\r\n"), "{head}");
    let (head, body) = server.ask(&get(&format!("\r\nIf-None-Match: \"{hash}\"")), b"").await;
    assert!(head.starts_with("HTTP/1.1 304") && body.is_empty(), "{head}");
    let (head, body) = server.ask(&format!("HEAD /v1/blobs/{hash} HTTP/1.1"), b"").await;
    assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head}");
    assert!(head.contains("content-length: 10\r\n"), "{head}");
    server.end().await;
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let server = Fixture::running().await;
    let blob = server.client.blobs().add_reader(&b""[..], |_| {}).await.unwrap();
    assert_eq!((blob.hash, blob.size), (hash(b""), 0));
    let path = server._home.path().join("empty");
    server.client.blobs().save(&blob, &path, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    // The same error as for a folder.
    let exists = server.client.blobs().save(&blob, &path, |_| {}).await.unwrap_err();
    assert_eq!(exists.code(), ErrorCode::TargetExists);
    assert!(matches!(exists, crate::TransferError::Unpack(_)), "{exists:?}");
    server.end().await;
}

/// Peak memory of this process in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn large_blobs_stream_in_both_directions() {
    const SIZE: u64 = 64 << 20;
    let server = Fixture::running().await;
    let before = peak();
    let sent = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        sent.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let source = AsyncReadExt::take(tokio::io::repeat(7), SIZE);
    let blob = server.client.blobs().add_reader(source, count).await.unwrap();
    assert_eq!((blob.size, blob.form), (SIZE, BlobForm::FILE));
    let path = server._home.path().join("copy");
    server.client.blobs().save(&blob, &path, count).await.unwrap();
    assert_eq!(sent.into_inner(), 2 * SIZE);
    let grown = peak() - before;
    assert!(grown < 40 << 20, "{grown} bytes more");

    let again = server.client.blobs().add_file(&path, |_| {}).await.unwrap();
    assert_eq!(again, blob);
    server.nothing_stays_reserved().await;
    server.end().await;
}

#[tokio::test]
async fn an_upload_goes_on_after_a_cut() {
    let server = Fixture::running().await;
    let UploadView { id, offset } = server.begin_upload(r#"{"size":10}"#).await;
    assert_eq!(offset, 0);
    let mut cut = server.raw().await;
    let head = format!("PATCH /v1/uploads/{id}?offset=0 HTTP/1.1\r\nHost: x\r\n");
    cut.write_all(format!("{head}Content-Length: 10\r\n\r\n01234").as_bytes()).await.unwrap();
    // Another request cannot have it meanwhile.
    while !matches!(&server.show(&id).await, Err(problem) if problem.code == ErrorCode::Busy) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(cut);
    let offset = loop {
        match server.show(&id).await {
            Ok(view) => break view.offset,
            Err(problem) => assert_eq!(problem.code, ErrorCode::Busy),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(offset, 5);
    let patch = |offset: u64| format!("PATCH /v1/uploads/{id}?offset={offset} HTTP/1.1");
    let (head, body) = server.ask(&patch(3), b"34567").await;
    assert!(head.starts_with("HTTP/1.1 409"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains(r#""code":"conflict""#));
    server.ask(&patch(5), b"56789").await;
    let finish = format!("POST /v1/uploads/{id}/finish HTTP/1.1");
    let (_, stored) = server.ask(&finish, b"").await;
    let expected = format!(r#"{{"hash":"{}","size":10}}"#, hash(b"0123456789"));
    assert_eq!(String::from_utf8(stored).unwrap(), expected);
    // A client that missed the answer asks again.
    let (_, again) = server.ask(&finish, b"").await;
    assert_eq!(String::from_utf8(again).unwrap(), expected);
    let (head, _) = server.ask(&patch(10), b"more").await;
    assert!(head.starts_with("HTTP/1.1 409"), "{head}");
    server.nothing_stays_reserved().await;
    server.end().await;
}

impl Fixture {
    async fn show(&self, id: &str) -> Result<UploadView, crate::Problem> {
        let (head, body) = self.ask(&format!("GET /v1/uploads/{id} HTTP/1.1"), b"").await;
        if head.starts_with("HTTP/1.1 200") {
            return Ok(serde_json::from_slice(&body).unwrap());
        }
        Err(serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let server = Fixture::running().await;
    for request in [
        "POST /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome",
        "POST /v1/blobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    ] {
        let mut gone = server.raw().await;
        gone.write_all(request.as_bytes()).await.unwrap();
        while server.reserved().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(gone);
        server.nothing_stays_reserved().await;
    }
    let upload = server.begin_upload(r#"{"size":1000}"#).await;
    assert_eq!(server.reserved().await, 1000);
    let (head, _) = server.ask(&format!("DELETE /v1/uploads/{} HTTP/1.1", upload.id), b"").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(server.show(&upload.id).await.unwrap_err().status, 404);
    server.nothing_stays_reserved().await;
    assert!(server.client.blobs().list("").await.unwrap().items.is_empty());
    server.end().await;
}

#[tokio::test]
async fn an_upload_ends_when_no_piece_comes() {
    let server = Fixture::running().await;
    let upload = server.begin_upload(r#"{"size":1000}"#).await;
    tokio::time::pause();
    tokio::time::advance(limits::UPLOAD_REST / 2).await;
    tokio::time::resume();
    assert_eq!(server.show(&upload.id).await.unwrap().offset, 0);
    tokio::time::pause();
    tokio::time::advance(limits::UPLOAD_REST + limits::UPLOAD_SWEEP).await;
    tokio::time::resume();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let problem = server.show(&upload.id).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (404, ErrorCode::NotFound));
    server.nothing_stays_reserved().await;
    server.end().await;
}

#[tokio::test]
async fn a_body_that_falls_silent_is_refused_and_may_go_on() {
    let server = Fixture::running().await;
    let upload = server.begin_upload("{}").await;
    let mut slow = server.raw().await;
    let path = format!("/v1/uploads/{}?offset=0", upload.id);
    let head = format!("PATCH {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    slow.write_all(format!("{head}Content-Length: 4\r\n\r\nab").as_bytes()).await.unwrap();
    while server.show(&upload.id).await.is_ok() || server.reserved().await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::pause();
    tokio::time::advance(limits::PIECE_TIMEOUT + Duration::from_secs(1)).await;
    tokio::time::resume();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(server.show(&upload.id).await.unwrap().offset, 2);
    server.end().await;
}

#[tokio::test]
async fn what_is_refused_is_refused_before_the_body() {
    let server = Fixture::with_space(1 << 20).await;
    let expects = "Expect: 100-continue\r\nConnection: close\r\nHost: x\r\n";
    let cases = [
        ("POST /v1/blobs?content=link", "10", 400, "bad_request"),
        ("POST /v1/blobs?hash=12", "10", 400, "bad_request"),
        ("POST /v1/blobs?path=/etc/passwd", "10", 400, "bad_request"),
        ("POST /v1/blobs", "2000000", 507, "no_space"),
        ("POST /v1/blobs", "1152921504606846976", 507, "no_space"),
        ("PATCH /v1/uploads/1?offset=0", "10", 400, "bad_request"),
        ("PATCH /v1/uploads/019aa2c4-0000-7000-8000-0000008f3a21?offset=0", "9", 404, "not_found"),
    ];
    for (what, length, status, code) in cases {
        let request = format!("{what} HTTP/1.1\r\n{expects}Content-Length: {length}\r\n\r\n");
        let answer = server.exchange(&request).await;
        // No `100 Continue` before it.
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{what}: {answer}");
    }
    let request = format!("POST /v1/blobs HTTP/1.1\r\n{expects}Content-Length: 2\r\n\r\nab");
    let answer = server.exchange(&request).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");

    let too_large =
        server.client.blobs().add_reader(tokio::io::repeat(1), |_| {}).await.unwrap_err();
    assert_eq!(too_large.code(), ErrorCode::NoSpace);
    server.nothing_stays_reserved().await;
    server.end().await;
}

#[tokio::test]
async fn a_folder_that_does_not_fit_is_refused_before_its_first_byte() {
    let server = Fixture::with_space(1 << 20).await;
    let folder = server._home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..8_u64 {
        // Each of them would fit.
        let file = std::fs::File::create(folder.join(number.to_string())).unwrap();
        file.set_len((200 << 10) + number).unwrap();
    }
    let refused = server.client.blobs().add(&folder, |_| panic!("sent")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    server.nothing_stays_reserved().await;
    assert!(server.client.blobs().list("").await.unwrap().items.is_empty());
    server.end().await;
}

#[tokio::test]
async fn bytes_that_are_not_what_was_said_are_refused() {
    let server = Fixture::running().await;
    let other = hash(b"other");
    let (head, body) = server.ask(&format!("POST /v1/blobs?hash={other} HTTP/1.1"), b"bytes").await;
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 422") && body.contains("other_hash"), "{head}{body}");
    for content in ["part", "folder"] {
        let what = format!("POST /v1/blobs?content={content} HTTP/1.1");
        let (head, body) = server.ask(&what, b"no list").await;
        let body = String::from_utf8(body).unwrap();
        assert!(head.starts_with("HTTP/1.1 422") && body.contains("bad_folder"), "{head}{body}");
    }
    let (head, body) = server.ask(&format!("GET /v1/blobs/{other} HTTP/1.1"), b"").await;
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 404") && body.contains("blob_missing"), "{head}{body}");
    server.nothing_stays_reserved().await;
    assert!(server.client.blobs().list("").await.unwrap().items.is_empty());
    server.end().await;
}

#[tokio::test]
async fn blobs_are_listed_pinned_and_removed() {
    let server = Fixture::running().await;
    let mut hashes = Vec::new();
    for number in 0..20_u8 {
        hashes.push(server.client.blobs().add_reader(&[number; 3][..], |_| {}).await.unwrap().hash);
    }
    hashes.sort_unstable();
    let listed = server.client.blobs().list("").await.unwrap().items;
    assert_eq!(listed.iter().map(|blob| blob.hash).collect::<Vec<_>>(), hashes);
    for hash in &hashes {
        let short = &hash.to_string()[..10];
        let found = server.client.blobs().list(short).await.unwrap().items;
        assert_eq!(found.iter().map(|blob| blob.hash).collect::<Vec<_>>(), [*hash]);
    }
    for prefix in ["x", "0x", "é", &"0".repeat(65)] {
        let refused = api_error(server.client.blobs().list(prefix).await.unwrap_err());
        assert_eq!(refused.status, 400, "{prefix}");
    }
    let one = hashes[0];
    assert!(server.client.blobs().pin(&one, true).await.unwrap().pinned);
    assert!(!server.client.blobs().pin(&one, false).await.unwrap().pinned);
    assert!(server.client.blobs().remove(&one).await.unwrap().freed_bytes > 0);
    let missing = api_error(server.client.blobs().remove(&one).await.unwrap_err());
    assert_eq!((missing.status, missing.code), (404, ErrorCode::BlobMissing));
    let missing = api_error(server.client.blobs().pin(&one, true).await.unwrap_err());
    assert_eq!(missing.code, ErrorCode::BlobMissing);
    // New ones stay.
    assert_eq!(server.client.blobs().collect().await.unwrap().freed_bytes, 0);
    let space = server.client.node().await.unwrap().blobs.unwrap();
    assert_eq!((space.blobs, space.lost, space.reserved_bytes), (19, 0, 0));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_travel_whole() {
    let server = Fixture::running().await;
    let from = server._home.path().join("from");
    std::fs::create_dir_all(from.join("a/empty")).unwrap();
    let large: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    std::fs::write(from.join("a/large"), &large).unwrap();
    std::fs::write(from.join("two\nlines 'x'"), "small").unwrap();
    std::os::unix::fs::symlink("a/large", from.join("link")).unwrap();
    let folder = server.client.blobs().add(&from, |_| {}).await.unwrap();
    assert_eq!(folder.form, BlobForm::Folder);
    assert_eq!(server.client.blobs().folder(folder.hash).await.unwrap(), folder);

    let to = server._home.path().join("to");
    server.client.blobs().save(&folder, &to, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(to.join("a/large")).unwrap(), large);
    assert_eq!(std::fs::read(to.join("two\nlines 'x'")).unwrap(), b"small");
    assert_eq!(std::fs::read_link(to.join("link")).unwrap(), PathBuf::from("a/large"));
    assert!(to.join("a/empty").is_dir());
    let exists = server.client.blobs().save(&folder, &to, |_| {}).await.unwrap_err();
    assert_eq!(exists.code(), ErrorCode::TargetExists);

    // A blob that a folder names stays.
    let used = api_error(server.client.blobs().remove(&hash(&large)).await.unwrap_err());
    assert_eq!((used.status, used.code), (409, ErrorCode::BlobInUse));

    // A link to outside is refused before anything is sent.
    std::os::unix::fs::symlink("/etc", from.join("outside")).unwrap();
    let outside = server.client.blobs().add(&from, |_| panic!("sent")).await.unwrap_err();
    assert_eq!(outside.code(), ErrorCode::UnsupportedLink);
    server.nothing_stays_reserved().await;
    server.end().await;
}

#[tokio::test]
async fn transfers_are_bounded() {
    let server = Fixture::running().await;
    let mut uploads = Vec::new();
    for _ in 0..limits::UPLOADS {
        uploads.push(server.begin_upload("{}").await.id);
    }
    let (head, body) = server.ask("POST /v1/uploads HTTP/1.1", b"{}").await;
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && body.contains(r#""code":"busy""#), "{head}{body}");
    for id in uploads {
        server.ask(&format!("DELETE /v1/uploads/{id} HTTP/1.1"), b"").await;
    }
    let blob = server
        .client
        .blobs()
        .add_reader(AsyncReadExt::take(tokio::io::repeat(1), 4 << 20), |_| {})
        .await
        .unwrap();
    let get = format!("GET /v1/blobs/{} HTTP/1.1\r\nHost: x\r\n\r\n", blob.hash);
    let mut readers = Vec::new();
    for _ in 0..limits::DOWNLOADS {
        let mut reader = server.raw().await;
        reader.write_all(get.as_bytes()).await.unwrap();
        // The answer has begun, and its reader reads no more.
        reader.read_exact(&mut [0; 12]).await.unwrap();
        readers.push(reader);
    }
    let mut refused = server.raw().await;
    refused.write_all(get.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    refused.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 503");
    // Readers that go away leave their places.
    drop(readers);
    let path = server._home.path().join("copy");
    server.client.blobs().save(&blob, &path, |_| {}).await.unwrap();
    server.end().await;
}

/// A socket that passes everything on to the server, and cuts each of its first connections after
/// so many bytes.
fn cutting(server: &Fixture, mut cuts: u32, after: u64) -> Client {
    let path = server._home.path().join("cutting.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let to = server.path.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_node, mut to_node) = UnixStream::connect(&to).await.unwrap().into_split();
            let most = if cuts > 0 { after } else { u64::MAX };
            cuts = cuts.saturating_sub(1);
            tokio::spawn(async move {
                let (mut there, mut back) =
                    ((&mut from_client).take(most), (&mut from_node).take(most));
                tokio::select! {
                    _ = tokio::io::copy(&mut there, &mut to_node) => {}
                    _ = tokio::io::copy(&mut back, &mut to_client) => {}
                }
            });
        }
    });
    Client::new(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_after_each_cut() {
    const SIZE: u64 = 12 << 20;
    let server = Fixture::running().await;
    let bytes: Vec<u8> = (0..SIZE).map(|place| (place / 1000) as u8).collect();
    let file = server._home.path().join("file");
    std::fs::write(&file, &bytes).unwrap();
    let client = cutting(&server, 8, 3 << 20);
    let sent = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        sent.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let blob = client.blobs().add(&file, count).await.unwrap();
    assert_eq!(blob.hash, hash(&bytes));
    let copy = server._home.path().join("copy");
    client.blobs().save(&blob, &copy, count).await.unwrap();
    assert_eq!(hash(&std::fs::read(&copy).unwrap()), blob.hash);
    assert_eq!(sent.into_inner(), 2 * SIZE);
    server.nothing_stays_reserved().await;
    server.end().await;
}

#[tokio::test]
async fn a_slow_reader_is_served_and_a_dead_one_is_cut() {
    let server = Fixture::running().await;
    let source = AsyncReadExt::take(tokio::io::repeat(1), 4 << 20);
    let blob = server.client.blobs().add_reader(source, |_| {}).await.unwrap();
    let head = format!("GET /v1/blobs/{} HTTP/1.1\r\nHost: x\r\n", blob.hash);
    for (waits, whole) in [(limits::WRITE_TIMEOUT * 3, true), (limits::BLOB_WRITE_TIMEOUT, false)] {
        let mut slow = server.raw().await;
        slow.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        slow.read_exact(&mut [0; 12]).await.unwrap();
        // The socket's buffer is full.
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::time::pause();
        tokio::time::advance(waits + Duration::from_secs(1)).await;
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).await.ok();
        assert_eq!(rest.len() as u64 > blob.size, whole, "{waits:?}: {} bytes", rest.len());
    }
    server.end().await;
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_refused() {
    let server = Fixture::running().await;
    let path = server._home.path().join("file");
    std::fs::write(&path, vec![1; 10 << 20]).unwrap();
    // Every piece appends to the file.
    let append = |_| {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"more").unwrap();
    };
    let error = server.client.blobs().add(&path, append).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InputChanged);
    server.nothing_stays_reserved().await;
    assert!(server.client.blobs().list("").await.unwrap().items.is_empty());
    server.end().await;
}

#[tokio::test]
async fn a_node_of_an_earlier_version_is_named_as_such() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("old.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            let problem = crate::Problem::new(
                axum::http::StatusCode::NOT_FOUND,
                ErrorCode::NoSuchRoute,
                "no route",
            );
            let body = serde_json::to_string(&problem).unwrap();
            let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    let blobs = Client::new(path).blobs();
    let blob = meshwork_core::BlobRef::file(hash(b""), 9, false);
    let small = blobs.add_bytes(crate::BlobContent::File, "small".into()).await.unwrap_err();
    for error in [
        blobs.add_reader(&b"x"[..], |_| {}).await.unwrap_err(),
        blobs.save(&blob, &home.path().join("copy"), |_| {}).await.unwrap_err(),
        blobs.list("").await.unwrap_err().into(),
        blobs.collect().await.unwrap_err().into(),
        small.into(),
    ] {
        assert_eq!(error.code(), ErrorCode::Unsupported);
        assert!(error.to_string().contains("earlier version"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_a_file_is_streamed() {
    let server = Fixture::running().await;
    let client = &server.client;
    let source = AsyncReadExt::take(tokio::io::repeat(b'a'), 3_000_000);
    let input = client.blobs().add_reader(source, |_| {}).await.unwrap();
    let spec = crate::TaskSpec {
        input: Some(crate::Payload::Blob(input)),
        ..crate::TaskSpec::new("text/upper")
    };
    let task = client.submit(&spec, Duration::from_secs(20)).await.unwrap();
    let output = task.output_blob.expect("a blob");
    assert_eq!((output.size, task.output_bytes), (3_000_000, Some(3_000_000)));
    assert_eq!(output.hash, hash(&vec![b'A'; 3_000_000]));
    assert_eq!(client.result(&task.id).await.unwrap(), vec![b'A'; 3_000_000]);
    let get = format!("GET /v1/tasks/{}/result HTTP/1.1\r\nRange: bytes=-2", task.id);
    let (head, body) = server.ask(&get, b"").await;
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert!(head.contains("content-range: bytes 2999998-2999999/3000000\r\n"), "{head}");
    assert_eq!(body, b"AA");
    // The tasks need both.
    let used = api_error(client.blobs().remove(&output.hash).await.unwrap_err());
    assert_eq!(used.code, ErrorCode::BlobInUse);

    let lost = crate::TaskSpec {
        input: Some(crate::Payload::Blob(meshwork_core::BlobRef { hash: hash(b"no"), ..input })),
        ..spec
    };
    let refused = api_error(client.submit(&lost, Duration::ZERO).await.unwrap_err());
    assert_eq!((refused.status, refused.code), (404, ErrorCode::BlobMissing));
    server.end().await;
}
