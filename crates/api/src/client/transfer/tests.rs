use super::*;

#[tokio::test]
async fn a_thread_that_panics_is_an_internal_error() {
    let work = || -> () { panic!("a fault of the program") };
    let error = blocking(work).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal, "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn wait_for_a_busy_node_is_noticed() {
    let noticed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&noticed);
    let notice =
        BusyNotice(Arc::new(move |problem: &Problem| seen.lock().unwrap().push(problem.status)));
    let mut tries = Tries::new(Some(&notice));
    tries.progress();
    let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
    let answer = |code: ErrorCode| {
        let problem = Problem::new(status, code, "no").retry_after(Duration::from_secs(1));
        ClientError::Api(Box::new(problem))
    };
    tries.rest(answer(ErrorCode::Busy)).await.unwrap();
    tries.rest(answer(ErrorCode::Busy)).await.unwrap();
    tries.rest(answer(ErrorCode::Timeout)).await.unwrap();
    assert_eq!(*noticed.lock().unwrap(), [503, 503]);
    // It does not wait for space.
    tries.rest(answer(ErrorCode::NoSpace)).await.unwrap_err();
    assert_eq!(noticed.lock().unwrap().len(), 2);
}
