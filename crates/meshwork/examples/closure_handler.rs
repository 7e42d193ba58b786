//! Your own handler as a closure, with a parameter that is a number.
//!
//! ```sh
//! cargo run -p meshwork --example closure_handler
//! ```
#![expect(clippy::print_stdout, reason = "what an example prints is what it shows")]

use std::error::Error;

use meshwork::{
    NetworkConfig, NetworkManager, Task,
    handler::{Description, ParamKind, ParamSpec},
    handler_fn,
};

/// How often the text is repeated.
const TIMES: ParamSpec =
    ParamSpec::with_default("times", ParamKind::Integer { min: 1, max: 10 }, "2", "how often");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let repeat = handler_fn("demo/repeat", |cx, input| async move {
        // An unknown parameter or a value out of range is the submitter's mistake: no retry.
        cx.check_params(&[TIMES])?;
        let times: usize = cx.value(&TIMES)?;
        Ok(str::from_utf8(&input)?.repeat(times).into())
    })
    .with_description(Description::new("Repeats a text.").with_param(TIMES));

    let config = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let node = NetworkManager::builder().config(config).handler(repeat).build()?;
    node.start().await?;

    let repeat = || Ok::<_, Box<dyn Error>>(Task::new("demo/repeat")?.with_input("ho! "));
    println!("by default: {}", run(&node, repeat()?).await?);
    println!("three times: {}", run(&node, repeat()?.with_param("times", 3)).await?);
    // The failure names the parameter and the accepted values.
    match run(&node, repeat()?.with_param("times", "many")).await {
        Ok(output) => println!("many times: {output}"),
        Err(error) => println!("many times: {error}"),
    }

    node.shutdown().await?;
    Ok(())
}

async fn run(node: &NetworkManager, task: Task) -> Result<String, Box<dyn Error>> {
    let result = node.distribute_task(task, vec![]).await?.result().await?;
    Ok(result.text()?.to_owned())
}
