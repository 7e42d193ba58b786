use std::path::PathBuf;

use meshwork_api::Problem;

use super::*;

fn client() -> Client {
    Client::new("/home/o'neil/.mesh/api.sock")
}

fn unreachable() -> ClientError {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    ClientError::Unreachable { path: PathBuf::from("/x"), source }
}

fn answer(status: u16, code: &str, retry_after_ms: Option<u64>) -> ClientError {
    ClientError::Api(Box::new(Problem {
        kind: String::new(),
        title: String::new(),
        status,
        detail: "no".to_owned(),
        code: code.into(),
        hint: None,
        task_id: None,
        retry_after_ms,
        percent: None,
    }))
}

#[test]
fn each_error_says_whether_the_node_is_away() {
    let silent = ClientError::Silent { path: PathBuf::new(), after: Duration::from_secs(1) };
    for (error, state) in [
        (unreachable(), State::Away),
        (silent, State::Away),
        (answer(503, "shutting_down", Some(5_000)), State::Away),
        (answer(503, "internal", None), State::Away),
        (answer(503, "recovering", Some(1_000)), State::Busy),
        (answer(429, "busy", Some(10)), State::Busy),
        (answer(404, "not_found", None), State::Here),
        (ClientError::Protocol { what: String::new() }, State::Here),
    ] {
        assert_eq!(State::of(&error), state, "{error:?}");
    }
}

#[test]
fn failure_of_a_lost_node_names_the_fate_of_the_task() {
    let waited = |durable| Waited { what: "task 8f3a21".into(), ids: "8f3a21".into(), durable };
    let failure = |durable| Failure::of(waited(durable).failure(unreachable(), &client()));
    let kept = failure(true);
    assert_eq!((kept.exit, kept.code.as_str()), (exit::UNREACHABLE, "unreachable"));
    assert!(kept.message.contains("task 8f3a21 is kept on disk"), "{kept:?}");
    let way = r"meshwork up --home '/home/o'\''neil/.mesh', then: meshwork wait 8f3a21 --results";
    assert_eq!(kept.hint.as_deref(), Some(way));
    let lost = failure(false);
    assert!(lost.message.contains("its durability is memory"), "{lost:?}");
    assert!(lost.hint.is_some_and(|hint| hint.contains("--durability disk")));
    let other = waited(true).failure(answer(404, "not_found", None), &client());
    assert_eq!(Failure::of(other).message, "no", "the failure of the task, not of the node");
}

#[tokio::test(start_paused = true)]
async fn node_that_comes_back_is_asked_again() {
    let (client, out) = (client(), Output::silent());
    let waited = Waited { durable: true, ..Waited::default() };
    let mut away = Away::new(waited, &client, &out);
    let mut answers = vec![Ok(7), Err(answer(503, "recovering", Some(1))), Err(unreachable())];
    let answer = away.ask(async || answers.pop().expect("an answer")).await;
    assert_eq!(answer.ok(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn node_that_stays_away_is_given_up() {
    let (client, out) = (client(), Output::silent());
    let waited = Waited { durable: true, ..Waited::default() };
    let start = Instant::now();
    let answer = Away::new(waited, &client, &out).ask(async || Err::<(), _>(unreachable())).await;
    assert_eq!(Failure::of(answer.expect_err("given up")).code, "unreachable".into());
    assert!((limits::AWAY..limits::AWAY * 2).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn task_in_memory_is_given_up_at_once() {
    let (client, out) = (client(), Output::silent());
    let start = Instant::now();
    let mut away = Away::new(Waited::default(), &client, &out);
    away.ask(async || Err::<(), _>(unreachable())).await.expect_err("given up");
    assert_eq!(start.elapsed(), Duration::ZERO);
}
