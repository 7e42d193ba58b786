//! Log lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts logging. `MESHWORK_LOG` sets the filter; without it, the number of `-v` flags decides.
///
/// # Errors
///
/// `MESHWORK_LOG` is not a valid filter.
pub(crate) fn start(verbose: u8) -> Result<(), Failure> {
    let filter = match std::env::var("MESHWORK_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).map_err(|error| {
            Failure::usage(format!("MESHWORK_LOG: {filter:?} is not a valid filter"))
                .because(error)
                .with_hint("use MESHWORK_LOG=info, or MESHWORK_LOG=meshwork_net=debug")
        })?,
        _ => EnvFilter::new(match verbose {
            // libp2p logs an error when one interface cannot send a packet, for example just after
            // the interface came up. The packet is repeated, and sent on the other interfaces.
            0 => "error,libp2p_mdns=off",
            1 => "warn,meshwork=info,meshwork_api=info,meshwork_net=info,meshwork_node=info",
            2 => "info,meshwork=debug,meshwork_api=debug,meshwork_net=debug,meshwork_node=debug",
            _ => "debug",
        }),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Internal errors go to standard error as well, which panics if it cannot be written.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
    Ok(())
}
