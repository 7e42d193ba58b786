//! The smaller file has all contents of the store, and a kill at any time loses nothing.

use std::collections::BTreeMap;

use super::*;
use crate::journal::{archive::Entry, store::aside::Aside, tests::quick_dir};

/// Bytes of a segment here, and of a portion: four of them.
const SEGMENT: usize = 10_000;
const PORTION: usize = 4 * SEGMENT;

/// All contents of a store.
#[derive(Debug, PartialEq)]
struct Held {
    segments: BTreeMap<u64, Vec<u8>>,
    meta: Vec<(String, u64)>,
    ended: BTreeMap<u64, Entry>,
    forgotten: Vec<Vec<u8>>,
}

fn held(store: &Store) -> Held {
    let segments = store.snapshot().unwrap().portion(0, usize::MAX).unwrap();
    let Aside { ended, forgotten, .. } = store.aside().unwrap();
    let meta = store.rest().unwrap().meta;
    // Each start changes the generation.
    let meta = meta.into_iter().filter(|(key, _)| key != super::super::GENERATION).collect();
    Held { segments: segments.into_iter().collect(), meta, ended, forgotten }
}

/// The contents that the next start would find if the node were killed now.
fn after_a_kill(dir: &Path) -> Held {
    let copy = quick_dir();
    for file in fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let store = Store::open(copy.path(), None).unwrap();
    assert!(!smaller(&store.path).exists(), "the unfinished file is removed");
    held(&store)
}

fn insert(store: &Store, numbers: std::ops::Range<u64>) {
    let commit = store.write(|tables| {
        tables.set_written(numbers.end)?;
        tables.set_up(numbers.end)?;
        tables.set_numbers(numbers.end)?;
        for number in numbers {
            tables.insert(number, &vec![number as u8; SEGMENT])?;
            tables.forget(&[number as u8; 12])?;
            tables.set_ended(number, Entry::parse(&[0; 12]).as_ref())?;
        }
        Ok(())
    });
    commit.unwrap();
}

fn remove(store: &Store, shrinking: Option<&mut Shrinking>, numbers: &[u64]) {
    let commit = store.write(|tables| {
        for number in numbers {
            assert_eq!(tables.remove(*number)?, SEGMENT as u64);
            tables.set_ended(*number, None)?;
        }
        Ok(())
    });
    commit.unwrap();
    shrinking.into_iter().for_each(|shrinking| shrinking.note_removed(numbers));
}

#[test]
fn a_kill_at_any_step_loses_nothing() {
    let dir = quick_dir();
    let mut store = Store::open(dir.path(), None).unwrap();
    insert(&store, 0..60);
    remove(&store, None, &(0..20).collect::<Vec<_>>());
    let mut shrinking = Shrinking::begin(&store).unwrap();
    let mut steps = 0;
    while shrinking.step(&store, PORTION).unwrap() {
        assert_eq!(after_a_kill(dir.path()), held(&store), "step {steps}");
        // Removes a copied segment and one that is not copied yet, and adds another.
        remove(&store, Some(&mut shrinking), &[20 + steps, 59 - steps]);
        insert(&store, 60 + steps..61 + steps);
        assert_eq!(after_a_kill(dir.path()), held(&store), "step {steps}");
        steps += 1;
    }
    assert!((5..20).contains(&steps), "{steps} steps");
    let before = held(&store);
    assert_eq!(after_a_kill(dir.path()), before);
    shrinking.rename(&store).unwrap();
    assert_eq!(after_a_kill(dir.path()), before);
    drop(shrinking.replace(&mut store).unwrap());
    assert_eq!(after_a_kill(dir.path()), before);
    assert_eq!(held(&store), before);
    // The store continues in the new file.
    insert(&store, 100..110);
    let before = held(&store);
    assert_eq!(after_a_kill(dir.path()), before);
    store.open_again().unwrap();
    assert_eq!(held(&store), before);
}

#[test]
fn ids_forgotten_beyond_the_bound_are_not_in_the_smaller_file() {
    let dir = quick_dir();
    let mut store = Store::open(dir.path(), None).unwrap();
    let bound = meshwork_core::limits::FORGOTTEN_IDS as u64;
    let start = |number: u64| [&number.to_le_bytes()[..], &[0; 4]].concat();
    let forget = |store: &Store, numbers: std::ops::Range<u64>| {
        store.write(|tables| numbers.into_iter().try_for_each(|n| tables.forget(&start(n))))
    };
    forget(&store, 0..bound).unwrap();
    let mut shrinking = Shrinking::begin(&store).unwrap();
    assert!(shrinking.step(&store, PORTION).unwrap(), "more than one portion");
    // The first id is copied already, and is now beyond the bound.
    forget(&store, bound..bound + 1).unwrap();
    while shrinking.step(&store, PORTION).unwrap() {}
    shrinking.rename(&store).unwrap();
    drop(shrinking.replace(&mut store).unwrap());
    let forgotten = store.aside().unwrap().forgotten;
    assert_eq!(forgotten.len() as u64, bound);
    assert_eq!(forgotten.first(), Some(&start(1)));
    assert_eq!(forgotten.last(), Some(&start(bound)));
}

#[test]
fn abandoned_smaller_file_is_removed() {
    let dir = quick_dir();
    let store = Store::open(dir.path(), None).unwrap();
    insert(&store, 0..10);
    let mut shrinking = Shrinking::begin(&store).unwrap();
    assert!(shrinking.step(&store, PORTION).unwrap());
    assert!(smaller(&store.path).exists());
    drop(shrinking);
    assert!(!smaller(&store.path).exists());
    assert_eq!(held(&store).segments.len(), 10);
}
