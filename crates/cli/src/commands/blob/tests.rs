use super::*;

#[test]
fn the_start_of_a_hash_has_enough_digits() {
    for good in ["0a1B2c", &"0".repeat(64)] {
        assert_eq!(checked(good), Ok(good));
    }
    for bad in ["", "abcde", "abcdeg", "-abcdef", &"0".repeat(65), "äöüäöü"] {
        assert_eq!(checked(bad).unwrap_err().exit, exit::USAGE, "{bad}");
    }
}
