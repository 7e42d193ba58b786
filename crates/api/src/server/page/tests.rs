use super::*;

#[test]
fn limit_of_zero_is_refused_and_a_large_one_takes_several_pages() {
    assert_eq!(limit(None, 10).unwrap(), 10);
    assert_eq!(limit(Some(1), 10).unwrap(), 1);
    assert_eq!(limit(Some(usize::MAX), 10).unwrap(), 10);
    let problem = limit(Some(0), 10).unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (400, "bad_request"));
}

#[test]
fn only_an_unfinished_list_has_a_cursor() {
    let page = cut(vec![3, 2, 1], 2, i32::to_string);
    assert_eq!((page.items, page.next_cursor.as_deref()), (vec![3, 2], Some("2")));
    for whole in [vec![3, 2], vec![3], vec![]] {
        let page = cut(whole.clone(), 2, i32::to_string);
        assert_eq!((page.items, page.next_cursor), (whole, None));
    }
}

#[test]
fn position_round_trips_and_bad_cursor_is_refused() {
    let position = Submitted(Time::from_nanos(7), 9_u32);
    assert_eq!(position.to_string().parse(), Ok(position));
    for wrong in ["", ".", "7", "7.", ".9", "x.9", "7.x", "-7.9", "7.9.9"] {
        assert_eq!(wrong.parse::<Submitted<u32>>(), Err(()), "{wrong:?}");
        let problem = super::position::<Submitted<u32>>(Some(wrong)).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (400, "bad_request"));
    }
}
