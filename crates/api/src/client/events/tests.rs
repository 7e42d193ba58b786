use super::*;

fn parser() -> Parser {
    Parser::default()
}

const EVENT: &str = "id: 7\nevent: task.queued\ndata: {\"id\":7,\"at\":\"2026-11-27T12:00:00Z\",\
    \"type\":\"task.queued\",\"task_id\":\"t\",\"added_later\":1}\n\n";

#[test]
fn events_parse_from_chunks_of_any_size() {
    let text = format!("id: 5\n\n:\n\n{EVENT}");
    for size in [1, 2, 7, text.len()] {
        let mut parser = parser();
        let mut events = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            parser.push(chunk).unwrap();
            events.extend(parser.next().unwrap());
        }
        let [event] = events.as_slice() else { panic!("{size}: {events:?}") };
        assert_eq!((event.id, event.kind.as_str()), (7, "task.queued"));
        assert_eq!((event.task_id.as_deref(), parser.last_id), (Some("t"), Some(7)));
    }
}

#[test]
fn id_without_data_only_sets_the_position() {
    let mut parser = parser();
    parser.push(b"id: 5\n\n").unwrap();
    assert_eq!((parser.next().unwrap(), parser.last_id), (None, Some(5)));
}

#[test]
fn malformed_event_is_an_error() {
    for text in ["id: seven\n\n", "data: {\n\n", "data: {\"id\": 7}\n\n"] {
        let mut parser = parser();
        parser.push(text.as_bytes()).unwrap();
        let error = parser.next().unwrap_err();
        assert_eq!(error.code().as_str(), "protocol", "{text}");
    }
}

#[test]
fn endless_event_is_refused() {
    // An endless line, and an endless event of many lines.
    for chunk in [vec![b'x'; 4_096], [b"data: ", [b'x'; 4_089].as_slice(), b"\n"].concat()] {
        let mut parser = parser();
        let mut kept = 0;
        let error = loop {
            kept += chunk.len();
            assert!(kept < limits::EVENT_BYTES * 2, "it is kept");
            match parser.push(&chunk).and_then(|()| parser.next()) {
                Ok(event) => assert_eq!(event, None),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code().as_str(), "protocol");
    }
}
