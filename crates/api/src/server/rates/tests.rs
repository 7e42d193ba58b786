//! Calls the routes without a socket, because waiting for a socket would let paused time run.

use axum::{Router, body::Body, http::Method};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use meshwork_node::NetworkManager;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    limits,
    server::{
        events,
        routes::{self, Context},
    },
};

/// The routes of a node that never starts.
fn api() -> TowerToHyperService<Router> {
    let manager = NetworkManager::builder().build().unwrap();
    let (events, _) = events::events(manager.clone());
    let (asks, _) = tokio::sync::mpsc::channel(1);
    TowerToHyperService::new(
        routes::routers(Context::new(manager, asks, CancellationToken::new(), events, None)).0,
    )
}

async fn ask(api: &TowerToHyperService<Router>, method: Method, path: &str) -> Response {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    api.call(request).await.unwrap()
}

async fn problem(response: Response) -> Problem {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_above_the_rate_get_a_retry_time() {
    let api = api();
    for _ in 0..limits::READS.burst {
        let answer = ask(&api, Method::GET, "/v1/node").await;
        assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    // All requests that read share one rate.
    let refused = ask(&api, Method::GET, "/v1/peers").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    let refused = problem(refused).await;
    assert_eq!((refused.status, refused.code.as_str()), (429, "busy"));
    assert!(refused.is_retryable());

    for (method, path) in [
        (Method::POST, "/v1/tasks"),
        (Method::POST, "/v1/tasks/wait"),
        (Method::POST, "/v1/shutdown"),
    ] {
        let answer = ask(&api, method, path).await;
        assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
    }

    tokio::time::advance(Duration::from_millis(refused.retry_after_ms.unwrap())).await;
    let answer = ask(&api, Method::GET, "/v1/node").await;
    assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_request_has_a_rate() {
    let api = api();
    for (path, rate) in [("/v1/tasks", limits::WRITES), ("/v1/tasks/wait", limits::WAITS)] {
        for _ in 0..rate.burst {
            let answer = ask(&api, Method::POST, path).await;
            assert_ne!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
        let answer = ask(&api, Method::POST, path).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    assert_ne!(ask(&api, Method::GET, "/v1/node").await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn shutdown_has_no_rate_limit() {
    let api = api();
    for _ in 0..limits::WRITES.burst * 2 {
        assert_eq!(ask(&api, Method::POST, "/v1/shutdown").await.status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test(start_paused = true)]
async fn burst_refills_at_the_rate() {
    let limiter = Limiter::new(Rate { per_second: 10, burst: 3 });
    let passed = || std::iter::repeat_with(|| limiter.check()).take_while(Result::is_ok).count();
    assert_eq!(passed(), 3);
    let after = limiter.check().unwrap_err();
    assert_eq!(after, Duration::from_millis(100));
    tokio::time::advance(after).await;
    assert_eq!(passed(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(passed(), 3);
}
