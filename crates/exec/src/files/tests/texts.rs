//! Text handlers on files, with outputs above what a result carries.

use super::*;
use crate::text::{MatchingLine, Search};

fn rig(home: &Home) -> Rig {
    let registry = Registry::new().with_text().unwrap();
    Rig::with_files(registry, 2, Some(home.files.clone()))
}

fn call(handler: &str, input: Payload, params: &[(&str, &str)]) -> meshwork_core::Assignment {
    with(work(handler, input), params)
}

#[tokio::test]
async fn large_texts_stay_files() {
    let home = Home::new();
    let mut rig = rig(&home);
    let text = "one Größe\r\ntwo\n".repeat(3 * INLINE_BYTES / 16);
    let file = home.blob(text.as_bytes(), false);
    let replaced = [("pattern", "t"), ("with", "<$0>")];
    for (handler, params, expected) in [
        ("text/upper", &[][..], text.to_uppercase()),
        ("text/lower", &[], text.to_lowercase()),
        ("text/lines", &[("from", "3")], text[17..].to_owned()),
        ("text/replace", &replaced, text.replace('t', "<t>")),
        ("text/sort", &[("unique", "true")], "one Größe\r\ntwo\r\n".to_owned()),
    ] {
        let ended = rig.ended(call(handler, file.clone(), params)).await;
        if expected.len() <= INLINE_BYTES {
            assert_eq!(output(ended.end), expected, "{handler}");
        } else {
            assert!(home.published(ended).1 == expected.into_bytes(), "{handler}");
        }
    }
    let hash = output(rig.run(call("text/hash", file, &[])).await);
    assert_eq!(hash, BlobHash::of(text.as_bytes()).to_string());
}

#[tokio::test]
async fn large_list_of_matches_is_written_with_its_count_first() {
    let home = Home::new();
    let mut rig = rig(&home);
    let lines = INLINE_BYTES / 8;
    let text: String = (1..=lines).map(|n| if n % 3 == 0 { "no\n" } else { "yes\n" }).collect();
    let file = home.blob(text.as_bytes(), false);
    for max in [lines as u64, 60_000, 10] {
        let params = [("pattern", "yes"), ("max", &*max.to_string())];
        let ended = rig.ended(call("text/search", file.clone(), &params)).await;
        let json = match &ended.end {
            AttemptEnd::Output(Payload::Inline(json)) => json.to_vec(),
            AttemptEnd::Output(_) | AttemptEnd::Failed(_) | AttemptEnd::Cancelled => {
                home.published(ended).1
            }
        };
        let listed = (1..=lines as u64).filter(|n| n % 3 != 0).take(max as usize);
        let expected = Search {
            matches: lines as u64 - lines as u64 / 3,
            lines: listed.map(|number| MatchingLine { number, text: "yes".to_owned() }).collect(),
        };
        assert!(serde_json::to_vec(&expected).unwrap() == json, "{max}");
    }
}
