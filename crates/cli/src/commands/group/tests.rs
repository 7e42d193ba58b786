use super::*;

#[test]
fn stopping_group_has_not_ended_before_its_cancel() {
    let time = "2026-11-23T12:00:00Z";
    let group: GroupView = serde_json::from_value(serde_json::json!({
        "id": "019aa2c4-0000-7000-8000-0000008f3a21", "short": "8f3a21", "state": "stopping",
        "members": 9, "complete": true, "max_fails": 0, "stopped": true, "cancel_reason": null,
        "queued": 8, "running": 0, "succeeded": 0, "failed": 1, "cancelled": 0, "expired": 0,
        "workers": 0, "submitted_at": time, "handed_in_at": time
    }))
    .expect("a group");
    assert_eq!(after_cancel(&group), "group 8f3a21, stopping: 8 queued, 1 failed");
    let ended = GroupView { state: "failed".into(), queued: 0, cancelled: 8, ..group };
    let expected = "group 8f3a21 has already ended: 1 failed, 8 cancelled";
    assert_eq!(after_cancel(&ended), expected);
    let by_request =
        GroupView { state: "cancelled".into(), cancel_reason: Some(String::new()), ..ended };
    assert_eq!(after_cancel(&by_request), "group 8f3a21, cancelled: 1 failed, 8 cancelled");
}
