use serde_json::json;

use super::*;

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn highest_exit_code_of_several_ids_counts() {
    let mut out = Output::silent();
    out.json = true;
    let mut outcomes = Outcomes::new(&ids(&["a", "b", "c"]), &out);
    outcomes.add(&json!({ "id": "a" }), exit::FAILED).expect("JSON");
    let failure = outcomes.report("b", Failure::new(exit::NOT_FOUND, "not_found", "no").into());
    let failure = failure.expect("the command goes on");
    assert_eq!((failure.message.as_str(), failure.exit), ("b: no", exit::NOT_FOUND));
    outcomes.add_failure("b", &failure).expect("JSON");
    outcomes.add(&json!({ "id": "c" }), exit::DONE).expect("JSON");
    assert_eq!(outcomes.code(), exit::NOT_FOUND);
    let given: Vec<&Value> = outcomes.values.iter().map(|value| &value["id"]).collect();
    assert_eq!(given, ["a", "b", "c"]);
    assert_eq!(outcomes.values[1]["error"]["code"], "not_found");
}

#[test]
fn failure_of_the_only_id_ends_the_command() {
    let out = Output::silent();
    let outcomes = Outcomes::new(&ids(&["a"]), &out);
    let error = Failure::new(exit::NOT_FOUND, "not_found", "no");
    let reported = outcomes.report("a", error.clone().into()).expect_err("the command ends");
    assert_eq!(Failure::of(reported), error);
}
