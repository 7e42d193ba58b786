//! What this program was built from, as its build script found it.

use serde::Serialize;

/// The version alone.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, shortened; `unknown` where the program was built without a repository.
pub(crate) const COMMIT: &str = env!("MESHWORK_COMMIT");
/// What stands behind the name of the program.
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

/// All of it, as JSON.
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
    /// Of this program.
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

/// What the build script says where no feature is switched on.
const NO_FEATURES: &str = "none";
