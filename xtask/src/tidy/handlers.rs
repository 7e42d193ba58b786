//! Checks that an event handler does not wait: callers may wait for a loop, but the loop never
//! waits.
//!
//! An `async` block or closure inside a handler is allowed, because a task runs it.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Block, Signature,
    visit::{self, Visit},
};

use super::{Finding, source::Source};

/// The crates that have loops.
const ROOMS: &[&str] = &["crates/net/src/", "crates/node/src/"];

/// Macros that contain an implicit `.await`.
const WAITING_MACROS: &[&str] = &["select", "select_biased", "join", "try_join"];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let watched = ROOMS.iter().any(|room| source.path.starts_with(room));
    if watched && !source.is_test() {
        Functions { path: &source.path, findings }.visit_file(&source.syntax);
    }
}

/// Finds the handlers of one file, methods of traits and nested functions included.
struct Functions<'a> {
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn function(&mut self, signature: &Signature, body: &Block) {
        let name = signature.ident.to_string();
        if !(name.starts_with("handle_") || name.starts_with("on_")) {
            return;
        }
        if let (Some(word), "handle_event") = (&signature.asyncness, name.as_str()) {
            let what = "`handle_event` is async; make it synchronous: a loop must not wait";
            self.findings.push(Finding::new(self.path, word.span.start().line, what));
        }
        Body { name: &name, path: self.path, findings: self.findings }.visit_block(body);
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Finds the places at which the body of one handler waits.
struct Body<'a> {
    name: &'a str,
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Body<'_> {
    fn found(&mut self, line: usize, what: &str) {
        let name = self.name;
        let message = format!(
            "{what} in the event handler `{name}`; spawn a task that reports back, or return an \
             effect: a loop must not wait"
        );
        self.findings.push(Finding::new(self.path, line, message));
    }

    /// Searches the tokens of a macro, which have no syntax tree.
    fn tokens(&mut self, stream: TokenStream) {
        let mut trees = stream.into_iter().peekable();
        let mut after_dot = false;
        while let Some(tree) = trees.next() {
            let dot = matches!(&tree, TokenTree::Punct(mark) if mark.as_char() == '.');
            match tree {
                TokenTree::Ident(word) if word == "await" && after_dot => {
                    self.found(word.span().start().line, "`.await`");
                }
                TokenTree::Ident(word) if word == "async" => skip_async(&mut trees),
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            after_dot = dot;
        }
    }
}

impl<'ast> Visit<'ast> for Body<'_> {
    fn visit_expr_await(&mut self, expr: &'ast syn::ExprAwait) {
        self.found(expr.await_token.span.start().line, "`.await`");
        visit::visit_expr_await(self, expr);
    }

    fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        if closure.asyncness.is_none() {
            visit::visit_expr_closure(self, closure);
        }
    }

    /// A nested function is checked by its own name.
    fn visit_item_fn(&mut self, _: &'ast syn::ItemFn) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(last) = call.path.segments.last()
            && WAITING_MACROS.iter().any(|name| last.ident == name)
        {
            self.found(last.ident.span().start().line, &format!("`{}!`", last.ident));
        }
        self.tokens(call.tokens.clone());
    }
}

/// Skips what follows `async`: the block, or the arguments and the block of a closure.
fn skip_async(trees: &mut std::iter::Peekable<impl Iterator<Item = TokenTree>>) {
    let is_mark =
        |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '|');
    trees.next_if(|tree| matches!(tree, TokenTree::Ident(word) if word == "move"));
    if trees.next_if(is_mark).is_some() {
        while trees.next_if(|tree| !is_mark(tree)).is_some() {}
        trees.next_if(is_mark);
    }
    trees.next_if(|tree| matches!(tree, TokenTree::Group(_)));
}
