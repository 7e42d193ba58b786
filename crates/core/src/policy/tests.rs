use super::*;

#[test]
fn families_accept_listed_peers_unless_reserved() {
    let policy = AcceptPolicy::default();
    for family in ["text", "demo", "my-own"] {
        assert_eq!(policy.of(family), Accept::Listed, "{family}");
        assert!(policy.allows(family, true) && !policy.allows(family, false), "{family}");
    }
    for family in AcceptPolicy::RESERVED {
        assert_eq!(policy.of(family), Accept::Nobody, "{family}");
        assert!(!policy.allows(family, true), "{family}");
    }
}

#[test]
fn rule_for_all_families_never_opens_programs() {
    let families = ["text", "debug", "command", "exec"];
    let policy = AcceptPolicy::default().with_all(families, Accept::Anyone);
    assert_eq!((policy.of("text"), policy.of("debug")), (Accept::Anyone, Accept::Anyone));
    assert_eq!((policy.of("command"), policy.of("exec")), (Accept::Nobody, Accept::Nobody));
    let opened = policy.with("exec", Accept::Listed).with_all(families, Accept::Nobody);
    assert_eq!((opened.of("text"), opened.of("exec")), (Accept::Nobody, Accept::Listed));
}

#[test]
fn rules_of_a_higher_source_win() {
    let flags = AcceptPolicy::default().with("text", Accept::Nobody);
    let file = AcceptPolicy::default().with("text", Accept::Anyone).with("debug", Accept::Listed);
    let merged = flags.over(&file);
    assert_eq!((merged.of("text"), merged.of("debug")), (Accept::Nobody, Accept::Listed));
    assert_eq!((merged.rule("demo"), merged.of("demo")), (None, Accept::Listed));
    let shown: Vec<_> = merged
        .spelled_out(["demo", "text"])
        .iter()
        .map(|(family, accept)| format!("{family}={accept}"))
        .collect();
    assert_eq!(shown, ["demo=listed", "text=nobody"]);
}
