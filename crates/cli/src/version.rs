//! The version, commit and features of this program, as its build script found them.

use serde::Serialize;

/// The version number.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The short commit hash; `unknown` if the program was built without a repository.
pub(crate) const COMMIT: &str = env!("MESHWORK_COMMIT");
/// The output of `--version` after the program's name.
pub(crate) const LINE: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("MESHWORK_COMMIT"),
    ", features ",
    env!("MESHWORK_FEATURES"),
    ", ",
    env!("MESHWORK_TARGET"),
    ", ",
    env!("MESHWORK_PROFILE"),
    ")"
);

/// The version in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
    features: Vec<&'static str>,
    target: &'static str,
    profile: &'static str,
}

impl Version {
    /// The version of this program.
    pub(crate) fn of_this() -> Self {
        let features = env!("MESHWORK_FEATURES").split(',').filter(|name| *name != NO_FEATURES);
        Self {
            name: "meshwork",
            version: VERSION,
            commit: COMMIT,
            features: features.collect(),
            target: env!("MESHWORK_TARGET"),
            profile: env!("MESHWORK_PROFILE"),
        }
    }
}

/// The build script's value if no feature is enabled.
const NO_FEATURES: &str = "none";
