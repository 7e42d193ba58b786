//! A flat view of a token stream without comments and with blank literals, so that a rule can look
//! for a sequence of words in code alone.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One identifier, punctuation character, delimiter or (blank) literal.
pub(super) struct Token {
    pub(super) text: String,
    /// The line, from 1.
    pub(super) line: usize,
}

/// All tokens of `stream` in order, with groups flattened.
pub(super) fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut flat = Vec::new();
    push_all(stream, &mut flat);
    flat
}

/// All suffixes of `tokens`, the longest first.
pub(super) fn suffixes(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    (0..tokens.len()).filter_map(|from| tokens.get(from..))
}

/// The tokens after `words`, if `tokens` begins with these words.
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
