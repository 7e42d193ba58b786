//! The descriptions of the built-in handlers agree with their module documentation and with the
//! parameters that the handlers accept.

use std::collections::BTreeMap;

use meshwork_core::{AttemptEnd, FailureCode, HandlerName};

use crate::{
    Description, ParamKind, ParamSpec, Registry, handler_fn,
    testing::{Rig, with, work},
};

fn built_in() -> Registry {
    Registry::new().with_text().unwrap().with_debug(None).unwrap()
}

/// A value that a parameter accepts, and values that it refuses.
fn samples(kind: &ParamKind) -> (String, Vec<String>) {
    let of_words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match kind {
        ParamKind::Text | ParamKind::Regex => ("a".to_owned(), Vec::new()),
        ParamKind::Boolean => ("true".to_owned(), of_words(&["", "yes", "TRUE", "1"])),
        ParamKind::Integer { min, max } => {
            let beyond = [min - 1, max + 1].map(|number| number.to_string());
            (min.to_string(), [of_words(&["", "one", "1e3", " 1"]), beyond.into()].concat())
        }
        ParamKind::Choice { of } => (of[0].to_string(), of_words(&["", "neither", "blake3 "])),
    }
}

/// The parameter that a run refuses, if any.
async fn refused(rig: &mut Rig, handler: &str, params: &[(&str, &str)]) -> Option<String> {
    let AttemptEnd::Failed(failure) = rig.run(with(work(handler, "a\nb"), params)).await else {
        return None;
    };
    let refused = failure.code == FailureCode::BadParameter;
    refused.then(|| failure.message.split('"').nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn handlers_take_exactly_their_described_parameters() {
    let registry = built_in();
    let mut rig = Rig::new(registry.clone(), 1);
    for (handler, description) in registry.descriptions() {
        let handler = handler.as_str();
        let values: Vec<_> =
            description.params.iter().map(|spec| (spec, samples(&spec.kind))).collect();
        let needed: Vec<(&str, &str)> = values
            .iter()
            .filter(|(spec, _)| spec.required)
            .map(|(spec, (good, _))| (&*spec.name, &**good))
            .collect();
        let also = |name, value| [&*needed, &[(name, value)]].concat();
        if handler != "debug/sleep" {
            assert_eq!(refused(&mut rig, handler, &needed).await, None, "{handler}");
        }
        let unknown = refused(&mut rig, handler, &also("unheard-of", "1")).await;
        assert_eq!(unknown.as_deref(), Some("unheard-of"), "{handler}");
        for (spec, (good, bad)) in &values {
            let name = &*spec.name;
            let taken = refused(&mut rig, handler, &also(name, good)).await;
            assert_eq!(taken, None, "{handler}: {name}={good}");
            for bad in bad {
                let refused = refused(&mut rig, handler, &also(name, bad)).await;
                assert_eq!(refused.as_deref(), Some(name), "{handler}: {name}={bad}");
            }
        }
        for (missing, _) in &needed {
            let others: Vec<_> =
                needed.iter().filter(|(name, _)| name != missing).copied().collect();
            let refused = refused(&mut rig, handler, &others).await;
            assert_eq!(refused.as_deref(), Some(*missing), "{handler}");
        }
    }
}

#[test]
fn descriptions_are_complete_with_valid_defaults() {
    for (handler, Description { summary, params, .. }) in built_in().descriptions() {
        assert!(summary.ends_with('.') && summary.len() < 80, "{handler}: {summary}");
        let mut names: Vec<&str> = params.iter().map(|spec| &*spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), params.len(), "{handler}");
        for spec in params.iter() {
            assert!(!spec.doc.is_empty(), "{handler}: {}", spec.name);
            if let Some(default) = &spec.default {
                assert!(!spec.required, "{handler}: {}", spec.name);
                spec.check(default).unwrap();
            }
        }
    }
}

/// The rows of the table in a module's documentation: the handler's name and its parameter cell.
fn documented(source: &str) -> BTreeMap<&str, &str> {
    let mut rows = BTreeMap::new();
    for row in source.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        for name in cells[0].split(", ") {
            assert!(rows.insert(name.trim_matches('`'), cells[2]).is_none(), "{name}");
        }
    }
    rows
}

