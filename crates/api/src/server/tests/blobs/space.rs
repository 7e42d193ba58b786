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
