//! Tests of the space of uploads that fail.

use super::*;

/// A source that fails.
struct Broken;

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

#[tokio::test]
async fn what_does_not_fit_frees_its_space_at_once() {
    let server = Fixture::with_space(32 << 20).await;
    let blobs = server.client.blobs();
    let endless = blobs.add_reader(tokio::io::repeat(1), |_| {}).await.unwrap_err();
    assert_eq!(endless.code(), ErrorCode::NoSpace);
    assert_eq!(server.reserved().await, 0, "an upload that is left alone ends much later");
    let broken = AsyncReadExt::chain(&[1; 4096][..], Broken);
    let error = server.client.blobs().add_reader(broken, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InputUnreadable);
    assert_eq!(server.reserved().await, 0);
    server.end().await;
}

#[tokio::test]
async fn an_upload_of_another_size_than_announced_frees_its_space() {
    let server = Fixture::running().await;
    for (body, last) in [("0123", "finish"), ("0123456789x", "append")] {
        let id = server.begin_upload(r#"{"size":10}"#).await.id;
        let append = format!("PATCH /v1/uploads/{id}?offset=0 HTTP/1.1");
        let mut answer = server.ask(&append, body.as_bytes()).await;
        if last == "finish" {
            assert!(answer.0.starts_with("HTTP/1.1 200"), "{}", answer.0);
            answer = server.ask(&format!("POST /v1/uploads/{id}/finish HTTP/1.1"), b"").await;
        }
        let (head, body) = (answer.0, String::from_utf8(answer.1).unwrap());
        assert!(head.starts_with("HTTP/1.1 422") && body.contains("other_size"), "{head}{body}");
        assert_eq!(server.show(&id).await.unwrap_err().status, 404);
    }
    server.nothing_stays_reserved().await;
    assert!(server.client.blobs().list("").await.unwrap().items.is_empty());
    server.end().await;
}

#[tokio::test]
async fn a_file_of_a_folder_that_shrinks_on_its_way_is_changed() {
    let server = Fixture::running().await;
    let folder = server._home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let file = std::fs::File::create(folder.join("file")).unwrap();
    file.set_len(2 * limits::PIECE_BYTES as u64).unwrap();
    let shrink = |_| file.set_len(limits::PIECE_BYTES as u64).unwrap();
    let error = server.client.blobs().add(&folder, shrink).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InputChanged, "{error}");
    server.nothing_stays_reserved().await;
    server.end().await;
}