#[test]
fn module_docs_list_the_same_handlers_and_parameters() {
    let mut rows = documented(include_str!("../../text.rs"));
    rows.extend(documented(include_str!("../../debug.rs")));
    let registry = built_in();
    let names: Vec<&str> = registry.names().map(HandlerName::as_str).collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), names);
    for (handler, description) in registry.descriptions() {
        // Parameter names stand before the colon of each clause.
        let listed: Vec<&str> = rows[handler.as_str()]
            .split("; ")
            .flat_map(|clause| clause.split(':').next().unwrap().split(", "))
            .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'))
            .collect();
        let mut described: Vec<&str> = description.params.iter().map(|spec| &*spec.name).collect();
        let mut listed = listed;
        listed.sort_unstable();
        described.sort_unstable();
        assert_eq!(listed, described, "{handler}");
    }
}

#[test]
fn description_is_kept_and_survives_json() {
    let count =
        ParamSpec::with_default("count", ParamKind::Integer { min: 1, max: 9 }, "2", "how often");
    let mode = ParamSpec::required(
        "mode",
        ParamKind::Choice { of: vec!["fast".into(), "slow".into()].into() },
        "how fast",
    );
    let description = Description::new("Tests.").with_param(count).with_param(mode);
    let mut registry = Registry::new();
    let echo = handler_fn("test/echo", |_cx, input| async { Ok(input) });
    registry.register(echo.with_description(description.clone())).unwrap();
    registry.register(handler_fn("test/mute", |_cx, input| async { Ok(input) })).unwrap();

    let describe = |name: &str| registry.describe(&name.parse().unwrap());
    assert_eq!(describe("test/echo"), Some(&description));
    assert_eq!(describe("test/mute"), Some(&Description::default()));
    assert_eq!(describe("test/absent"), None);
    let json = serde_json::to_string(&description).unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"summary":"Tests.","params":[{"name":"count","#,
            r#""kind":{"type":"integer","min":1,"max":9},"required":false,"default":"2","#,
            r#""doc":"how often"},{"name":"mode","kind":{"type":"choice","of":["fast","slow"]},"#,
            r#""required":true,"default":null,"doc":"how fast"}]}"#
        )
    );
    assert_eq!(serde_json::from_str::<Description>(&json).unwrap(), description);
}

/// A number with a comma before every three digits.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let ends = digits.len() % 3;
    let comma = |(at, digit)| if at > 0 && at % 3 == ends { vec![',', digit] } else { vec![digit] };
    digits.chars().enumerate().flat_map(comma).collect()
}

/// The texts about a parameter that the row of its handler in `docs/protocol.md` must contain.
fn in_document(param: &ParamSpec) -> Vec<String> {
    let name = &param.name;
    let mut words = vec![match &param.default {
        Some(default) => format!("`{name} = {default}`"),
        None if param.required => format!("`{name}!`"),
        None => format!("`{name}`"),
    }];
    match &param.kind {
        ParamKind::Integer { min, max } => {
            words.push(format!("{} to {}", grouped(*min), grouped(*max)));
        }
        ParamKind::Choice { of } => words.extend(of.iter().map(ToString::to_string)),
        ParamKind::Text | ParamKind::Regex | ParamKind::Boolean => {}
    }
    words
}

#[test]
fn protocol_document_lists_all_handler_parameters() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    let document = std::fs::read_to_string(path).unwrap();
    for (handler, description) in built_in().descriptions() {
        let begins = format!("| `{handler}` |");
        let row = document.lines().find(|line| line.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md has no row for {handler}"));
        for words in description.params.iter().flat_map(in_document) {
            assert!(row.contains(&words), "{handler}: docs/protocol.md lacks {words}");
        }
    }
}
