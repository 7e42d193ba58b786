//! `blob`: the files and folders in the node's store.

use std::path::{Path, PathBuf};

use meshwork_api::{BlobView, Client, ErrorCode};
use meshwork_blob::folder::Links;
use meshwork_core::{BlobForm, BlobHash, BlobRef};
use serde::Serialize;

use super::files::{self, Source};
use crate::{
    args::BlobVerb,
    exit,
    failure::Failure,
    output::{Output, Table, byte_bar, format},
};

#[cfg(test)]
mod tests;

pub(super) async fn blob(verb: BlobVerb, client: &Client, out: &Output) -> anyhow::Result<u8> {
    match verb {
        BlobVerb::Add { paths, follow_links } => {
            add(paths, files::links(follow_links), client, out).await?;
        }
        BlobVerb::Get { hash, output } => get(&hash, output.as_deref(), client, out).await?,
        BlobVerb::List => list(client, out).await?,
        BlobVerb::Pin { hash } => pin(&hash, true, client, out).await?,
        BlobVerb::Unpin { hash } => pin(&hash, false, client, out).await?,
        BlobVerb::Rm { hashes } => remove(&hashes, client, out).await?,
        BlobVerb::Gc => {
            let answer = client.blobs().collect().await?;
            freed(answer.freed_bytes, out)?;
        }
    }
    Ok(exit::DONE)
}

/// A file or folder that was added, as JSON.
#[derive(Debug, Serialize)]
struct Added {
    /// The path, with a sign in place of bytes that are not UTF-8.
    path: String,
    #[serde(flatten)]
    blob: BlobRef,
}

async fn add(
    paths: Vec<PathBuf>,
    links: Links,
    client: &Client,
    out: &Output,
) -> anyhow::Result<()> {
    // All are checked before the first byte is sent.
    let mut sources = Vec::with_capacity(paths.len());
    for path in paths {
        let source = Source::open(&path, links)?;
        sources.push((path, source));
    }
    let bar = byte_bar(out, sources.iter().map(|(_, source)| source.bytes()).sum());
    let blobs = files::blobs(client, out, &bar);
    let mut added = Vec::with_capacity(sources.len());
    for (path, source) in sources {
        let blob = source.send(&blobs, &bar).await?;
        let path = path.to_string_lossy().into_owned();
        if !out.json {
            bar.suspend(|| out.line(shown(&path, &blob, out)))?;
        }
        added.push(Added { path, blob });
    }
    bar.finish_and_clear();
    match (out.json, added.as_slice()) {
        (false, _) => Ok(()),
        (true, [one]) => out.value(one),
        (true, several) => out.value(&several),
    }
}

fn shown(path: &str, blob: &BlobRef, out: &Output) -> String {
    let BlobRef { hash, size, form, .. } = blob;
    if out.quiet {
        return hash.to_string();
    }
    let size = if out.stdout_tty { format::size(*size) } else { size.to_string() };
    format!("{hash}\t{size}\t{}\t{}", form.as_str(), format::printable(path))
}

