//! The spread of ids over the tables, and look-ups that need no entry.

use super::*;
use crate::task::GroupId;

#[test]
fn consecutive_member_ids_spread_evenly() {
    // Fixed ids: about one random group in five hundred spreads less evenly.
    let group = GroupId::from_bytes(0x0190_3f6c_8a51_7d3e_9b42_c0d1_5e77_0000_u128.to_be_bytes());
    let mut index = Index::default();
    for member in 0..200_000 {
        assert!(index.insert(&group.member(member), member.into(), |_| false));
    }
    let sizes = index.tables.iter().map(HashTable::len);
    assert!(sizes.clone().min() > Some(2_800) && sizes.max() < Some(3_500));
    // A look-up also examines other ids with the same hash part.
    let reads = std::cell::Cell::new(0);
    for member in 0..200_000 {
        let is_it = |number| {
            reads.set(reads.get() + 1);
            number == u64::from(member)
        };
        assert_eq!(index.find(&group.member(member), is_it), Some(member.into()));
    }
    assert!(reads.get() < 201_500, "{}", reads.get());
}

#[test]
fn id_newer_than_all_entries_is_not_looked_up() {
    let mut index = Index::default();
    let is_asked = |_| unreachable!();
    let at = |time: u64| {
        let id = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, time, 0));
        TaskId::from_bytes(id.into_bytes())
    };
    let (earlier, later) = (at(1_000), at(1_001));
    assert!(index.insert(&earlier, 1, is_asked));
    assert_eq!(index.find(&later, is_asked), None);
    assert_eq!(index.find(&earlier, |number| number == 1), Some(1));
    index.remove(&earlier, 1);
    assert_eq!(index.find(&earlier, is_asked), None);
    assert!(!index.insert(&later, NUMBERS, is_asked), "the number is beyond the maximum");
}
