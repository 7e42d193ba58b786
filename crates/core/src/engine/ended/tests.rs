use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::engine::kinds::Kinds;

fn entry(id: TaskId, key: u64, weight: u32) -> Entry {
    let kind = Kinds::default().of("text", "a").unwrap();
    let ending = (Ending::Succeeded, false);
    Entry::new(id, (7, key), (Time::ZERO, Time::ZERO), weight, None, kind, ending)
}

fn id(number: u64) -> TaskId {
    TaskId::from_bytes(u128::from(number.wrapping_mul(0x9e37_79b9)).to_be_bytes())
}

#[test]
fn an_entry_is_64_bytes() {
    assert_eq!(size_of::<Entry>(), 64);
}

/// Against a map, with numbers that have holes and come back out of order.
#[test]
fn entries_are_found_by_number_id_and_key_until_they_are_removed() {
    let mut dice = SmallRng::seed_from_u64(5);
    let (mut table, mut model) = (Ended::default(), BTreeMap::<u64, u32>::new());
    for _ in 0..20_000 {
        let number = dice.random_range(0..6_000);
        if dice.random_range(0..10) < 6 {
            let weight = dice.random_range(1_024..5_000);
            let key = if number % 3 == 0 { number + 1 } else { 0 };
            let is_new = table.insert(number, entry(id(number), key, weight));
            assert_eq!(is_new, !model.contains_key(&number));
            model.entry(number).or_insert(weight);
        } else {
            let removed = table.remove(number).map(|entry| entry.weight);
            assert_eq!(removed, model.remove(&number));
        }
    }
    assert_eq!(table.iter().count(), model.len());
    assert_eq!(table.bytes(), model.values().map(|weight| u64::from(*weight)).sum::<u64>());
    for number in 0..6_000 {
        let expected = model.get(&number).map(|weight| (number, *weight));
        let found = table.by_id(&id(number)).map(|(number, entry)| (number, entry.weight));
        assert_eq!(found, expected);
        assert_eq!(table.get(number).map(|entry| entry.weight), model.get(&number).copied());
        let by_key = table.by_key(number + 1).map(|(number, _)| number);
        assert_eq!(by_key, expected.filter(|_| number % 3 == 0).map(|(number, _)| number));
    }
    assert!(table.iter().map(|(number, _)| number).eq(model.keys().copied()));
}

#[test]
fn an_id_that_is_known_is_not_inserted_twice() {
    let mut table = Ended::default();
    assert!(table.insert(1, entry(id(1), 0, 1_024)));
    assert!(!table.insert(2, entry(id(1), 0, 1_024)));
    assert_eq!((table.iter().count(), table.bytes()), (1, 1_024));
}