async fn get(
    hash: &str,
    output: Option<&Path>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<()> {
    let blob = form(find(hash, client).await?, client).await?;
    let short = blob.hash.short();
    let Some(path) = output else {
        if blob.form == BlobForm::Folder {
            let failure = Failure::usage(format!("{short} is a folder"));
            return Err(failure.with_hint(format!("meshwork blob get {short} -o PATH")).into());
        }
        return files::print(&blob, client, out).await;
    };
    let bar = byte_bar(out, blob.size);
    let blobs = files::blobs(client, out, &bar);
    let saved = blobs.save(&blob, path, |bytes| bar.inc(bytes)).await;
    bar.finish_and_clear();
    saved?;
    if out.json {
        return out.value(&Added { path: path.to_string_lossy().into_owned(), blob });
    }
    let (size, path) = (format::size(blob.size), path.to_string_lossy());
    out.say(format!("{short}: {size} in {}", format::printable(&path)));
    Ok(())
}

/// A blob with its form: the node does not know which lists are whole folders.
async fn form(blob: BlobView, client: &Client) -> anyhow::Result<BlobRef> {
    let file = BlobRef::file(blob.hash, blob.size, false);
    // An empty folder names no blob.
    if blob.links == 0 && blob.size > EMPTY_FOLDER {
        return Ok(file);
    }
    match client.blobs().folder(blob.hash).await {
        Ok(folder) => Ok(folder),
        Err(error) if error.code() == ErrorCode::BadFolder => Ok(file),
        Err(error) => Err(error.into()),
    }
}

/// Bytes of the list of an empty folder, rounded up.
const EMPTY_FOLDER: u64 = 64;

async fn list(client: &Client, out: &Output) -> anyhow::Result<()> {
    let blobs = client.blobs().list("").await?;
    if out.json {
        return out.value(&blobs);
    }
    if out.quiet {
        let hashes: String = blobs.items.iter().map(|blob| format!("{}\n", blob.hash)).collect();
        return Ok(out.data(hashes.as_bytes())?);
    }
    let mut table = Table::new(&["HASH", "SIZE", "NEEDED BY", "NAMES", "PINNED"]);
    for BlobView { hash, size, links, holds, pinned } in &blobs.items {
        let (hash, size) = if out.stdout_tty {
            (hash.short(), format::size(*size))
        } else {
            (hash.to_string(), size.to_string())
        };
        let pinned = if *pinned { "pinned" } else { "" };
        table.row([hash, size, holds.to_string(), links.to_string(), pinned.to_owned()]);
    }
    Ok(table.print(out)?)
}

async fn pin(hash: &str, pinned: bool, client: &Client, out: &Output) -> anyhow::Result<()> {
    let blob = find(hash, client).await?;
    let blob = client.blobs().pin(&blob.hash, pinned).await?;
    if out.json {
        return out.value(&blob);
    }
    let what = if pinned { "stays" } else { "stays only while it is needed" };
    out.say(format!("{} {what}", blob.hash.short()));
    Ok(())
}

async fn remove(hashes: &[String], client: &Client, out: &Output) -> anyhow::Result<()> {
    // All are found before the first is removed.
    let mut found: Vec<BlobHash> = Vec::with_capacity(hashes.len());
    for hash in hashes {
        let hash = find(hash, client).await?.hash;
        if !found.contains(&hash) {
            found.push(hash);
        }
    }
    let mut bytes = 0;
    for hash in found {
        bytes += client.blobs().remove(&hash).await?.freed_bytes;
    }
    freed(bytes, out)
}

fn freed(bytes: u64, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return out.value(&serde_json::json!({ "freed_bytes": bytes }));
    }
    out.say(format!("{} freed", format::size(bytes)));
    Ok(())
}

/// The blob whose hash starts with these digits.
async fn find(prefix: &str, client: &Client) -> anyhow::Result<BlobView> {
    let prefix = checked(prefix)?;
    let found = client.blobs().list(prefix).await?.items;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let message = format!("the store does not have a blob {prefix}");
            let failure = Failure::new(exit::NOT_FOUND, ErrorCode::BlobMissing, message);
            Err(failure.with_hint("meshwork blob list").into())
        }
        several => {
            let message = format!("{} blobs start with {prefix}", several.len());
            let failure = Failure::new(exit::NOT_FOUND, ErrorCode::Ambiguous, message);
            Err(failure.with_hint("give more digits: meshwork blob list").into())
        }
    }
}

fn checked(prefix: &str) -> Result<&str, Failure> {
    let digits = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits && (LEAST_DIGITS..=64).contains(&prefix.len()) {
        return Ok(prefix);
    }
    let why = format!("{prefix:?} is not the start of a hash: 6 to 64 hex digits");
    Err(Failure::usage(why).with_hint("meshwork blob list"))
}

/// Digits that a person may type for a hash. Fewer are seldom unique.
const LEAST_DIGITS: usize = 6;
