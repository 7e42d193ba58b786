//! Waits for conditions, within a bound that only an error exceeds.

use std::{fmt::Write as _, time::Duration};

use futures::{StreamExt, stream::select_all};
use tokio::time::{Instant, timeout, timeout_at};

use crate::TestNode;

/// Maximum time of a wait. Only an error exceeds it, even on a busy machine.
const BOUND: Duration = Duration::from_secs(45);
/// Interval between two checks of a condition without an event: not every change has an event.
const LOOK: Duration = Duration::from_millis(20);
/// Maximum number of tasks per node in a report.
const SHOWN: usize = 20;

/// Waits for the output of `future`.
///
/// # Panics
///
/// Panics if the future takes longer than the bound.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.unwrap_or_else(|_| panic!("{what}: not within {BOUND:?}"))
}

/// Waits until `check` returns a value, and returns it. Checks at every event of one of `nodes`.
///
/// # Panics
///
/// Panics if `check` returns no value within the bound, and reports the state of the nodes.
pub async fn eventually<T>(
    what: &str,
    nodes: &[&TestNode],
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + BOUND;
    let mut events = select_all(nodes.iter().map(|node| node.manager().subscribe()));
    loop {
        if let Ok(Some(seen)) = timeout_at(deadline, check()).await {
            return seen;
        }
        if Instant::now() >= deadline {
            panic!("{what}: not within {BOUND:?}\n{}", dump(nodes).await);
        }
        // Check again after an event and after a timeout.
        timeout(LOOK, events.next()).await.ok();
    }
}

/// The state of the nodes as text.
async fn dump(nodes: &[&TestNode]) -> String {
    let mut text = String::new();
    for node in nodes {
        writeln!(text, "--- {} {}", node.name(), node.id()).unwrap();
        let shown = timeout(LOOK * 100, describe(node, &mut text)).await;
        if shown.is_err() {
            text.push_str("the node does not answer\n");
        }
    }
    text
}

async fn describe(node: &TestNode, text: &mut String) {
    let manager = node.manager();
    match manager.get_peers().await {
        Ok(peers) => {
            for peer in peers {
                writeln!(
                    text,
                    "{} {:?} trusted={} assigned={} held={}",
                    peer.peer_id, peer.state, peer.trusted, peer.assigned, peer.held
                )
                .unwrap();
            }
        }
        Err(error) => writeln!(text, "no peers: {error}").unwrap(),
    }
    match manager.tasks(Default::default()).await {
        Ok(tasks) => {
            let open = tasks.iter().filter(|task| task.ended.is_none());
            for task in open.take(SHOWN) {
                let view = manager.task(task.id).await.ok().flatten();
                writeln!(text, "{view:?}").unwrap();
            }
        }
        Err(error) => writeln!(text, "no tasks: {error}").unwrap(),
    }
}
