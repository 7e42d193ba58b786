//! `text/top-words`.

use std::{borrow::Cow, cmp::Reverse, collections::HashMap};

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::{count::each_word, source::Source};
use crate::{
    context::TaskContext,
    handler::{HandlerError, OutputWriter, ParamKind, ParamSpec},
    limits::TOP_WORDS,
};

const N: ParamSpec = ParamSpec::with_default(
    "n",
    ParamKind::Integer { min: 0, max: TOP_WORDS as i64 },
    "10",
    "how many words to list",
);
pub(super) const PARAMS: &[ParamSpec] = &[N];

/// The output of `text/top-words`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopWords {
    /// Number of all words of the text, listed or not.
    pub words: u64,
    /// The most frequent words, in lower case; words of equal count in code point order.
    pub top: Vec<CountedWord>,
}

/// How often a word occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedWord {
    /// The word, in lower case.
    pub word: String,
    /// Number of occurrences.
    pub count: u64,
}

/// How often each word of a text occurs, in lower case, as `text/top-words` counts.
///
/// ```
/// let counts = meshwork_exec::text::count_each_word("To be or not to be");
/// assert_eq!(counts["to"], 2);
/// ```
pub fn count_each_word(text: &str) -> HashMap<Cow<'_, str>, u64> {
    let mut counts = HashMap::new();
    for word in text.unicode_words() {
        *counts.entry(lower_case(word)).or_default() += 1;
    }
    counts
}

pub(super) fn top_words(
    cx: &TaskContext,
    source: &mut Source<'_>,
    output: &mut OutputWriter<'_>,
) -> Result<(), HandlerError> {
    let n = cx.value(&N)?;
    source.whole(|input| {
        let text = str::from_utf8(input)?;
        // Not a faster hash: the keys come from an untrusted text.
        let mut counts: HashMap<Cow<'_, str>, u64> = HashMap::new();
        let mut words = 0;
        each_word(cx, text, |word| {
            words += 1;
            *counts.entry(lower_case(word)).or_default() += 1;
        })?;
        let mut top: Vec<_> = counts.into_iter().collect();
        top.sort_unstable_by(|(a, n), (b, m)| (Reverse(n), a).cmp(&(Reverse(m), b)));
        let counted = |(word, count): (Cow<'_, str>, u64)| CountedWord { word: word.into(), count };
        output.push_json(&TopWords { words, top: top.into_iter().take(n).map(counted).collect() })
    })
}

fn lower_case(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}
