use super::*;

fn known() -> GroupView {
    let time = "2026-11-23T12:00:00Z";
    serde_json::from_value(serde_json::json!({
        "id": "019aa2c4-0000-7000-8000-0000008f3a21", "short": "8f3a21", "state": "running",
        "members": 3, "complete": true, "max_fails": 3, "durability": "disk", "stopped": false,
        "cancel_reason": null, "queued": 3, "running": 0, "succeeded": 0, "failed": 0,
        "cancelled": 0, "expired": 0, "workers": 0, "submitted_at": time, "handed_in_at": time
    }))
    .expect("a group")
}

fn given() -> Given {
    Given { members: 3, max_fails: Some(3), durability: None, differs: None }
}

#[test]
fn each_difference_is_named_with_both_values() {
    let differences = |known: &GroupView, given: Given| text(known, &given, Noun::Line);
    let known = known();
    assert_eq!(differences(&known, given()), None);
    for (given, expected) in [
        (Given { members: 4, ..given() }, "4 lines instead of 3"),
        (Given { members: 1, ..given() }, "1 line instead of 3"),
        (Given { differs: Some(1), ..given() }, "line 2 differs"),
        (Given { max_fails: Some(5), ..given() }, "--max-fails 5 instead of 3"),
        (Given { max_fails: None, ..given() }, "--max-fails none instead of 3"),
        (
            Given { durability: Some(Durability::Memory), ..given() },
            "--durability memory instead of disk",
        ),
        (
            Given { members: 4, max_fails: Some(5), ..given() },
            "4 lines instead of 3, --max-fails 5 instead of 3",
        ),
    ] {
        assert_eq!(differences(&known, given).as_deref(), Some(expected));
    }
    // A group that is not complete may get any number of further members.
    let part = GroupView { complete: false, ..known };
    assert_eq!(differences(&part, Given { members: 4, ..given() }), None);
    let fewer = differences(&part, Given { members: 2, ..given() });
    assert_eq!(fewer.as_deref(), Some("2 lines instead of 3"));
}
