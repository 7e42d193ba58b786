use meshwork_core::{
    self as core, Accept, CancelledBy as By, ExpiredLimit as Limit, FailureCode, HealthStatus,
    PeerStage, TaskState as Task, engine::view,
};
use serde_json::json;

use crate::types::*;

/// `NotReady` becomes `not_ready`.
fn snake(name: &str) -> String {
    let letters = name.char_indices().flat_map(|(at, letter)| {
        let gap = (at > 0 && letter.is_uppercase()).then_some('_');
        gap.into_iter().chain(letter.to_lowercase())
    });
    letters.collect()
}

/// Checks that each word of these enums is serialized, shown and parsed as itself.
macro_rules! each_word {
    ($($name:ident),+) => {
        $(for word in $name::WORDS {
            let known = $name::from(*word);
            assert!(!matches!(known, $name::Other(_)), "{word}");
            assert_eq!(snake(&format!("{known:?}")), word.replace('.', "_"));
            assert_eq!((known.as_str(), known.to_string().as_str()), (*word, *word));
            let json = serde_json::to_value(&known).unwrap();
            assert_eq!(json, json!(word));
            assert_eq!(serde_json::from_value::<$name>(json).unwrap(), known);
        })+
    };
}

#[test]
fn every_word_round_trips() {
    each_word!(
        AcceptRule,
        CancelledBy,
        Durability,
        ErrorCode,
        EventType,
        ExpiredLimit,
        GroupState,
        HealthState,
        KeyCopySign,
        MemberState,
        NodeState,
        ObstacleCode,
        PeerPath,
        PeerState,
        TaskState,
        Transport,
        WaitCode
    );
}

#[test]
fn unknown_word_is_kept_and_sent_on_unchanged() {
    let json = json!({ "id": "x", "state": "paused" });
    let task: EndedTask = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(task.state, TaskState::Other("paused".to_owned()));
    assert!(!task.state.is_ended());
    assert_eq!(format!("{:<8}|", task.state), "paused  |");
    assert_eq!(serde_json::to_value(&task).unwrap(), json);
}

#[test]
fn words_sort_like_strings() {
    let codes = [ObstacleCode::NotReady, ObstacleCode::None, ObstacleCode::Other("a".to_owned())];
    let sums: std::collections::BTreeMap<_, _> = codes.into_iter().map(|code| (code, 1)).collect();
    assert_eq!(serde_json::to_string(&sums).unwrap(), r#"{"a":1,"none":1,"not_ready":1}"#);
}

#[test]
fn every_word_of_the_engine_is_known() {
    let groups = view::GroupState::ALL.map(view::GroupState::as_str);
    let peers = PeerStage::ALL.map(PeerStage::as_str);
    let accepts = [Accept::Nobody, Accept::Listed, Accept::Anyone].map(Accept::as_str);
    let failures = [
        FailureCode::Handler,
        FailureCode::Permanent,
        FailureCode::Panicked,
        FailureCode::BadParameter,
        FailureCode::BadInput,
        FailureCode::InputTooLarge,
        FailureCode::InputLost,
        FailureCode::NoSpace,
        FailureCode::UnknownHandler,
        FailureCode::OutputTooLarge,
        FailureCode::TimedOut,
        FailureCode::Refused,
        FailureCode::Lost,
    ]
    .map(FailureCode::as_str);
    let ends = [Task::Queued, Task::Succeeded, Task::Failed, Task::Cancelled, Task::Expired];
    let ends = ends.each_ref().map(Task::as_str);
    let cancels = [By::Submitter, By::Shutdown, By::Group].map(By::as_str);
    let limits = [Limit::Queue, Limit::Attempt, Limit::Total].map(Limit::as_str);
    let health =
        [HealthStatus::Healthy, HealthStatus::Degraded(vec![]), HealthStatus::Unhealthy(vec![])];
    let health = health.each_ref().map(HealthStatus::as_str);
    let durabilities =
        [core::Durability::Memory, core::Durability::Disk].map(core::Durability::as_str);
    for (words, known) in [
        (&groups[..], GroupState::WORDS),
        (&peers, PeerState::WORDS),
        (&accepts, AcceptRule::WORDS),
        (&failures, ErrorCode::WORDS),
        (&ends, TaskState::WORDS),
        (&cancels, CancelledBy::WORDS),
        (&limits, ExpiredLimit::WORDS),
        (&health, HealthState::WORDS),
        (&durabilities, Durability::WORDS),
    ] {
        for word in words {
            assert!(known.contains(word), "{word}");
        }
    }
}
