//! Tells the program which commit and which features it was built from.
//!
//! The commit comes from `MESHWORK_COMMIT`, else from the package, else from the files of the
//! repository; no program and no network is asked. Without any of them it is `unknown`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Characters of a commit's id that are shown.
const SHORT: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=MESHWORK_COMMIT");
    let given = env::var("MESHWORK_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    // A package may have been unpacked somewhere within another repository.
    let commit = given.or_else(of_package).or_else(of_repository);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=MESHWORK_COMMIT={}", short(commit.trim()));
    println!("cargo::rustc-env=MESHWORK_FEATURES={}", features());
    for (name, of) in [("MESHWORK_TARGET", "TARGET"), ("MESHWORK_PROFILE", "PROFILE")] {
        println!("cargo::rustc-env={name}={}", env::var(of).unwrap_or_default());
    }
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

/// Enabled features of this package, separated by commas, or `none`.
fn features() -> String {
    let names = env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?;
        Some(feature.to_ascii_lowercase().replace('_', "-"))
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// The commit that the repository around this package has checked out.
fn of_repository() -> Option<String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let git = package.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())?;
    let dir = if git.is_dir() { git } else { linked(&git)? };
    let head = read(&dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else { return Some(head) };
    // A linked worktree has a HEAD of its own, and its branches where the others are.
    let common = read(&dir.join("commondir")).map_or_else(|| dir.clone(), |path| dir.join(path));
    read(&common.join(name)).or_else(|| packed(&common.join("packed-refs"), name))
}

/// Where the repository of a linked worktree or of a submodule is.
fn linked(git: &Path) -> Option<PathBuf> {
    let text = read(git)?;
    Some(git.parent()?.join(text.strip_prefix("gitdir: ")?))
}

fn packed(file: &Path, name: &str) -> Option<String> {
    let text = read(file)?;
    let line = text.lines().find(|line| line.split(' ').nth(1) == Some(name))?;
    line.split(' ').next().map(str::to_owned)
}

/// What `cargo package` wrote down.
fn of_package() -> Option<String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let text = read(&package.join(".cargo_vcs_info.json"))?;
    text.split('"').skip_while(|part| *part != "sha1").nth(2).map(str::to_owned)
}

/// The text of a file; a change of the file builds again.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    // Of a missing file cargo would say that it changes all the time.
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
