//! Ids, names and validation of tasks.

use std::time::Duration;

use super::*;
use crate::limits;

type Spoil = Box<dyn Fn(&mut Task)>;

#[test]
fn task_id_has_a_short_and_a_full_form() {
    let (first, second) = (TaskId::new(), TaskId::new());
    assert!(first < second, "ids are in the order of creation");
    let whole = first.to_string();
    assert_eq!(whole.len(), 36);
    assert!(whole.ends_with(&first.short()) && first.short().len() == 6);
    assert_eq!(whole.parse::<TaskId>().unwrap(), first);
    assert_eq!(TaskId::from_bytes(*first.as_bytes()), first);
    assert!("".parse::<TaskId>().is_err() && first.short().parse::<TaskId>().is_err());
}

#[test]
fn default_task_is_statistics_of_an_empty_input() {
    let task = Task::default();
    assert_eq!(task.handler().unwrap().as_str(), "text/stats");
    assert!(task.input.is_empty());
    assert_eq!(task.check(), Ok(()));
    for family in ["text", "wasm", "command", "mine"] {
        assert_eq!(TaskType::from_family(family).family(), family);
    }
}

#[test]
fn malformed_handler_names_are_refused() {
    for good in ["text/word-count", "my.family_2/x"] {
        assert_eq!(good.parse::<HandlerName>().unwrap().as_str(), good);
    }
    let long = format!("text/{}", "x".repeat(limits::HANDLER_NAME));
    for bad in ["", "text", "text/", "/x", "Text/x", "text/x y", "text/x/y", "text/\u{1b}", &long] {
        assert!(bad.parse::<HandlerName>().is_err(), "{bad:?}");
    }
}

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|nth| nth.to_string())
}

fn pairs<T: FromIterator<(String, String)>>(count: usize) -> T {
    texts(count).map(|text| (text.clone(), text)).collect()
}

fn one<T: FromIterator<(String, String)>>(name: String, value: String) -> T {
    [(name, value)].into_iter().collect()
}

#[test]
fn invalid_fields_are_refused_by_name() {
    let long = || "x".repeat(limits::LABEL_BYTES + 1);
    let cases: Vec<(&str, Spoil)> = vec![
        (
            "the input",
            Box::new(|t| t.input = Bytes::from(vec![0; limits::INLINE_BYTES + 1]).into()),
        ),
        ("params", Box::new(move |t| t.params = pairs(limits::PARAMS + 1))),
        ("params", Box::new(move |t| t.params = one(String::new(), String::new()))),
        ("params", Box::new(move |t| t.params = one("x".repeat(limits::PARAM_NAME + 1), long()))),
        (
            "params",
            Box::new(move |t| t.params = one("x".to_owned(), "x".repeat(limits::PARAM_VALUE + 1))),
        ),
        (
            "requirements",
            Box::new(move |t| t.requirements.capabilities = texts(limits::LABELS + 1).collect()),
        ),
        ("requirements", Box::new(move |t| t.requirements.labels = pairs(limits::LABELS + 1))),
        ("requirements", Box::new(move |t| t.requirements.labels = one("x".to_owned(), long()))),
        ("limits.attempt", Box::new(|t| t.limits.attempt = Some(Duration::ZERO))),
        ("idempotency_key", Box::new(|t| t.idempotency_key = Some(String::new()))),
        (
            "idempotency_key",
            Box::new(|t| t.idempotency_key = Some("x".repeat(limits::IDEMPOTENCY_KEY + 1))),
        ),
    ];
    for (at, (field, spoil)) in cases.into_iter().enumerate() {
        let mut task = Task::default();
        spoil(&mut task);
        let error = task.check().unwrap_err().to_string();
        assert!(error.starts_with(field), "case {at}, {field}: {error}");
    }
    let full = Task {
        input: Bytes::from(vec![0; limits::INLINE_BYTES]).into(),
        idempotency_key: Some("x".repeat(limits::IDEMPOTENCY_KEY)),
        ..Task::default()
    };
    assert_eq!(full.check(), Ok(()), "each limit is inclusive");
}

#[test]
fn task_input_is_made_from_text_and_bytes() {
    let bytes = [0, 159, 146, 150];
    let inputs: [TaskInput; 4] = [
        bytes.to_vec().into(),
        bytes.as_slice().into(),
        (&bytes).into(),
        Bytes::copy_from_slice(&bytes).into(),
    ];
    assert!(inputs.iter().all(|input| input.inline() == bytes));
    assert_eq!(TaskInput::from("a"), TaskInput::from("a".to_owned()));
}

#[test]
fn ids_are_made_at_any_clock_time() {
    let second = Duration::from_secs(1);
    let before = SystemTime::UNIX_EPOCH - second;
    for now in [before, SystemTime::UNIX_EPOCH, before + 4_000_000_000 * second] {
        let (one, other) = (new_id(now), new_id(now));
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 7);
    }
    let (seconds, _) = new_id(SystemTime::UNIX_EPOCH - second).get_timestamp().unwrap().to_unix();
    assert_eq!(seconds, 0);
}
