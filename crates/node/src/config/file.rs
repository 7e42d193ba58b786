//! `config.toml` in the home: settings that people can edit.
//!
//! The file holds `[accept]` and `lan`. An unknown key is an error, because a typo would silently
//! leave the default in force. Writing the file keeps the user's comments and order.

use std::path::{Path, PathBuf};

use meshwork_core::{Accept, AcceptPolicy, nearest};
use meshwork_net::Subnet;
use toml_edit::{Document, DocumentMut, Item, TableLike, Value};

use crate::home::error::HomeError;

#[cfg(test)]
mod tests;

/// The keys of the file.
const SETTINGS: [&str; 2] = [ACCEPT, LAN];
const ACCEPT: &str = "accept";
const LAN: &str = "lan";

/// A rule names a family of handlers that the node does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has no handlers of family {family:?}{}", remedy(.nearest.as_deref(), .known))]
pub struct UnknownFamily {
    /// The unknown family.
    pub family: String,
    /// A family of the node with a similar name.
    pub nearest: Option<String>,
    /// All families of the node.
    pub known: Vec<String>,
}

impl UnknownFamily {
    /// Checks that each rule names one of `families`.
    pub(crate) fn check(rules: &AcceptPolicy, families: &[&str]) -> Result<(), Self> {
        match rules.iter().find(|(family, _)| !families.contains(family)) {
            None => Ok(()),
            Some((family, _)) => Err(Self::new(family, families)),
        }
    }

    fn new(family: &str, families: &[&str]) -> Self {
        Self {
            family: family.to_owned(),
            nearest: nearest(family, families.iter().copied()).map(str::to_owned),
            known: families.iter().map(|family| (*family).to_owned()).collect(),
        }
    }
}

/// `; did you mean text?` or `; known: debug, text`.
fn remedy(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => format!("; known: {}", known.join(", ")),
    }
}

/// The contents of `config.toml`.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    document: DocumentMut,
    /// The rules of `[accept]`.
    pub(crate) accept: AcceptPolicy,
    /// The ranges of `lan`.
    pub(crate) lan: Vec<Subnet>,
}

impl ConfigFile {
    /// Reads the text of the file at `path`, for a node with handlers of these families.
    ///
    /// # Errors
    ///
    /// The text is not TOML, or has an unknown key or an invalid value. The error names the line
    /// and, for a key, the nearest known one.
    pub(crate) fn parse(path: &Path, text: &str, families: &[&str]) -> Result<Self, HomeError> {
        let reader = Reader { path, text };
        let document = Document::parse(text)
            .map_err(|error| reader.wrong(error.span(), error.message().to_owned()))?;
        let (mut accept, mut lan) = (AcceptPolicy::default(), Vec::new());
        for (name, item) in document.iter() {
            if name == LAN {
                lan = reader.ranges(item)?;
                continue;
            }
            if name != ACCEPT {
                return Err(reader.unknown(document.as_table(), name, "setting", &SETTINGS));
            }
            let Some(rules) = item.as_table_like() else {
                let why = "accept is a section: write [accept], and below it text = \"listed\"";
                return Err(reader.wrong(item.span(), why.to_owned()));
            };
            for (family, value) in rules.iter() {
                accept = accept.with(family, reader.rule(rules, family, value, families)?);
            }
        }
        Ok(Self { document: document.into_mut(), accept, lan })
    }

    /// Sets these rules in `[accept]` and keeps all others.
    pub(crate) fn set_accept(&mut self, rules: &AcceptPolicy) {
        let section = self.document.entry(ACCEPT).or_insert_with(toml_edit::table);
        let Some(section) = section.as_table_like_mut() else { return };
        for (family, accept) in rules.iter() {
            let old = section.get_mut(family).and_then(Item::as_value_mut);
            if let Some(old) = old {
                // Keeps a comment behind the value.
                let decor = old.decor().clone();
                *old = Value::from(accept.as_str());
                *old.decor_mut() = decor;
            } else {
                section.insert(family, toml_edit::value(accept.as_str()));
            }
            self.accept = std::mem::take(&mut self.accept).with(family, accept);
        }
    }

    /// The text to write.
    pub(crate) fn text(&self) -> String {
        self.document.to_string()
    }
}

/// Reads values, and builds errors with the file's path and the line in its text.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn ranges(&self, item: &Item) -> Result<Vec<Subnet>, HomeError> {
        let why = || "lan: write a list of private ranges, such as [\"10.0.0.0/8\"]".to_owned();
        let list = item.as_array().ok_or_else(|| self.wrong(item.span(), why()))?;
        let range = |value: &Value| {
            let text = value.as_str().ok_or_else(|| self.wrong(value.span(), why()))?;
            text.parse().map_err(|error| self.wrong(value.span(), format!("lan: {error}")))
        };
        list.iter().map(range).collect()
    }

    fn rule(
        &self,
        rules: &dyn TableLike,
        family: &str,
        value: &Item,
        families: &[&str],
    ) -> Result<Accept, HomeError> {
        let known: Vec<&str> = families.iter().copied().chain(AcceptPolicy::RESERVED).collect();
        if !known.contains(&family) {
            return Err(self.unknown(rules, family, "family of handlers", &known));
        }
        let word = value.as_str().ok_or_else(|| {
            let why = format!("{family}: write \"nobody\", \"listed\" or \"anyone\"");
            self.wrong(value.span(), why)
        })?;
        word.parse().map_err(|error| self.wrong(value.span(), format!("{family}: {error}")))
    }

    fn unknown(&self, table: &dyn TableLike, key: &str, what: &str, known: &[&str]) -> HomeError {
        let span = table.get_key_value(key).and_then(|(key, _)| key.span());
        let names: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        let remedy = remedy(nearest(key, known.iter().copied()), &names);
        self.wrong(span, format!("unknown {what} {key:?}{remedy}"))
    }

    fn wrong(&self, span: Option<std::ops::Range<usize>>, why: String) -> HomeError {
        let before = span.and_then(|span| self.text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        HomeError::Config { path: self.path.to_owned(), line, why }
    }
}

/// Path of the file in a home.
pub(crate) fn path(home: &Path) -> PathBuf {
    home.join("config.toml")
}
