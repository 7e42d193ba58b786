//! Owns the flat view of a token stream: comments are gone and literals are blank, so that a rule
//! which looks for a sequence of words is not fooled by either.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One identifier, punctuation character, delimiter or (blank) literal.
pub(super) struct Token {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
}

/// All tokens of `stream` in order, groups opened up.
pub(super) fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut flat = Vec::new();
    push_all(stream, &mut flat);
    flat
}

/// The starts of `tokens[i..]`, one after the other.
pub(super) fn suffixes(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    (0..tokens.len()).filter_map(|from| tokens.get(from..))
}

/// What follows `words` when `tokens` begins with them.
pub(super) fn after<'t>(tokens: &'t [Token], words: &[&str]) -> Option<&'t [Token]> {
    let (head, tail) = tokens.split_at_checked(words.len())?;
    head.iter().zip(words).all(|(token, word)| token.text == *word).then_some(tail)
}

fn push_all(stream: TokenStream, flat: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                flat.push(Token { text: open.to_owned(), line });
                push_all(group.stream(), flat);
                let line = group.span_close().start().line;
                flat.push(Token { text: close.to_owned(), line });
            }
            TokenTree::Ident(word) => flat.push(Token { text: word.to_string(), line }),
            TokenTree::Punct(mark) => flat.push(Token { text: mark.as_char().to_string(), line }),
            TokenTree::Literal(_) => flat.push(Token { text: String::new(), line }),
        }
    }
}
