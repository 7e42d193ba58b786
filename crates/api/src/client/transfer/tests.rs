use super::*;

#[tokio::test]
async fn a_thread_that_panics_is_an_internal_error() {
    let work = || -> () { panic!("a fault of the program") };
    let error = blocking(work).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal, "{error}");
    assert!(!error.is_retryable());
}
