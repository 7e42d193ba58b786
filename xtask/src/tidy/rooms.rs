//! Owns the table of allowed dependencies between crates. A new edge is an architecture decision:
//! it needs a record in docs/adr.
//!
//! Development dependencies are not checked: tests may use every crate.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};

use super::{Finding, source};

/// The crates of this workspace that a crate may name.
enum May {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

const ROOMS: &[(&str, May)] = &[
    ("meshwork-core", May::These(&[])),
    ("meshwork-blob", May::These(&["meshwork-core"])),
    ("meshwork-exec", May::These(&["meshwork-core", "meshwork-blob"])),
    ("meshwork-net", May::These(&["meshwork-core", "meshwork-blob"])),
    ("meshwork-sim", May::These(&["meshwork-core"])),
    (
        "meshwork-node",
        May::These(&["meshwork-core", "meshwork-blob", "meshwork-exec", "meshwork-net"]),
    ),
    ("meshwork-api", May::These(&["meshwork-core", "meshwork-blob", "meshwork-node"])),
    (
        "meshwork",
        May::These(&[
            "meshwork-core",
            "meshwork-blob",
            "meshwork-exec",
            "meshwork-net",
            "meshwork-node",
        ]),
    ),
    (
        "meshwork-cli",
        May::These(&[
            "meshwork",
            "meshwork-core",
            "meshwork-blob",
            "meshwork-exec",
            "meshwork-node",
            "meshwork-api",
        ]),
    ),
    ("meshwork-testkit", May::AllBut(&["meshwork-cli", "xtask"])),
    ("meshwork-bench", May::AllBut(&["meshwork-cli", "xtask"])),
    ("xtask", May::These(&[])),
];

/// Libraries that only some crates may name. The first matching row counts; a name that ends in `*`
/// matches all names with this prefix.
const KEPT: &[(&str, &[&str])] = &[
    ("libp2p-identity", &["meshwork-core", "meshwork-net", "meshwork-testkit", "meshwork-bench"]),
    ("multiaddr", &["meshwork-core", "meshwork-net", "meshwork-testkit", "meshwork-bench"]),
    // The test kit builds hostile and foreign peers; neither it nor the benches are published.
    ("libp2p*", &["meshwork-net", "meshwork-testkit", "meshwork-bench"]),
    ("axum*", &["meshwork-api"]),
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .context("cannot read the workspace")?;
    let members: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let manifest = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("cannot read {}", package.manifest_path))?;
        let workspace = metadata.workspace_root.as_std_path();
        let path = source::relative(workspace, package.manifest_path.as_std_path());
        let mut found = |line, what| findings.push(Finding::new(&path, line, what));
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == package.name.as_str()) else {
            let name = &package.name;
            found(1, format!("`{name}` is not in the table of rooms (xtask/src/tidy/rooms.rs)"));
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            if let Some(what) = objection(package, may, dependency, &members) {
                found(line_of(&manifest, dependency), what);
            }
        }
    }
    Ok(findings)
}

/// Why `package` may not name `dependency`; `None` if it may.
fn objection(
    package: &Package,
    may: &May,
    dependency: &Dependency,
    members: &BTreeSet<&str>,
) -> Option<String> {
    let (user, used) = (package.name.as_str(), dependency.name.as_str());
    if members.contains(used) {
        let allowed = match may {
            May::These(names) => names.contains(&used),
            May::AllBut(names) => !names.contains(&used),
        };
        return (!allowed).then(|| {
            format!(
                "`{user}` may not depend on `{used}`; use a crate that may, or record a decision"
            )
        });
    }
    let (_, users) = KEPT.iter().find(|(kept, _)| match kept.strip_suffix('*') {
        Some(prefix) => used.starts_with(prefix),
        None => *kept == used,
    })?;
    (!users.contains(&user)).then(|| {
        let owners = users.join(", ");
        format!("`{user}` may not name `{used}`; only {owners} may: use what they export")
    })
}

/// The line of `manifest` that names `dependency` outside the development dependencies, or 1.
fn line_of(manifest: &str, dependency: &Dependency) -> usize {
    let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
    let mut counts = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            counts = section.ends_with("dependencies") && !section.contains("dev-dependencies");
            if section.ends_with(&format!("dependencies.{name}")) && !section.contains("dev-") {
                return number;
            }
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
        if counts && key.trim_matches('"') == name {
            return number;
        }
    }
    1
}
