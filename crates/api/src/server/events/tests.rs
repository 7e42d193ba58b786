//! Tests of the keeper without a socket, so that time can be paused.

use std::time::Duration;

use meshwork_core::Task;
use meshwork_node::NetworkConfig;
use tokio::task::JoinHandle;

use super::*;

/// A running keeper and its handle. The node itself need not run.
struct Fixture {
    events: Events,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Fixture {
    fn new(manager: NetworkManager) -> Self {
        let (events, keeper) = events(manager);
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        Self { events, stop, keeper }
    }

    async fn join(&self, after: Option<u64>) -> Reader {
        self.events.join(after).await.unwrap()
    }
}

fn unstarted_node() -> NetworkManager {
    NetworkManager::builder().build().unwrap()
}

async fn started_node() -> NetworkManager {
    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        mdns: false,
        ..NetworkConfig::default()
    };
    let manager = NetworkManager::builder().config(config).debug_handlers(None).build().unwrap();
    manager.start().await.unwrap();
    manager
}

/// Reads events until this many tasks have succeeded.
async fn until_ended(reader: &mut Reader, tasks: usize) -> Vec<Arc<EventView>> {
    let mut events: Vec<Arc<EventView>> = Vec::new();
    while events.iter().filter(|event| event.kind == "task.succeeded".into()).count() < tasks {
        events.extend(reader.next().await.unwrap());
    }
    events
}

#[tokio::test]
async fn readers_get_equal_events_and_resume_without_a_gap() {
    let manager = started_node().await;
    let fixture = Fixture::new(manager.clone());
    let (mut one, mut other) = (fixture.join(None).await, fixture.join(None).await);
    let start = one.last();
    let run = async || {
        let task = Task::new("debug/noop").unwrap();
        manager.distribute_task(task, Vec::new()).await.unwrap().result().await.unwrap();
    };
    run().await;
    let first = until_ended(&mut one, 1).await;
    assert!(first.iter().all(|event| event.kind != "gap".into()), "{first:?}");
    let second = until_ended(&mut other, 1).await;
    // A reader's last page may hold further events.
    let common = first.len().min(second.len());
    assert_eq!(second[..common], first[..common]);
    // Another task runs while there are no readers.
    drop((one, other));
    run().await;
    let mut resumed = fixture.join(Some(start)).await;
    let both = until_ended(&mut resumed, 2).await;
    assert!(both.starts_with(&first), "{both:?}");
    assert!(both.iter().all(|event| event.kind != "gap".into()), "{both:?}");
    manager.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reader_gets_one_gap_when_there_was_no_reader_for_the_grace() {
    let fixture = Fixture::new(unstarted_node());
    let reader = fixture.join(None).await;
    let last = reader.last();
    // While there is a reader, the grace does not start.
    tokio::time::sleep(limits::EVENT_GRACE * 10).await;
    drop(reader);
    tokio::time::sleep(limits::EVENT_GRACE / 2).await;
    assert_eq!(fixture.join(None).await.last(), last, "the subscription ended early");
    tokio::time::sleep(limits::EVENT_GRACE * 3).await;
    let mut late = fixture.join(Some(last)).await;
    let page = late.next().await.unwrap();
    let [gap] = page.as_slice() else { panic!("{page:?}") };
    assert_eq!((gap.kind.as_str(), gap.missed), ("gap", None));
    assert!(gap.id > last);
    // The gap is sent once.
    let nothing = tokio::time::timeout(Duration::from_secs(1), late.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn readers_and_keeper_end_when_the_server_stops() {
    let fixture = Fixture::new(unstarted_node());
    let mut reader = fixture.join(None).await;
    let waiting = tokio::spawn(async move { reader.next().await });
    fixture.stop.cancel();
    fixture.keeper.await.unwrap();
    assert_eq!(waiting.await.unwrap(), None);
    assert!(fixture.events.join(None).await.is_none());
}

#[tokio::test]
async fn keeper_ends_when_its_last_handle_is_dropped() {
    let fixture = Fixture::new(unstarted_node());
    drop(fixture.events);
    fixture.keeper.await.unwrap();
}
