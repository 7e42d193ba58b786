//! `down` and `metrics`.

use std::time::Duration;

use meshwork_api::{Client, ClientError};

use crate::{exit, failure::Failure, output::Output};

/// How long a node may take to stop: its own deadline, and some room.
const STOP: Duration = Duration::from_secs(20);
/// How often it is asked whether it is still there.
const ASK: Duration = Duration::from_millis(50);

/// Stops the node, and returns when it is gone.
pub(super) async fn down(client: &Client, out: &Output) -> anyhow::Result<u8> {
    client.shutdown().await?;
    let gone = async {
        // The socket goes with the node.
        while !matches!(client.node().await, Err(ClientError::Unreachable { .. })) {
            tokio::time::sleep(ASK).await;
        }
    };
    if tokio::time::timeout(STOP, gone).await.is_err() {
        let message = format!("the node has not stopped within {STOP:?}");
        return Err(Failure::new(exit::FAILED, "timeout", message).into());
    }
    if out.json {
        out.value(&serde_json::json!({ "stopped": true }))?;
    } else {
        out.say("stopped");
    }
    Ok(exit::DONE)
}

/// Prints what the node measures.
pub(super) async fn metrics(client: &Client, out: &Output) -> anyhow::Result<u8> {
    let text = client.metrics().await?;
    if out.json {
        out.value(&serde_json::json!({ "prometheus": text }))?;
    } else {
        out.data(text.as_bytes())?;
    }
    Ok(exit::DONE)
}
