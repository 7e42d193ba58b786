//! A task reports progress; after a while it is cancelled, and its handler notices that.
//!
//! ```sh
//! cargo run -p meshwork --example progress_and_cancel
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use meshwork::{
    NetworkConfig, NetworkEvent, NetworkManager, Task, handler::HandlerError, handler_fn,
    task::TaskEnd,
};
use tokio::sync::Notify;

/// The handler counts to this number, which takes minutes unless it is stopped.
const STEPS: u16 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let noticed = Arc::new(Notify::new());
    let notice = Arc::clone(&noticed);
    let count = handler_fn("demo/count", move |cx, _input| {
        let notice = Arc::clone(&notice);
        async move {
            for step in 1..=STEPS {
                cx.progress(f32::from(step) / f32::from(STEPS), format!("at {step}"));
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                    () = cx.cancelled() => {
                        // A real handler would clean up here; it has one second.
                        notice.notify_one();
                        return Err(HandlerError::Stopped.into());
                    }
                }
            }
            Ok("done".into())
        }
    });
    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let node = NetworkManager::builder().config(config).handler(count).build()?;
    node.start().await?;

    let handle = node.distribute_task(Task::new("demo/count")?, vec![]).await?;
    // At most ten reports a second arrive, however many the handler makes.
    let mut reports = 0;
    let mut events = pin!(handle.events());
    while reports < 3
        && let Some(event) = events.next().await
    {
        if let NetworkEvent::TaskProgress { fraction, message, .. } = event {
            println!("{:.2} %: {message}", fraction * 100.0);
            reports += 1;
        }
    }

    let end = handle.cancel().await?;
    noticed.notified().await;
    println!("the handler has noticed");
    if let TaskEnd::Cancelled { reason, .. } = &end {
        println!("{}: {reason}", end.state());
    }

    node.shutdown().await?;
    Ok(())
}
