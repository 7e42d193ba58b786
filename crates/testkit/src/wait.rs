//! Waiting for what must come: for conditions within a bound that only a fault exceeds.

use std::{fmt::Write as _, time::Duration};

use futures::{StreamExt, stream::select_all};
use tokio::time::{Instant, timeout, timeout_at};

use crate::TestNode;

/// A bound that only a fault exceeds, also on a busy machine.
const BOUND: Duration = Duration::from_secs(45);
/// How often a condition is looked at when nothing happens: not every change is an event.
const LOOK: Duration = Duration::from_millis(20);
/// Tasks that a report shows per node.
const SHOWN: usize = 20;

/// What `future` gives.
///
/// # Panics
///
/// It takes longer than anything here may.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.unwrap_or_else(|_| panic!("{what}: not within {BOUND:?}"))
}

/// What `check` gives, once it gives something: looks whenever one of `nodes` has an event.
///
/// # Panics
///
/// It gives nothing for too long; says what the nodes know then.
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
        // Either is a reason to look again.
        timeout(LOOK, events.next()).await.ok();
    }
}

/// What the nodes know.
async fn dump(nodes: &[&TestNode]) -> String {
    let mut text = String::new();
    for node in nodes {
        writeln!(text, "--- {} {}", node.name(), node.id()).unwrap();
        let shown = timeout(LOOK * 100, describe(node, &mut text)).await;
        if shown.is_err() {
            text.push_str("it does not answer\n");
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
                let told = manager.task(task.id).await.ok().flatten();
                writeln!(text, "{told:?}").unwrap();
            }
        }
        Err(error) => writeln!(text, "no tasks: {error}").unwrap(),
    }
}
