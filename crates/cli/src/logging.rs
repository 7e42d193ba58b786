//! Log lines on standard error, for those who ask for them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts logging: `MESHWORK_LOG` decides if it is set, else how often `-v` was given.
///
/// # Errors
///
/// `MESHWORK_LOG` is not a filter.
pub(crate) fn start(verbose: u8) -> Result<(), Failure> {
    let filter = match std::env::var("MESHWORK_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).map_err(|error| {
            Failure::usage(format!("MESHWORK_LOG: {filter:?} is not a filter"))
                .because(error)
                .with_hint("MESHWORK_LOG=info, or MESHWORK_LOG=meshwork_net=debug")
        })?,
        _ => EnvFilter::new(match verbose {
            // A packet that one interface cannot send is an error to libp2p, such as the first one
            // after an interface came up. It is sent again, and on the others.
            0 => "error,libp2p_mdns=off",
            1 => "warn,meshwork=info,meshwork_api=info,meshwork_net=info,meshwork_node=info",
            2 => "info,meshwork=debug,meshwork_api=debug,meshwork_net=debug,meshwork_node=debug",
            _ => "debug",
        }),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would be told on standard error as well, which panics when that cannot be written.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
    Ok(())
}
