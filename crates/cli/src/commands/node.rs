//! `accept`, `down`, `drain` and `metrics`.

use std::{collections::BTreeMap, time::Duration};

use meshwork_api::{AcceptRule, Client, ClientError};

use crate::{
    args::{AcceptArgs, DownArgs, DrainArgs, values},
    exit,
    failure::Failure,
    output::{Output, Table, format},
};

/// How long a node may take to stop after its grace period: its own deadline and some margin.
const STOP: Duration = Duration::from_secs(20);
/// Interval between requests that check whether the node still runs.
const ASK: Duration = Duration::from_millis(50);

/// Stops the node and waits until its process has left.
pub(super) async fn down(args: DownArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let answer = client.shutdown(args.now).await?;
    let grace = Duration::from_millis(answer.grace_ms);
    if answer.held > 0 {
        out.say(stopping(answer.held, grace));
    }
    let stopped = async {
        // A stopped node removes its socket.
        while !matches!(client.node().await, Err(ClientError::Unreachable { .. })) {
            tokio::time::sleep(ASK).await;
        }
    };
    let most = grace + STOP;
    if tokio::time::timeout(most, stopped).await.is_err() {
        let message = format!("the node has not stopped within {}", format::span(most));
        return Err(Failure::new(exit::FAILED, "timeout", message).into());
    }
    if out.json {
        out.value(&serde_json::json!({ "stopped": true }))?;
    } else {
        out.say("stopped");
    }
    Ok(exit::DONE)
}

/// The message of a node that stops and holds `held` attempts.
pub(super) fn stopping(held: u64, grace: Duration) -> String {
    let attempts = if held == 1 { "attempt" } else { "attempts" };
    if grace.is_zero() {
        return format!("stopping: {held} {attempts} handed back …");
    }
    let grace = format::span(grace);
    format!("stopping: up to {held} {attempts} may run for {grace} more; repeat to stop at once …")
}

/// Drains the node, or ends the drain.
pub(super) async fn drain(args: DrainArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let answer = client.drain(!args.off).await?;
    if out.json {
        out.value(&answer)?;
    } else if answer.draining {
        let still = match answer.held {
            0 => "no attempt runs here".to_owned(),
            held => format!("{held} still running here"),
        };
        out.say(format!("draining: takes no new work, waiting attempts are handed back, {still}"));
    } else {
        out.say("drain ended: the node takes work again");
    }
    Ok(exit::DONE)
}

/// Sets or prints the policy: whose work runs here.
pub(super) async fn accept(args: AcceptArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let node = client.node().await?;
    if args.rules.is_empty() {
        if out.json {
            out.value(&serde_json::json!({ "accept": node.accept }))?;
        } else {
            rules(&node.accept).print(out)?;
        }
        return Ok(exit::DONE);
    }
    let families: Vec<&str> = node.accept.keys().map(String::as_str).collect();
    let answer = client.accept(&values::policy(&args.rules, &families)).await?;
    if out.json {
        out.value(&answer)?;
        return Ok(exit::DONE);
    }
    rules(&answer.accept).print(out)?;
    out.say(if answer.kept {
        "saved in config.toml in the home"
    } else {
        "valid until the node stops, because it has no home"
    });
    for (family, accept) in &answer.started_with {
        out.say(format!(
            "this node was started with {family}={accept} by --accept or MESHWORK_ACCEPT, which take \
             precedence at the next start if given again"
        ));
    }
    Ok(exit::DONE)
}

fn rules(accept: &BTreeMap<String, AcceptRule>) -> Table {
    let mut table = Table::new(&["FAMILY", "ACCEPTS"]);
    for (family, accept) in accept {
        table.row([family.clone(), accept.to_string()]);
    }
    table
}

/// Prints the node's metrics.
pub(super) async fn metrics(client: &Client, out: &Output) -> anyhow::Result<u8> {
    let text = client.metrics().await?;
    if out.json {
        out.value(&serde_json::json!({ "prometheus": text }))?;
    } else {
        out.data(text.as_bytes())?;
    }
    Ok(exit::DONE)
}
