//! Registration: malformed names, duplicate names, too many handlers.

use meshwork_core::HandlerName;

use super::{RegisterError, Registry};
use crate::{Handler, handler_fn, limits::HANDLERS};

mod descriptions;

fn named(name: &str) -> impl Handler {
    handler_fn(name, |_cx, input| async { Ok(input) })
}

#[test]
fn names_are_listed_in_order() {
    let registry = Registry::new().with_debug(None).unwrap().with_text().unwrap();
    let names: Vec<&str> = registry.names().map(HandlerName::as_str).collect();
    assert_eq!(
        names,
        [
            "debug/echo",
            "debug/fail",
            "debug/noop",
            "debug/pack",
            "debug/panic",
            "debug/sleep",
            "text/hash",
            "text/lines",
            "text/lower",
            "text/replace",
            "text/reverse",
            "text/search",
            "text/sort",
            "text/stats",
            "text/top-words",
            "text/unique",
            "text/upper",
            "text/word-count",
        ]
    );
    assert!(registry.contains(&"text/hash".parse().unwrap()));
    assert!(!registry.contains(&"text/cut".parse().unwrap()));
}

#[test]
fn malformed_name_is_refused() {
    for name in ["", "upper", "text/", "/upper", "Text/upper", "text/up per", "a/b/c"] {
        let error = Registry::new().register(named(name)).unwrap_err();
        assert!(matches!(error, RegisterError::Name(_)), "{name}: {error:?}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn duplicate_name_is_refused() {
    let mut registry = Registry::new();
    registry.register(named("text/upper")).unwrap();
    let error = registry.register(named("text/upper")).unwrap_err();
    assert_eq!(error.to_string(), "handler text/upper is registered already");
    assert!(matches!(registry.with_text(), Err(RegisterError::Duplicate { .. })));
}

#[test]
fn handlers_beyond_the_limit_are_refused() {
    let mut registry = Registry::new();
    for nth in 0..HANDLERS {
        registry.register(named(&format!("test/n{nth}"))).unwrap();
    }
    let error = registry.register(named("test/more")).unwrap_err();
    assert!(matches!(error, RegisterError::TooMany), "{error:?}");
}
