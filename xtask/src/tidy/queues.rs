//! Checks the state that tasks share: no queue without a bound, no swarm behind a lock.

use syn::{
    UseTree,
    visit::{self, Visit},
};

use super::{
    Finding,
    source::Source,
    tokens::{self, Token},
};

const UNBOUNDED: &str = "a channel without a bound; take a bounded one and name its capacity, with \
                         the reason, in limits.rs";
const SHARED_SWARM: &str = "a swarm behind a lock; let the event loop own it, and ask by a handle";

/// Modules and crates whose `unbounded` makes a channel.
const CHANNEL_MAKERS: &[&str] =
    &["mpsc", "channel", "flume", "crossbeam", "crossbeam_channel", "async_channel", "kanal"];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let Ok(stream) = source.text.parse() else { return };
    let tokens = tokens::flatten(stream);
    for here in tokens::suffixes(&tokens) {
        let Some(first) = here.first() else { continue };
        let message = if is_unbounded_channel(here) {
            UNBOUNDED
        } else if is_shared_swarm(here) {
            SHARED_SWARM
        } else {
            continue;
        };
        findings.push(Finding::new(&source.path, first.line, message));
    }
    let mut imports = Imports { path: &source.path, prefix: Vec::new(), findings };
    imports.visit_file(&source.syntax);
}

fn is_unbounded_channel(here: &[Token]) -> bool {
    let Some(first) = here.first() else { return false };
    if first.text == "unbounded_channel"
        || tokens::after(here, &["std", ":", ":", "sync", ":", ":", "mpsc", ":", ":", "channel"])
            .is_some()
    {
        return true;
    }
    if CHANNEL_MAKERS.contains(&first.text.as_str())
        && tokens::after(here, &[&first.text, ":", ":", "unbounded"]).is_some()
    {
        return true;
    }
    // Tokio's `channel` takes a capacity, the standard library's takes no argument.
    tokens::after(here, &["mpsc", ":", ":", "channel"])
        .map(after_turbofish)
        .is_some_and(|rest| tokens::after(rest, &["(", ")"]).is_some())
}

/// The tokens after a leading `::<..>`; all tokens if there is none.
fn after_turbofish(tokens: &[Token]) -> &[Token] {
    let Some(mut rest) = tokens::after(tokens, &[":", ":", "<"]) else { return tokens };
    let mut depth = 1_usize;
    let mut arrow = false;
    while depth > 0 {
        let Some((token, tail)) = rest.split_first() else { break };
        match token.text.as_str() {
            "<" => depth += 1,
            ">" if !arrow => depth -= 1,
            _ => {}
        }
        arrow = token.text == "-";
        rest = tail;
    }
    rest
}

/// Whether the tokens begin with `Arc<Mutex<Swarm` or `RwLock`, each with any path.
fn is_shared_swarm(here: &[Token]) -> bool {
    const LOCKS: [&str; 2] = ["Mutex", "RwLock"];
    let Some(inside) = tokens::after(here, &["Arc", "<"]) else { return false };
    let Some((lock, rest)) = after_path(inside).split_first() else { return false };
    LOCKS.contains(&lock.text.as_str())
        && tokens::after(rest, &["<"])
            .and_then(|rest| after_path(rest).first())
            .is_some_and(|word| word.text == "Swarm")
}

/// The tokens from the last segment of a leading path on.
fn after_path(mut tokens: &[Token]) -> &[Token] {
    while let [_, colon, second, rest @ ..] = tokens {
        if colon.text != ":" || second.text != ":" {
            break;
        }
        tokens = rest;
    }
    tokens
}

/// Finds imports whose path is spread over braces, which the search of tokens misses.
struct Imports<'a> {
    path: &'a str,
    prefix: Vec<String>,
    findings: &'a mut Vec<Finding>,
}

impl Imports<'_> {
    fn leaf(&mut self, name: &syn::Ident) {
        let prefix: Vec<_> = self.prefix.iter().map(String::as_str).collect();
        let unbounded = name == "unbounded"
            && prefix.last().is_some_and(|module| CHANNEL_MAKERS.contains(module));
        if unbounded || (name == "channel" && prefix == ["std", "sync", "mpsc"]) {
            let line = name.span().start().line;
            self.findings.push(Finding::new(self.path, line, UNBOUNDED));
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        match tree {
            UseTree::Path(step) => {
                self.prefix.push(step.ident.to_string());
                self.visit_use_tree(&step.tree);
                self.prefix.pop();
            }
            UseTree::Name(leaf) => self.leaf(&leaf.ident),
            UseTree::Rename(leaf) => self.leaf(&leaf.ident),
            UseTree::Glob(_) | UseTree::Group(_) => visit::visit_use_tree(self, tree),
        }
    }
}
