//! The verbs, one file each. Most ask the node over its socket; `up` and `demo` start nodes.

use meshwork_api::Client;

use crate::{
    args::{Cli, TaskArgs, Verb},
    bench, demo, exit,
    home::Home,
    output::Output,
    version::{self, Version},
};

mod away;
mod blob;
mod cancel;
mod completions;
mod events;
mod family;
mod files;
mod group;
mod handlers;
mod names;
mod node;
mod peers;
mod ping;
mod place;
mod results;
mod run;
mod several;
mod spec;
mod status;
mod store;
mod story;
mod submit;
mod task;
mod up;
mod wait;

/// Runs the verb of the command line and returns the exit code.
pub(crate) async fn dispatch(cli: Cli, out: &Output) -> anyhow::Result<u8> {
    let Cli { global, verb } = cli;
    let home = || Home::of(global.home.as_deref());
    let client = || -> anyhow::Result<Client> { Ok(Client::new(home()?.socket())) };
    match verb {
        Verb::Up(args) => up::up(*args, &home()?, out).await,
        Verb::Down(args) => node::down(args, &client()?, out).await,
        Verb::Drain(args) => node::drain(args, &client()?, out).await,
        Verb::Accept(args) => node::accept(args, &client()?, out).await,
        Verb::Status => status::status(&client()?, out).await,
        Verb::Peers(args) => peers::peers(args.verb, &client()?, out).await,
        Verb::Ping(args) => ping::ping(args, &client()?, out).await,
        Verb::Handlers { handler } => handlers::handlers(handler.as_deref(), &client()?, out).await,
        Verb::Events(args) => events::events(args, &client()?, out).await,
        Verb::Run(args) => run::run(*args, &client()?, out).await,
        Verb::Submit(args) => submit::submit(*args, &client()?, out).await,
        Verb::Wait(args) => wait::wait(args, &client()?, out).await,
        Verb::Task(TaskArgs { verb }) => task::task(verb, &client()?, out).await,
        Verb::Blob(args) => blob::blob(args.verb, &client()?, out).await,
        Verb::Demo(args) => demo::demo(args, out).await,
        Verb::Bench(args) => bench::run(args, out).await,
        Verb::BenchRole(args) => bench::run_role(args).await,
        Verb::DemoWorker { address } => demo::worker(address, out).await,
        Verb::Store(args) => store::store(args.verb, &home()?, &client()?, out).await,
        Verb::Metrics => node::metrics(&client()?, out).await,
        Verb::Completions { shell } => completions::completions(shell, out),
        Verb::Version => version(out),
    }
}

fn version(out: &Output) -> anyhow::Result<u8> {
    if out.json {
        out.value(&Version::of_this())?;
    } else {
        out.line(format!("meshwork {}", version::LINE))?;
    }
    Ok(exit::DONE)
}
