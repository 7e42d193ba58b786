use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::engine::{kinds::Kinds, view::Ending};

fn entry(id: TaskId, key: u64, weight: u32) -> Entry {
    let kind = Kinds::default().of("text", "a").unwrap();
    let ending = (Ending::Succeeded, false);
    Entry::new(id, (7, key), (Time::ZERO, Time::ZERO), weight, None, kind, ending)
}

fn id(number: u64) -> TaskId {
    TaskId::from_bytes(u128::from(number.wrapping_mul(0x9e37_79b9)).to_be_bytes())
}

#[test]
fn entry_is_64_bytes() {
    assert_eq!(size_of::<Entry>(), 64);
}

/// Compares the table with a map, for numbers with gaps and out of order.
#[test]
fn entries_are_found_by_number_id_and_key_until_removed() {
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
fn known_id_is_not_inserted_twice() {
    let mut table = Ended::default();
    assert!(table.insert(1, entry(id(1), 0, 1_024)));
    assert!(!table.insert(2, entry(id(1), 0, 1_024)));
    assert_eq!((table.iter().count(), table.bytes()), (1, 1_024));
}

/// The pages together equal the sorted list, and each page examines few entries.
#[test]
fn page_of_newest_entries_examines_few_entries() {
    let mut table = Ended::default();
    let mut all = Vec::new();
    for number in 0..20_000_u64 {
        let id = id(number);
        // Tasks end roughly in the order of submission; some have the same time of submission.
        let submitted = Time::from_nanos((number / 2) ^ 0x3f);
        let mut entry = entry(id, 0, 1_024);
        entry.submitted = submitted;
        assert!(table.insert(number, entry));
        all.push((submitted, id, number));
    }
    for number in (0..20_000).step_by(7) {
        table.remove(number);
    }
    all.retain(|(_, _, number)| number % 7 != 0);
    all.sort_unstable_by_key(|(submitted, id, _)| std::cmp::Reverse((*submitted, *id)));
    let (mut listed, mut before, mut most) = (Vec::new(), None, 0);
    loop {
        let examined = std::cell::Cell::new(0);
        let mut page = table.newest(before, 500, |entry| {
            examined.set(examined.get() + 1);
            entry.weight > 0
        });
        page.sort_unstable_by_key(|(submitted, id, _)| std::cmp::Reverse((*submitted, *id)));
        page.truncate(500);
        most = most.max(examined.get());
        let Some((submitted, id, _)) = page.last() else { break };
        before = Some((*submitted, *id));
        listed.extend(page);
    }
    assert_eq!(listed, all);
    assert!(most < 5_000, "{most} of 20,000 for one page of 500");
    assert_eq!(table.newest(None, 0, |_| true).len(), all.len());
}
