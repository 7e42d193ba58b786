//! Every list has pages, and `next_cursor` leads to its end.

use serde_json::Value;

use super::*;
use crate::{BatchMembers, BatchSpec, RangeSpec, TaskQuery, TaskSpec};

const LONG: Duration = Duration::from_secs(30);

/// Submits a group of `count` tasks and waits for their end.
async fn group(server: &Fixture, count: u64) -> String {
    let range = RangeSpec { from: 1, to: count, step: 1 };
    let batch = BatchSpec {
        task: TaskSpec::new("debug/echo"),
        members: BatchMembers::Range(range),
        group: None,
        first: 0,
        last: true,
        max_fails: None,
    };
    let group = server.client.submit_batch(&batch).await.unwrap();
    server.client.group(&group.id, LONG).await.unwrap().id
}

async fn page(server: &Fixture, path: &str) -> (Vec<Value>, Option<String>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = server.exchange(&request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    let mut body: Value = serde_json::from_str(body).unwrap();
    let cursor = body["next_cursor"].as_str().map(str::to_owned);
    (std::mem::take(body["items"].as_array_mut().unwrap()), cursor)
}

/// Reads the complete list in pages of this size.
async fn by_pages(server: &Fixture, path: &str, size: usize) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let (items, cursor) = page(server, &format!("{path}?limit={size}{next}")).await;
        assert!((1..=size).contains(&items.len()), "{path}: {items:?}");
        found.extend(items);
        let Some(cursor) = cursor else { return found };
        next = format!("&cursor={cursor}");
    }
}

#[tokio::test]
async fn every_list_has_pages() {
    let server = Fixture::running().await;
    let bees = [node("bee").build().unwrap(), node("cat").build().unwrap()];
    for bee in &bees {
        bee.start().await.unwrap();
        server.client.dial(&bee.addresses().first().unwrap().to_string()).await.unwrap();
    }
    let id = group(&server, 5).await;
    group(&server, 1).await;
    let results = format!("/v1/groups/{id}/results");
    for (path, name) in [
        ("/v1/tasks", "id"),
        ("/v1/groups", "id"),
        ("/v1/peers", "peer"),
        ("/v1/handlers", "name"),
        (&results, "id"),
    ] {
        let names = |items: Vec<Value>| -> Vec<String> {
            items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
        };
        let (whole, cursor) = page(&server, path).await;
        let whole = names(whole);
        assert!(whole.len() >= 2 && cursor.is_none(), "{path}: {whole:?} {cursor:?}");
        for size in [1, 2, whole.len(), whole.len() + 1] {
            assert_eq!(names(by_pages(&server, path, size).await), whole, "{path} by {size}");
        }
    }
    for bee in &bees {
        bee.shutdown().await.unwrap();
    }
    server.end().await;
}

#[tokio::test]
async fn limit_above_the_bound_is_served_in_pages() {
    let server = Fixture::running().await;
    let count = limits::TASKS + 100;
    let id = group(&server, wide(count)).await;
    let (items, cursor) = page(&server, "/v1/tasks?limit=5000").await;
    assert_eq!((items.len(), cursor.is_some()), (limits::TASKS, true));

    let all = TaskQuery { group: Some(id), ..TaskQuery::default() };
    let list = server.client.tasks(&all).await.unwrap();
    assert_eq!((list.items.len(), list.next_cursor), (count, None));
    let most = TaskQuery { limit: Some(count - 10), ..all.clone() };
    let first = server.client.tasks(&most).await.unwrap();
    let rest = TaskQuery { cursor: first.next_cursor, ..all };
    let rest = server.client.tasks(&rest).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next_cursor), (count - 10, 10, None));
    let indices = first.items.iter().chain(&rest.items).map(|task| task.index.unwrap());
    assert_eq!(indices.rev().collect::<Vec<u32>>(), (0..).take(count).collect::<Vec<u32>>());
    server.end().await;
}

fn wide(count: usize) -> u64 {
    count.try_into().unwrap()
}
